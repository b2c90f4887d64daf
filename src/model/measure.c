// SPDX-License-Identifier: MIT
#include "model/measure.h"

#include <tempera/loss.h>

#include "base/arguments.h"
#include "model/diagnose.h"
#include "model/linear.h"
#include "model/transformer.h"

// The losses of rows of scores, also at other temperatures.
static enum tempera_status add_rows(const struct tempera_matrix *logits, const int32_t *classes,
                                    double *nats, struct tempera_temperature_sums *sums,
                                    size_t n_sums, const struct tempera_executor *executor)
{
    // The loss of an infinite score is defined but meaningless: treat it as a NaN.
    if (!tempera_all_finite(logits->data, logits->rows * logits->cols))
        return TEMPERA_NAN_INPUT;
    double loss = 0;
    const struct tempera_targets targets = {.classes = classes};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    options.reduction = TEMPERA_REDUCTION_SUM;
    const struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs,
                                                          .loss = &loss};
    enum tempera_status status =
        tempera_cross_entropy(logits, &targets, &options, &outputs, executor);
    *nats += loss;
    if (status >= TEMPERA_INVALID_ARGUMENT || n_sums == 0)
        return status;
    return tempera_temperature_sums_add(logits, classes, options.ignore_index, sums, n_sums,
                                        executor);
}

enum tempera_status tempera_model_measure(const struct tempera_model *model,
                                          struct tempera_workspace *workspace,
                                          const int32_t *tokens, const int32_t *targets, size_t B,
                                          size_t T, double *nats,
                                          struct tempera_temperature_sums *sums, size_t n_sums,
                                          const struct tempera_executor *executor)
{
    size_t D = model->config.dim, V = model->config.vocab_size, N = B * T;
    const size_t most = workspace->logit_rows;
    TEMPERA_TRY(tempera_matmul_start());
    enum tempera_status status = TEMPERA_OK;
    tempera_model_forward(model, workspace, tokens, B, T, executor);
    for (size_t at = 0; at < N && status < TEMPERA_INVALID_ARGUMENT; at += most) {
        size_t n = N - at < most ? N - at : most;
        struct tempera_matrix logits = tempera_matrix_f32(workspace->logits, n, V);
        tempera_linear(workspace->norm + at * D, model->output, n, D, V, workspace->logits, false,
                       executor);
        enum tempera_status worst = add_rows(&logits, targets + at, nats, sums, n_sums, executor);
        status = worst > status ? worst : status;
        if (worst == TEMPERA_NAN_INPUT)
            break;
    }
    return status;
}
