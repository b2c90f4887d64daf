// SPDX-License-Identifier: MIT
// The special cases of include/tempera/softmax.h: NaN, infinities, masked rows, T = 0 and T = inf.
// With T = 0 or inf, params.fits_f32 is false (kernels/scalars.c), and every faster path leaves the
// row to this one.
#include "score/softmax/row_reduction.h"

#include <math.h>

#include "base/exp.h"
#include "base/matrix.h"
#include "base/size.h"
#include "kernels/rows_f64.h"
#include "kernels/scalars.h"

static bool is_chosen(const struct tempera_row_reduction *reduction, float x)
{
    return reduction->kind == TEMPERA_ROW_UNIFORM_MAX ? x == reduction->max : x > -INFINITY;
}

static size_t count_chosen(const struct tempera_row_reduction *reduction,
                           const struct tempera_row_source *source)
{
    float buffer[TEMPERA_PIECE];
    size_t count = 0;
    for (size_t at = 0; at < source->n; at += TEMPERA_PIECE) {
        size_t n = tempera_min(source->n - at, TEMPERA_PIECE);
        const float *x = tempera_row_piece(source, at, n, buffer);
        for (size_t i = 0; i < n; i++)
            count += is_chosen(reduction, x[i]);
    }
    return count;
}

// Adds the exponentials of elements [start, end).
static void sum_block(const struct tempera_row_source *source, size_t start, size_t end,
                      const struct tempera_exponent *x, double lanes[16])
{
    float buffer[TEMPERA_PIECE];
    const uint16_t *scores_16bit = tempera_row_source_is_16bit(source) ? source->z : NULL;
    for (size_t at = start; at < end; at += TEMPERA_PIECE) {
        size_t n = tempera_min(source->n - at, TEMPERA_PIECE);
        if (scores_16bit != NULL)
            source->kernels->pieces_16bit.exp_sum(scores_16bit + at, n, source->how.dtype, x,
                                                  buffer, lanes);
        else
            source->kernels->pieces.exp_sum(tempera_row_piece(source, at, n, buffer), n, x, NULL,
                                            lanes);
    }
}

// As the kernels sum a whole row: lanes within a block, blocks in order.
static void add_f32(struct tempera_row_reduction *reduction,
                    const struct tempera_row_source *source)
{
    reduction->sum.max = reduction->max;
    reduction->sum.exponent = tempera_exponent_of(reduction->max, &reduction->params);
    reduction->sum.e_max =
        source->kernels->pieces.exp_one(reduction->max, &reduction->sum.exponent);
    reduction->sum.sum = 0;
    size_t block = tempera_row_block(source->n);
    for (size_t start = 0; start < source->n; start += block) {
        double lanes[16] = {0};
        size_t end = start + tempera_min(source->n - start, block);
        sum_block(source, start, end, &reduction->sum.exponent, lanes);
        reduction->sum.sum += tempera_sum_lanes(lanes);
    }
    reduction->ln_S = tempera_ln_sum(&reduction->sum);
}

static void add_f64(struct tempera_row_reduction *reduction,
                    const struct tempera_row_source *source)
{
    float buffer[TEMPERA_PIECE];
    for (size_t at = 0; at < source->n; at += TEMPERA_PIECE) {
        size_t n = tempera_min(source->n - at, TEMPERA_PIECE);
        reduction->sum_f64 += tempera_f64_sum(tempera_row_piece(source, at, n, buffer), n,
                                              reduction->max, reduction->params.T);
    }
    reduction->ln_S = tempera_log(reduction->sum_f64);
}

struct tempera_row_reduction tempera_row_reduce(const struct tempera_row_source *source,
                                                const struct tempera_temperature_params *params)
{
    struct tempera_row_reduction reduction = {.params = *params};
    bool has_nan;
    reduction.max = tempera_row_max(source, &has_nan);
    if (has_nan) {
        reduction.kind = TEMPERA_ROW_NAN;
    } else if (reduction.max == -INFINITY) {
        reduction.kind = TEMPERA_ROW_MASKED;
    } else if (reduction.max == INFINITY || params->T == 0 || params->T == INFINITY) {
        bool only_max = reduction.max == INFINITY || params->T == 0;
        reduction.kind = only_max ? TEMPERA_ROW_UNIFORM_MAX : TEMPERA_ROW_UNIFORM_ALL;
        reduction.count = count_chosen(&reduction, source);
        reduction.ln_S = reduction.count == 1 ? 0 : tempera_log((double)reduction.count);
    } else if (params->fits_f32 && tempera_max_fits_f32(reduction.max)) {
        reduction.kind = TEMPERA_ROW_F32;
        add_f32(&reduction, source);
    } else {
        reduction.kind = TEMPERA_ROW_F64;
        add_f64(&reduction, source);
    }
    return reduction;
}

