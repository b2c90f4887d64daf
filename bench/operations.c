// SPDX-License-Identifier: MIT
#include "operations.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct tempera_matrix matrix_of(const struct operation_inputs *in, const float *data)
{
    struct tempera_matrix m = tempera_matrix_const_f32(data, in->rows, in->n);
    m.row_stride = in->stride;
    return m;
}

static struct tempera_softmax_options options_of(const struct operation_inputs *in)
{
    struct tempera_softmax_options options = tempera_softmax_options_default();
    options.temperature = in->T;
    return options;
}

static enum tempera_status softmax(const struct operation_inputs *in, void *to, size_t *n_out)
{
    float *out = to;
    struct tempera_matrix z = matrix_of(in, in->z), p = tempera_matrix_f32(out, in->rows, in->n);
    struct tempera_softmax_options options = options_of(in);
    *n_out = in->rows * in->n;
    return tempera_softmax(&z, &options, &p, NULL, in->executor);
}

static enum tempera_status log_softmax(const struct operation_inputs *in, void *to, size_t *n_out)
{
    float *out = to;
    struct tempera_matrix z = matrix_of(in, in->z), p = tempera_matrix_f32(out, in->rows, in->n);
    struct tempera_softmax_options options = options_of(in);
    *n_out = in->rows * in->n;
    return tempera_log_softmax(&z, &options, &p, NULL, in->executor);
}

static enum tempera_status logsumexp(const struct operation_inputs *in, void *to, size_t *n_out)
{
    float *out = to;
    struct tempera_matrix z = matrix_of(in, in->z);
    struct tempera_softmax_options options = options_of(in);
    *n_out = in->rows;
    return tempera_logsumexp(&z, &options, out, NULL, in->executor);
}

static enum tempera_status backward(const struct operation_inputs *in, void *to, size_t *n_out)
{
    float *out = to;
    struct tempera_matrix p = tempera_matrix_f32(out, in->rows, in->n);
    struct tempera_matrix dp = matrix_of(in, in->other);
    enum tempera_status forward = softmax(in, out, n_out);
    enum tempera_status status = tempera_softmax_backward(&p, &dp, in->T, &p, NULL, in->executor);
    return forward != TEMPERA_OK ? forward : status;
}

static enum tempera_status distill(const struct operation_inputs *in, float beta, float *out,
                                   size_t *n_out)
{
    struct tempera_matrix teacher = matrix_of(in, in->other), student = matrix_of(in, in->z);
    struct tempera_matrix d = tempera_matrix_f32(out, in->rows, in->n);
    float loss[OPERATION_MAX_ROWS];
    struct tempera_distillation_options options = tempera_distillation_options_default();
    struct tempera_distillation_outputs outputs = {
        .struct_size = sizeof outputs, .d_student = &d, .row_loss = loss};
    options.temperature = in->T;
    options.beta = beta;
    options.reduction = TEMPERA_REDUCTION_SUM;
    enum tempera_status status =
        tempera_distillation(&teacher, &student, &options, &outputs, in->executor);
    for (size_t r = 0; r < in->rows; r++)
        out[r * in->n] = loss[r];
    *n_out = in->rows * in->n;
    return status;
}

static enum tempera_status distill_kl(const struct operation_inputs *in, void *to, size_t *n_out)
{
    return distill(in, 0, to, n_out);
}

static enum tempera_status distill_mixture(const struct operation_inputs *in, void *to,
                                           size_t *n_out)
{
    return distill(in, 0.3f, to, n_out);
}

static enum tempera_status solve(const struct operation_inputs *in, void *to, size_t *n_out)
{
    float *out = to;
    struct tempera_matrix z = matrix_of(in, in->z);
    *n_out = in->rows;
    return tempera_solve_temperature(&z, TEMPERA_GOAL_ENTROPY, 1, out, NULL, NULL, in->executor);
}

// Two halves of the columns; the class depends on the row's own data.
static enum tempera_status shards(const struct operation_inputs *in, void *to, size_t *n_out)
{
    float *out = to;
    struct tempera_matrix z = matrix_of(in, in->z), d = tempera_matrix_f32(out, in->rows, in->n);
    struct tempera_row_statistics statistics[2][OPERATION_MAX_ROWS];
    int32_t classes[OPERATION_MAX_ROWS];
    enum tempera_status worst = TEMPERA_OK;
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
        enum tempera_status status =
            k < n_shards
                ? tempera_shard_statistics(&z, classes, &options, statistics[shard], in->executor)
                : tempera_shard_cross_entropy(&z, classes, statistics[0], &options, &outputs,
                                              in->executor);
        worst = worst != TEMPERA_OK ? worst : status;
        if (k == 1 && n_shards == 2)
            status = tempera_shard_merge(statistics[0], statistics[1], in->rows, in->T);
        worst = worst != TEMPERA_OK ? worst : status;
    }
    *n_out = in->rows * in->n;
    return worst;
}

