// SPDX-License-Identifier: MIT
// The operations that kcheck runs: public calls that take scores and give floats.
#ifndef TEMPERA_KCHECK_OPERATIONS_H
#define TEMPERA_KCHECK_OPERATIONS_H

#include <math.h>
#include <stdlib.h>

#include <tempera/tempera.h>

#include "base/half.h"

enum { MOST = 262144, MOST_ROWS = 16 };

struct inputs {
    const float *z, *other;     // [rows, n]
    const uint16_t *halves;     // z in a 16-bit type; NULL: to be converted, and the result back
    size_t rows, n, stride;
    float T;
    const struct tempera_executor *executor;
};

// Writes floats to out, rows * n + 1 at most; returns how many.
typedef size_t operation(const struct inputs *in, float *out);

static struct tempera_matrix matrix_of(const struct inputs *in, const float *data)
{
    struct tempera_matrix m = tempera_matrix_const_f32(data, in->rows, in->n);
    m.row_stride = in->stride;
    return m;
}

static struct tempera_softmax_options options_of(const struct inputs *in)
{
    struct tempera_softmax_options options = tempera_softmax_options_default();
    options.temperature = in->T;
    return options;
}

static size_t softmax(const struct inputs *in, float *out)
{
    struct tempera_matrix z = matrix_of(in, in->z), p = tempera_matrix_f32(out, in->rows, in->n);
    struct tempera_softmax_options options = options_of(in);
    tempera_softmax(&z, &options, &p, NULL, in->executor);
    return in->rows * in->n;
}

static size_t log_softmax(const struct inputs *in, float *out)
{
    struct tempera_matrix z = matrix_of(in, in->z), p = tempera_matrix_f32(out, in->rows, in->n);
    struct tempera_softmax_options options = options_of(in);
    tempera_log_softmax(&z, &options, &p, NULL, in->executor);
    return in->rows * in->n;
}

static size_t logsumexp(const struct inputs *in, float *out)
{
    struct tempera_matrix z = matrix_of(in, in->z);
    struct tempera_softmax_options options = options_of(in);
    tempera_logsumexp(&z, &options, out, NULL, in->executor);
    return in->rows;
}

static size_t backward(const struct inputs *in, float *out)
{
    struct tempera_matrix p = tempera_matrix_f32(out, in->rows, in->n);
    struct tempera_matrix dp = matrix_of(in, in->other);
    softmax(in, out);
    tempera_softmax_backward(&p, &dp, in->T, &p, NULL, in->executor);
    return in->rows * in->n;
}

static size_t distill(const struct inputs *in, float beta, float *out)
{
    struct tempera_matrix teacher = matrix_of(in, in->other), student = matrix_of(in, in->z);
    struct tempera_matrix d = tempera_matrix_f32(out, in->rows, in->n);
    float loss[MOST_ROWS];
    struct tempera_distillation_options options = tempera_distillation_options_default();
    struct tempera_distillation_outputs outputs = {
        .struct_size = sizeof outputs, .d_student = &d, .row_loss = loss};
    options.temperature = in->T;
    options.beta = beta;
    options.reduction = TEMPERA_REDUCTION_SUM;
    tempera_distillation(&teacher, &student, &options, &outputs, in->executor);
    for (size_t r = 0; r < in->rows; r++)
        out[r * in->n] = loss[r];
    return in->rows * in->n;
}

static size_t distill_kl(const struct inputs *in, float *out)
{
    return distill(in, 0, out);
}

static size_t distill_mixture(const struct inputs *in, float *out)
{
    return distill(in, 0.3f, out);
}

static size_t solve(const struct inputs *in, float *out)
{
    struct tempera_matrix z = matrix_of(in, in->z);
    tempera_solve_temperature(&z, TEMPERA_GOAL_ENTROPY, 1, out, NULL, NULL, in->executor);
    return in->rows;
}

// Two halves of the columns; the class depends on the row's own data.
static size_t shards(const struct inputs *in, float *out)
{
    struct tempera_matrix z = matrix_of(in, in->z), d = tempera_matrix_f32(out, in->rows, in->n);
    struct tempera_row_statistics statistics[2][MOST_ROWS];
    int32_t classes[MOST_ROWS];
    size_t n_shards = in->n > 1 ? 2 : 1, border[] = {0, in->n / n_shards, in->n};
    for (size_t r = 0; r < in->rows; r++)
        classes[r] = (int32_t)((size_t)(1000 * fabsf(in->other[r * in->stride])) % in->n);
    for (size_t k = 0; k < 2 * n_shards; k++) { // statistics of each, then gradients
        size_t shard = k % n_shards, first = border[shard];
        struct tempera_shard_options options = tempera_shard_options_default();
        options.temperature = in->T;
        options.reduction = TEMPERA_REDUCTION_SUM;
        options.first_class = first;
        options.n_classes = in->n;
        z.cols = d.cols = border[shard + 1] - first;
        z.data = (void *)(uintptr_t)(in->z + first);
        d.data = out + first;
        struct tempera_shard_outputs outputs = {.struct_size = sizeof outputs, .d_logits = &d};
        if (k < n_shards)
            tempera_shard_statistics(&z, classes, &options, statistics[shard], in->executor);
        if (k == 1 && n_shards == 2)
            tempera_shard_merge(statistics[0], statistics[1], in->rows, in->T);
        if (k >= n_shards)
            tempera_shard_cross_entropy(&z, classes, statistics[0], &options, &outputs,
                                        in->executor);
    }
    return in->rows * in->n;
}

