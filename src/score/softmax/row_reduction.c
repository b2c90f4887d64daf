// SPDX-License-Identifier: MIT
// Here live the edges of the contract in include/tempera/softmax.h.
#include "score/softmax/row_reduction.h"

#include <math.h>
#include <string.h>

#include "base/exp.h"
#include "kernels/scalars.h"
#include "base/matrix.h"

struct tempera_row_source tempera_row_source_of(const struct tempera_kernels *kernels,
                                                const struct tempera_matrix *matrix, size_t row)
{
    return (struct tempera_row_source){.kernels = kernels,
                                       .how = {.dtype = matrix->dtype, .scale = 1},
                                       .z = tempera_matrix_element(matrix, row, 0),
                                       .n = matrix->cols,
                                       .is_plain = matrix->dtype == TEMPERA_F32};
}

const float *tempera_row_piece(const struct tempera_row_source *source, size_t at, size_t n,
                               float *buffer)
{
    bool has_sink = source->sink != NULL && at + n == source->n;
    if (source->is_plain && !has_sink)
        return (const float *)source->z + at;
    source->kernels->convert.prepare(&source->how, source->z, at, n - has_sink, buffer);
    if (has_sink)
        buffer[n - 1] = *source->sink;
    return buffer;
}

// Of 16 bits and not to be prepared otherwise: the kernels read it where it lies.
static bool is_half(const struct tempera_row_source *source)
{
    const struct tempera_prepare *how = &source->how;
    return how->dtype != TEMPERA_F32 && how->mask == NULL && how->add == NULL && how->scale == 1 &&
           how->softcap == 0 && source->sink == NULL;
}

static size_t piece_of(const struct tempera_row_source *source, size_t at)
{
    return source->n - at < TEMPERA_PIECE ? source->n - at : TEMPERA_PIECE;
}

float tempera_row_max(const struct tempera_row_source *source, bool *has_nan)
{
    float buffer[TEMPERA_PIECE], max = -INFINITY;
    if (is_half(source))
        return source->kernels->pieces_16bit.max(source->z, source->n, source->how.dtype, has_nan);
    *has_nan = false;
    for (size_t at = 0; at < source->n && !*has_nan; at += TEMPERA_PIECE) {
        size_t n = piece_of(source, at);
        float m = source->kernels->pieces.max(tempera_row_piece(source, at, n, buffer), n, has_nan);
        max = m > max ? m : max;
    }
    return max;
}

static bool is_chosen(const struct tempera_row_reduction *plan, float x)
{
    return plan->kind == TEMPERA_ROW_UNIFORM_MAX ? x == plan->max : x > -INFINITY;
}

static size_t count_chosen(const struct tempera_row_reduction *plan,
                           const struct tempera_row_source *source)
{
    float buffer[TEMPERA_PIECE];
    size_t count = 0;
    for (size_t at = 0; at < source->n; at += TEMPERA_PIECE) {
        size_t n = piece_of(source, at);
        const float *x = tempera_row_piece(source, at, n, buffer);
        for (size_t i = 0; i < n; i++)
            count += is_chosen(plan, x[i]);
    }
    return count;
}

// Adds the exponentials of elements [start, end).
static void sum_block(const struct tempera_row_source *source, size_t start, size_t end,
                      const struct tempera_exponent *x, double lanes[16])
{
    float buffer[TEMPERA_PIECE];
    const uint16_t *half = is_half(source) ? source->z : NULL;
    for (size_t at = start; at < end; at += TEMPERA_PIECE) {
        size_t n = piece_of(source, at);
        if (half != NULL)
            source->kernels->pieces_16bit.exp_sum(half + at, n, source->how.dtype, x, buffer,
                                                  lanes);
        else
            source->kernels->pieces.exp_sum(tempera_row_piece(source, at, n, buffer), n, x, NULL,
                                            lanes);
    }
}

// As the kernels sum a whole row: lanes within a block, blocks in order.
static void sum_ordinary(struct tempera_row_reduction *plan,
                         const struct tempera_row_source *source)
{
    plan->sum.max = plan->max;
    plan->sum.exponent = tempera_exponent_of(plan->max, &plan->params);
    plan->sum.e_max = source->kernels->pieces.exp_one(plan->max, &plan->sum.exponent);
    plan->sum.sum = 0;
    size_t block = tempera_row_block(source->n);
    for (size_t start = 0; start < source->n; start += block) {
        double lanes[16] = {0};
        size_t end = source->n - start < block ? source->n : start + block;
        sum_block(source, start, end, &plan->sum.exponent, lanes);
        plan->sum.sum += tempera_sum_lanes(lanes);
    }
    plan->ln_S = tempera_ln_sum(&plan->sum);
}

static void sum_wide(struct tempera_row_reduction *plan, const struct tempera_row_source *source)
{
    float buffer[TEMPERA_PIECE];
    for (size_t at = 0; at < source->n; at += TEMPERA_PIECE) {
        size_t n = piece_of(source, at);
        plan->sum_f64 +=
            tempera_f64_sum(tempera_row_piece(source, at, n, buffer), n, plan->max, plan->params.T);
    }
    plan->ln_S = tempera_log(plan->sum_f64);
}