enum tempera_status tempera_row_reduction_status(const struct tempera_row_reduction *reduction)
{
    return reduction->kind == TEMPERA_ROW_NAN      ? TEMPERA_NAN_INPUT
           : reduction->kind == TEMPERA_ROW_MASKED ? TEMPERA_ALL_MASKED
                                                   : TEMPERA_OK;
}

static void fill(float *out, size_t n, float value)
{
    for (size_t i = 0; i < n; i++)
        out[i] = value;
}

static void fill_uniform(const struct tempera_row_reduction *reduction, const float *x, size_t n,
                         float inside, float outside, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = is_chosen(reduction, x[i]) ? inside : outside;
}

void tempera_row_reduction_softmax(const struct tempera_row_reduction *reduction,
                                   const struct tempera_kernels *kernels, const float *x, size_t n,
                                   float *out)
{
    switch (reduction->kind) {
    case TEMPERA_ROW_NAN:
        tempera_row_fill_nan(out, n);
        break;
    case TEMPERA_ROW_MASKED:
        fill(out, n, 0);
        break;
    case TEMPERA_ROW_UNIFORM_MAX:
    case TEMPERA_ROW_UNIFORM_ALL:
        fill_uniform(reduction, x, n, (float)(1.0 / (double)reduction->count), 0, out);
        break;
    case TEMPERA_ROW_F64:
        tempera_f64_softmax(x, n, reduction->max, reduction->params.T, reduction->sum_f64, out);
        break;
    case TEMPERA_ROW_F32: {
        float high, low;
        double unused[16] = {0};
        tempera_split_inverse(1, reduction->sum.sum, &high, &low);
        kernels->pieces.exp_sum(x, n, &reduction->sum.exponent, out, unused);
        kernels->pieces.scale(out, n, high, low, out);
        break;
    }
    }
}

void tempera_row_reduction_log_softmax(const struct tempera_row_reduction *reduction,
                                       const struct tempera_kernels *kernels, const float *x,
                                       size_t n, float *out)
{
    switch (reduction->kind) {
    case TEMPERA_ROW_NAN:
        tempera_row_fill_nan(out, n);
        break;
    case TEMPERA_ROW_MASKED:
        fill(out, n, -INFINITY);
        break;
    case TEMPERA_ROW_UNIFORM_MAX:
    case TEMPERA_ROW_UNIFORM_ALL:
        fill_uniform(reduction, x, n, reduction->ln_S == 0 ? 0 : (float)-reduction->ln_S, -INFINITY,
                     out);
        break;
    case TEMPERA_ROW_F64:
        tempera_f64_log_softmax(x, n, reduction->max, reduction->params.T, reduction->ln_S, out);
        break;
    case TEMPERA_ROW_F32:
        kernels->pieces.log_map(x, n, reduction->max, &reduction->params, reduction->ln_S, out);
        break;
    }
}

float tempera_row_reduction_logsumexp(const struct tempera_row_reduction *reduction)
{
    float T = (float)reduction->params.T, nan;
    switch (reduction->kind) {
    case TEMPERA_ROW_NAN:
        tempera_row_fill_nan(&nan, 1);
        return nan;
    case TEMPERA_ROW_MASKED:
        return -INFINITY;
    case TEMPERA_ROW_UNIFORM_MAX:
        if (reduction->max == INFINITY || (T == 0 && reduction->max > 0))
            return INFINITY;
        return reduction->max < 0 ? -INFINITY : (float)reduction->ln_S;
    case TEMPERA_ROW_UNIFORM_ALL:
        return (float)reduction->ln_S;
    case TEMPERA_ROW_F64:
    case TEMPERA_ROW_F32:
        break;
    }
    return (float)((double)reduction->max / reduction->params.T + reduction->ln_S);
}