static size_t cross_entropy(const struct inputs *in, float *out)
{
    struct tempera_matrix z = matrix_of(in, in->z), g = tempera_matrix_f32(out, in->rows, in->n);
    int32_t classes[MOST_ROWS];
    double loss;
    for (size_t r = 0; r < in->rows; r++)
        classes[r] = (int32_t)((r * 7919) % in->n);
    struct tempera_targets targets = {classes, NULL};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    struct tempera_cross_entropy_outputs outputs = {
        .struct_size = sizeof outputs, .d_logits = &g, .loss = &loss};
    options.temperature = in->T;
    tempera_cross_entropy(&z, &targets, &options, &outputs, in->executor);
    out[in->rows * in->n] = (float)loss;
    return in->rows * in->n + 1;
}

// Everything that a loss may have; the class depends on the row's own data.
static size_t loss_options(const struct inputs *in, float *out)
{
    struct tempera_matrix z = matrix_of(in, in->z), g = tempera_matrix_f32(out, in->rows, in->n);
    static float weights[MOST];
    int32_t classes[MOST_ROWS];
    for (size_t i = 0; i < in->n; i++)
        weights[i] = (float)(i % 7) * 0.25f;
    for (size_t r = 0; r < in->rows; r++)
        classes[r] = (int32_t)((size_t)(1000 * fabsf(in->other[r * in->stride])) % in->n);
    struct tempera_targets targets = {classes, NULL};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs, .d_logits = &g};
    options.temperature = in->T;
    options.reduction = TEMPERA_REDUCTION_SUM;
    options.label_smoothing = 0.1f;
    options.class_weights = weights;
    options.z_loss = 1e-3f;
    options.softcap = 30;
    options.focal_gamma = 1.5f;
    tempera_cross_entropy(&z, &targets, &options, &outputs, in->executor);
    return in->rows * in->n;
}

// Soft targets, and what is found of each row.
static size_t loss_soft(const struct inputs *in, float *out)
{
    struct tempera_matrix z = matrix_of(in, in->z), g = tempera_matrix_f32(out, in->rows, in->n);
    struct tempera_matrix probs = matrix_of(in, in->other);
    struct tempera_targets targets = {NULL, &probs};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    float lse[MOST_ROWS], entropy[MOST_ROWS], loss[MOST_ROWS];
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs,
                                                    .d_logits = &g,
                                                    .row_loss = loss,
                                                    .row_logsumexp = lse,
                                                    .row_entropy = entropy};
    options.temperature = in->T;
    options.reduction = TEMPERA_REDUCTION_SUM;
    tempera_cross_entropy(&z, &targets, &options, &outputs, in->executor);
    for (size_t r = 0; r < in->rows && in->n >= 3; r++) {
        out[r * in->n] = loss[r];
        out[r * in->n + 1] = lse[r];
        out[r * in->n + 2] = entropy[r];
    }
    return in->rows * in->n;
}

// Every mask word another, everything before the softmax, and a sink.
static size_t attention(const struct inputs *in, float *out)
{
    static uint32_t mask[MOST / 32 + 1];
    static float sinks[MOST_ROWS];
    struct tempera_matrix z = matrix_of(in, in->z), p = tempera_matrix_f32(out, in->rows, in->n);
    struct tempera_matrix add = tempera_matrix_const_f32(in->other, 1, in->n);
    struct tempera_softmax_options options = options_of(in);
    for (size_t i = 0; i < in->n / 32 + 1; i++)
        mask[i] = (uint32_t)(i * 2654435761u) | 1;
    for (size_t r = 0; r < in->rows; r++)
        sinks[r] = (float)r - 3;
    options.mask = mask;
    options.scale = 0.125f;
    options.softcap = 30;
    options.add = &add;
    options.sinks = sinks;
    tempera_softmax(&z, &options, &p, NULL, in->executor);
    return in->rows * in->n;
}

// Logits and gradient of 16 bits, in place, with smoothing.
static size_t loss_bf16(const struct inputs *in, float *out)
{
    static uint16_t halves[MOST_ROWS * 4096 > MOST ? MOST_ROWS * 4096 : MOST];
    struct tempera_matrix z = {halves, TEMPERA_BF16, in->rows, in->n, in->n};
    int32_t classes[MOST_ROWS] = {0};
    struct tempera_targets targets = {classes, NULL};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs, .d_logits = &z};
    options.temperature = in->T;
    options.reduction = TEMPERA_REDUCTION_SUM;
    options.label_smoothing = 0.1f;
    for (size_t r = 0; r < in->rows; r++)
        for (size_t i = 0; i < in->n; i++)
            halves[r * in->n + i] = tempera_f32_to_bf16(in->z[r * in->stride + i]);
    tempera_cross_entropy(&z, &targets, &options, &outputs, in->executor);
    for (size_t i = 0; i < in->rows * in->n; i++)
        out[i] = tempera_bf16_to_f32(halves[i]);
    return in->rows * in->n;
}