static enum tempera_status cross_entropy(const struct operation_inputs *in, void *to, size_t *n_out)
{
    float *out = to;
    struct tempera_matrix z = matrix_of(in, in->z), g = tempera_matrix_f32(out, in->rows, in->n);
    int32_t classes[OPERATION_MAX_ROWS];
    double loss;
    for (size_t r = 0; r < in->rows; r++)
        classes[r] = (int32_t)((r * 7919) % in->n);
    struct tempera_targets targets = {classes, NULL};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    struct tempera_cross_entropy_outputs outputs = {
        .struct_size = sizeof outputs, .d_logits = &g, .loss = &loss};
    options.temperature = in->T;
    enum tempera_status status =
        tempera_cross_entropy(&z, &targets, &options, &outputs, in->executor);
    out[in->rows * in->n] = (float)loss;
    *n_out = in->rows * in->n + 1;
    return status;
}

// Everything that a loss may have; the class depends on the row's own data.
static enum tempera_status loss_options(const struct operation_inputs *in, void *to, size_t *n_out)
{
    float *out = to;
    struct tempera_matrix z = matrix_of(in, in->z), g = tempera_matrix_f32(out, in->rows, in->n);
    static float weights[OPERATION_MAX_COLS];
    int32_t classes[OPERATION_MAX_ROWS];
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
    *n_out = in->rows * in->n;
    return tempera_cross_entropy(&z, &targets, &options, &outputs, in->executor);
}

// Soft targets, and what is found of each row.
static enum tempera_status loss_soft(const struct operation_inputs *in, void *to, size_t *n_out)
{
    float *out = to;
    struct tempera_matrix z = matrix_of(in, in->z), g = tempera_matrix_f32(out, in->rows, in->n);
    struct tempera_matrix probs = matrix_of(in, in->other);
    struct tempera_targets targets = {NULL, &probs};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    float lse[OPERATION_MAX_ROWS], entropy[OPERATION_MAX_ROWS], loss[OPERATION_MAX_ROWS];
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs,
                                                    .d_logits = &g,
                                                    .row_loss = loss,
                                                    .row_logsumexp = lse,
                                                    .row_entropy = entropy};
    options.temperature = in->T;
    options.reduction = TEMPERA_REDUCTION_SUM;
    enum tempera_status status =
        tempera_cross_entropy(&z, &targets, &options, &outputs, in->executor);
    for (size_t r = 0; r < in->rows && in->n >= 3; r++) {
        out[r * in->n] = loss[r];
        out[r * in->n + 1] = lse[r];
        out[r * in->n + 2] = entropy[r];
    }
    *n_out = in->rows * in->n;
    return status;
}

// Every mask word another, everything before the softmax, and a sink.
static enum tempera_status attention(const struct operation_inputs *in, void *to, size_t *n_out)
{
    float *out = to;
    static uint32_t mask[OPERATION_MAX_COLS / 32 + 1];
    static float sinks[OPERATION_MAX_ROWS];
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
    *n_out = in->rows * in->n;
    return tempera_softmax(&z, &options, &p, NULL, in->executor);
}

// Logits and gradient of 16 bits, in place, with smoothing.
static enum tempera_status loss_bf16(const struct operation_inputs *in, void *out, size_t *n_out)
{
    struct tempera_matrix z = {out, TEMPERA_BF16, in->rows, in->n, in->n};
    int32_t classes[OPERATION_MAX_ROWS] = {0};
    struct tempera_targets targets = {classes, NULL};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs, .d_logits = &z};
    options.temperature = in->T;
    options.reduction = TEMPERA_REDUCTION_SUM;
    options.label_smoothing = 0.1f;
    *n_out = in->rows * in->n;
    memcpy(out, in->halves, *n_out * sizeof *in->halves);
    return tempera_cross_entropy(&z, &targets, &options, &outputs, in->executor);
}

static enum tempera_status softmax_16bit(const struct operation_inputs *in,
                                         enum tempera_dtype dtype, bool log, void *out,
                                         size_t *n_out)
{
    struct tempera_matrix z = {(void *)(uintptr_t)in->halves, dtype, in->rows, in->n, in->n};
    struct tempera_matrix p = {out, dtype, in->rows, in->n, in->n};
    struct tempera_softmax_options options = options_of(in);
    *n_out = in->rows * in->n;
    return log ? tempera_log_softmax(&z, &options, &p, NULL, in->executor)
               : tempera_softmax(&z, &options, &p, NULL, in->executor);
}