struct tempera_row_reduction tempera_row_reduce(const struct tempera_row_source *source,
                                                const struct tempera_temperature_params *params)
{
    struct tempera_row_reduction plan = {.params = *params};
    bool has_nan;
    plan.max = tempera_row_max(source, &has_nan);
    if (has_nan) {
        plan.kind = TEMPERA_ROW_NAN;
    } else if (plan.max == -INFINITY) {
        plan.kind = TEMPERA_ROW_MASKED;
    } else if (plan.max == INFINITY || params->T == 0 || params->T == INFINITY) {
        bool only_max = plan.max == INFINITY || params->T == 0;
        plan.kind = only_max ? TEMPERA_ROW_UNIFORM_MAX : TEMPERA_ROW_UNIFORM_ALL;
        plan.count = count_chosen(&plan, source);
        plan.ln_S = plan.count == 1 ? 0 : tempera_log((double)plan.count);
    } else if (params->fits_f32 && tempera_max_fits_f32(plan.max)) {
        plan.kind = TEMPERA_ROW_F32;
        sum_ordinary(&plan, source);
    } else {
        plan.kind = TEMPERA_ROW_F64;
        sum_wide(&plan, source);
    }
    return plan;
}

enum tempera_status tempera_row_reduction_status(const struct tempera_row_reduction *plan)
{
    return plan->kind == TEMPERA_ROW_NAN      ? TEMPERA_NAN_INPUT
           : plan->kind == TEMPERA_ROW_MASKED ? TEMPERA_ALL_MASKED
                                              : TEMPERA_OK;
}

static void fill(float *out, size_t n, float value)
{
    for (size_t i = 0; i < n; i++)
        out[i] = value;
}

static void fill_even(const struct tempera_row_reduction *plan, const float *x, size_t n,
                      float inside, float outside, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = is_chosen(plan, x[i]) ? inside : outside;
}

void tempera_row_reduction_softmax(const struct tempera_row_reduction *plan,
                                   const struct tempera_kernels *kernels, const float *x, size_t n,
                                   float *out)
{
    switch (plan->kind) {
    case TEMPERA_ROW_NAN:
        tempera_row_fill_nan(out, n);
        break;
    case TEMPERA_ROW_MASKED:
        fill(out, n, 0);
        break;
    case TEMPERA_ROW_UNIFORM_MAX:
    case TEMPERA_ROW_UNIFORM_ALL:
        fill_even(plan, x, n, (float)(1.0 / (double)plan->count), 0, out);
        break;
    case TEMPERA_ROW_F64:
        tempera_f64_softmax(x, n, plan->max, plan->params.T, plan->sum_f64, out);
        break;
    case TEMPERA_ROW_F32: {
        float high, low;
        double unused[16] = {0};
        tempera_split_inverse(1, plan->sum.sum, &high, &low);
        kernels->pieces.exp_sum(x, n, &plan->sum.exponent, out, unused);
        kernels->pieces.scale(out, n, high, low, out);
        break;
    }
    }
}

void tempera_row_reduction_log_softmax(const struct tempera_row_reduction *plan,
                                       const struct tempera_kernels *kernels, const float *x,
                                       size_t n, float *out)
{
    switch (plan->kind) {
    case TEMPERA_ROW_NAN:
        tempera_row_fill_nan(out, n);
        break;
    case TEMPERA_ROW_MASKED:
        fill(out, n, -INFINITY);
        break;
    case TEMPERA_ROW_UNIFORM_MAX:
    case TEMPERA_ROW_UNIFORM_ALL:
        fill_even(plan, x, n, plan->ln_S == 0 ? 0 : (float)-plan->ln_S, -INFINITY, out);
        break;
    case TEMPERA_ROW_F64:
        tempera_f64_log_softmax(x, n, plan->max, plan->params.T, plan->ln_S, out);
        break;
    case TEMPERA_ROW_F32:
        kernels->pieces.log_map(x, n, plan->max, &plan->params, plan->ln_S, out);
        break;
    }
}

float tempera_row_reduction_logsumexp(const struct tempera_row_reduction *plan)
{
    float T = (float)plan->params.T, nan;
    switch (plan->kind) {
    case TEMPERA_ROW_NAN:
        tempera_row_fill_nan(&nan, 1);
        return nan;
    case TEMPERA_ROW_MASKED:
        return -INFINITY;
    case TEMPERA_ROW_UNIFORM_MAX:
        if (plan->max == INFINITY || (T == 0 && plan->max > 0))
            return INFINITY;
        return plan->max < 0 ? -INFINITY : (float)plan->ln_S;
    case TEMPERA_ROW_UNIFORM_ALL:
        return (float)plan->ln_S;
    case TEMPERA_ROW_F64:
    case TEMPERA_ROW_F32:
        break;
    }
    return (float)((double)plan->max / plan->params.T + plan->ln_S);
}