// Through 16-bit types, there and back.
static size_t through_halves(const struct inputs *in, enum tempera_dtype dtype, bool log,
                             float *out)
{
    static uint16_t halves[2][MOST_ROWS * 4096 > MOST ? MOST_ROWS * 4096 : MOST];
    size_t count = in->rows * in->n;
    struct tempera_matrix z = {halves[0], dtype, in->rows, in->n, in->n};
    struct tempera_matrix p = {halves[1], dtype, in->rows, in->n, in->n};
    struct tempera_softmax_options options = options_of(in);
    for (size_t r = 0; in->halves == NULL && r < in->rows; r++)
        for (size_t i = 0; i < in->n; i++) {
            float x = in->z[r * in->stride + i];
            halves[0][r * in->n + i] =
                dtype == TEMPERA_F16 ? tempera_f32_to_f16(x) : tempera_f32_to_bf16(x);
        }
    if (in->halves != NULL)
        z.data = (void *)(uintptr_t)in->halves;
    if (log)
        tempera_log_softmax(&z, &options, &p, NULL, in->executor);
    else
        tempera_softmax(&z, &options, &p, NULL, in->executor);
    for (size_t i = 0; in->halves == NULL && i < count; i++)
        out[i] = dtype == TEMPERA_F16 ? tempera_f16_to_f32(halves[1][i])
                                      : tempera_bf16_to_f32(halves[1][i]);
    return count;
}

static size_t softmax_f16(const struct inputs *in, float *out)
{
    return through_halves(in, TEMPERA_F16, false, out);
}

static size_t softmax_bf16(const struct inputs *in, float *out)
{
    return through_halves(in, TEMPERA_BF16, false, out);
}

static size_t log_softmax_f16(const struct inputs *in, float *out)
{
    return through_halves(in, TEMPERA_F16, true, out);
}

static size_t log_softmax_bf16(const struct inputs *in, float *out)
{
    return through_halves(in, TEMPERA_BF16, true, out);
}

// The distributions that a chain leaves of rows, and in each row's first place its token.
static size_t sample(const struct inputs *in, const struct tempera_stage *stages, size_t n_stages,
                     float *out)
{
    struct tempera_matrix z = matrix_of(in, in->z), p = tempera_matrix_f32(out, in->rows, in->n);
    struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
    struct tempera_sample_row rows[MOST_ROWS];
    struct tempera_sample_result results[MOST_ROWS];
    size_t nbytes = tempera_sample_scratch_nbytes(&z, &sampler, in->executor);
    void *scratch = aligned_alloc(64, nbytes);
    for (size_t r = 0; r < in->rows; r++)
        rows[r] = (struct tempera_sample_row){.sampler = &sampler, .seed = 1};
    tempera_sampler_probs(&z, rows, &p, results, scratch, nbytes, in->executor);
    for (size_t r = 0; r < in->rows; r++)
        out[r * in->n] = (float)results[r].token;
    free(scratch);
    return in->rows * in->n;
}

static size_t sample_ranks(const struct inputs *in, float *out)
{
    const struct tempera_stage stages[] = {tempera_stage_temperature(in->T),
                                           tempera_stage_top_p(0.9f), tempera_stage_top_k(50)};
    return sample(in, stages, 3, out);
}

static size_t sample_typical(const struct inputs *in, float *out)
{
    const struct tempera_stage stages[] = {tempera_stage_temperature(in->T),
                                           tempera_stage_typical(0.8f)};
    return sample(in, stages, 2, out);
}

static size_t sample_thresholds(const struct inputs *in, float *out)
{
    const struct tempera_stage stages[] = {tempera_stage_top_n_sigma(2.5f),
                                           tempera_stage_temperature(in->T),
                                           tempera_stage_eta(1e-4f), tempera_stage_p_less()};
    return sample(in, stages, 4, out);
}

static const struct {
    const char *name;
    operation *run;
} operations[] = {
    {"softmax", softmax},
    {"log_softmax", log_softmax},
    {"logsumexp", logsumexp},
    {"backward", backward},
    {"distill_kl", distill_kl},
    {"distill_mixture", distill_mixture},
    {"solve", solve},
    {"shards", shards},
    {"cross_entropy", cross_entropy},
    {"attention", attention},
    {"softmax_f16", softmax_f16},
    {"softmax_bf16", softmax_bf16},
    {"log_softmax_f16", log_softmax_f16},
    {"log_softmax_bf16", log_softmax_bf16},
    {"loss_options", loss_options},
    {"sample_ranks", sample_ranks},
    {"sample_typical", sample_typical},
    {"sample_thresholds", sample_thresholds},
    {"loss_soft", loss_soft},
    {"loss_bf16", loss_bf16},
};

enum { N_OPERATIONS = sizeof operations / sizeof *operations };

#endif