static enum tempera_status softmax_f16(const struct operation_inputs *in, void *out, size_t *n_out)
{
    return softmax_16bit(in, TEMPERA_F16, false, out, n_out);
}

static enum tempera_status softmax_bf16(const struct operation_inputs *in, void *out, size_t *n_out)
{
    return softmax_16bit(in, TEMPERA_BF16, false, out, n_out);
}

static enum tempera_status log_softmax_f16(const struct operation_inputs *in, void *out,
                                           size_t *n_out)
{
    return softmax_16bit(in, TEMPERA_F16, true, out, n_out);
}

static enum tempera_status log_softmax_bf16(const struct operation_inputs *in, void *out,
                                            size_t *n_out)
{
    return softmax_16bit(in, TEMPERA_BF16, true, out, n_out);
}

// The distributions that a chain leaves of rows, and in each row's first place its token.
static enum tempera_status sample(const struct operation_inputs *in,
                                  const struct tempera_stage *stages, size_t n_stages, float *out,
                                  size_t *n_out)
{
    struct tempera_matrix z = matrix_of(in, in->z), p = tempera_matrix_f32(out, in->rows, in->n);
    struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
    struct tempera_sample_row rows[OPERATION_MAX_ROWS];
    struct tempera_sample_result results[OPERATION_MAX_ROWS];
    size_t nbytes = tempera_sample_scratch_nbytes(&z, &sampler, in->executor);
    void *scratch = aligned_alloc(64, nbytes);
    for (size_t r = 0; r < in->rows; r++)
        rows[r] = (struct tempera_sample_row){.sampler = &sampler, .seed = 1};
    enum tempera_status status =
        tempera_sampler_probs(&z, rows, &p, results, scratch, nbytes, in->executor);
    for (size_t r = 0; r < in->rows; r++)
        out[r * in->n] = (float)results[r].token;
    free(scratch);
    *n_out = in->rows * in->n;
    return status;
}

static enum tempera_status sample_ranks(const struct operation_inputs *in, void *to, size_t *n_out)
{
    float *out = to;
    const struct tempera_stage stages[] = {tempera_stage_temperature(in->T),
                                           tempera_stage_top_p(0.9f), tempera_stage_top_k(50)};
    return sample(in, stages, 3, out, n_out);
}

static enum tempera_status sample_typical(const struct operation_inputs *in, void *to,
                                          size_t *n_out)
{
    float *out = to;
    const struct tempera_stage stages[] = {tempera_stage_temperature(in->T),
                                           tempera_stage_typical(0.8f)};
    return sample(in, stages, 2, out, n_out);
}

static enum tempera_status sample_thresholds(const struct operation_inputs *in, void *to,
                                             size_t *n_out)
{
    float *out = to;
    const struct tempera_stage stages[] = {tempera_stage_top_n_sigma(2.5f),
                                           tempera_stage_temperature(in->T),
                                           tempera_stage_eta(1e-4f), tempera_stage_p_less()};
    return sample(in, stages, 4, out, n_out);
}

const struct operation operations[N_OPERATIONS] = {
    {"softmax", softmax, TEMPERA_F32, false},
    {"log_softmax", log_softmax, TEMPERA_F32, false},
    {"logsumexp", logsumexp, TEMPERA_F32, false},
    {"backward", backward, TEMPERA_F32, false},
    {"distill_kl", distill_kl, TEMPERA_F32, false},
    {"distill_mixture", distill_mixture, TEMPERA_F32, false},
    {"solve", solve, TEMPERA_F32, false},
    {"shards", shards, TEMPERA_F32, false},
    {"cross_entropy", cross_entropy, TEMPERA_F32, true},
    {"attention", attention, TEMPERA_F32, true},
    {"softmax_f16", softmax_f16, TEMPERA_F16, false},
    {"softmax_bf16", softmax_bf16, TEMPERA_BF16, false},
    {"log_softmax_f16", log_softmax_f16, TEMPERA_F16, false},
    {"log_softmax_bf16", log_softmax_bf16, TEMPERA_BF16, false},
    {"loss_options", loss_options, TEMPERA_F32, false},
    {"sample_ranks", sample_ranks, TEMPERA_F32, false},
    {"sample_typical", sample_typical, TEMPERA_F32, false},
    {"sample_thresholds", sample_thresholds, TEMPERA_F32, false},
    {"loss_soft", loss_soft, TEMPERA_F32, false},
    {"loss_bf16", loss_bf16, TEMPERA_BF16, false},
};

const struct operation *operation_named(const char *name)
{
    for (size_t i = 0; i < N_OPERATIONS; i++)
        if (strcmp(operations[i].name, name) == 0)
            return &operations[i];
    return NULL;
}
