// SPDX-License-Identifier: MIT
// Whole sequences: scores, loss and gradients. The last product and the loss go in pieces of a
// few hundred rows, each from scores to gradient in place, so that no [N, V] matrix is held.
#include <tempera/loss.h>

#include "model/products.h"
#include "model/workspace.h"

static bool in_range(const int32_t *ids, size_t n, size_t vocab_size, bool may_ignore)
{
    for (size_t i = 0; i < n; i++)
        if ((ids[i] < 0 || (size_t)ids[i] >= vocab_size) &&
            !(may_ignore && ids[i] == TEMPERA_IGNORE_INDEX))
            return false;
    return true;
}

static bool same_shape(const struct tempera_model_config *a, const struct tempera_model_config *b)
{
    return a->vocab_size == b->vocab_size && a->n_layers == b->n_layers && a->dim == b->dim &&
           a->n_heads == b->n_heads && a->n_kv_heads == b->n_kv_heads &&
           a->hidden_dim == b->hidden_dim && a->rope_base == b->rope_base;
}

static enum tempera_status check(const struct tempera_model *model,
                                 const struct tempera_workspace *ws, const int32_t *tokens,
                                 size_t B, size_t T)
{
    if (model == NULL || ws == NULL || tokens == NULL)
        return TEMPERA_INVALID_ARGUMENT;
    if (B == 0 || T == 0 || B > ws->B || T > ws->T || !same_shape(&ws->config, &model->config))
        return TEMPERA_INVALID_ARGUMENT;
    if (!in_range(tokens, B * T, model->config.vocab_size, false))
        return TEMPERA_TOKEN_OUT_OF_RANGE;
    return tempera_matmul_start();
}

enum tempera_status tempera_model_logits(const struct tempera_model *model,
                                         struct tempera_workspace *workspace, const int32_t *tokens,
                                         size_t B, size_t T, float *logits,
                                         const struct tempera_executor *executor)
{
    if (logits == NULL)
        return TEMPERA_INVALID_ARGUMENT;
    enum tempera_status status = check(model, workspace, tokens, B, T);
    if (status != TEMPERA_OK)
        return status;
    tempera_model_forward(model, workspace, tokens, B, T, executor);
    tempera_linear(workspace->norm, model->output, B * T, model->config.dim,
                   model->config.vocab_size, logits, false, executor);
    return TEMPERA_OK;
}

// What the pieces of the loss share.
struct loss_pass {
    const struct tempera_model *model;
    struct tempera_workspace *ws;
    const int32_t *targets;
    float *gradients; // or NULL
    struct tempera_cross_entropy_options options;
    const struct tempera_executor *executor;
};

// Rows [first, first + n): logits, loss, and their gradient back to norm and the output matrix.
static enum tempera_status loss_piece(const struct loss_pass *pass, size_t first, size_t n,
                                      double *loss)
{
    const struct tempera_model *model = pass->model;
    size_t D = model->config.dim, V = model->config.vocab_size;
    const float *norm = pass->ws->norm + first * D;
    float *rows = pass->ws->logits;
    tempera_linear(norm, model->output, n, D, V, rows, false, pass->executor);
    struct tempera_matrix logits = tempera_matrix_f32(rows, n, V);
    struct tempera_targets targets = {.classes = pass->targets + first};
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs, .loss = loss};
    if (pass->gradients != NULL)
        outputs.d_logits = &logits;
    enum tempera_status status =
        tempera_cross_entropy(&logits, &targets, &pass->options, &outputs, pass->executor);
    if (pass->gradients != NULL && status < TEMPERA_INVALID_ARGUMENT) {
        float *d_output = pass->gradients + (model->output - model->weights);
        tempera_linear_backward_input(rows, model->output, n, D, V,
                                      pass->ws->back.d_norm + first * D, false, pass->executor);
        tempera_linear_backward_weight(rows, norm, n, D, V, d_output, pass->executor);
    }
    return status;
}

static size_t count_targets(const int32_t *targets, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += targets[i] != TEMPERA_IGNORE_INDEX;
    return count;
}

enum tempera_status tempera_model_loss(const struct tempera_model *model,
                                       struct tempera_workspace *workspace, const int32_t *tokens,
                                       const int32_t *targets, size_t B, size_t T, float *gradients,
                                       float gradient_scale, double *loss, size_t *count,
                                       const struct tempera_executor *executor)
{
    enum tempera_status status = check(model, workspace, tokens, B, T);
    if (status != TEMPERA_OK)
        return status;
    size_t N = B * T;
    if (targets == NULL || loss == NULL || (gradients != NULL && !workspace->backward))
        return TEMPERA_INVALID_ARGUMENT;
    if (!in_range(targets, N, model->config.vocab_size, true))
        return TEMPERA_TARGET_OUT_OF_RANGE;
    size_t n_counted = count_targets(targets, N);
    double divisor = n_counted > 0 ? (double)n_counted : 1, sum = 0;
    struct loss_pass pass = {
        model, workspace, targets, gradients, tempera_cross_entropy_options_default(), executor};
    pass.options.reduction = TEMPERA_REDUCTION_SUM;
    pass.options.gradient_scale = (float)((double)gradient_scale / divisor);
    tempera_model_forward(model, workspace, tokens, B, T, executor);
    for (size_t first = 0; first < N && status < TEMPERA_INVALID_ARGUMENT;
         first += TEMPERA_LOGIT_ROWS) {
        size_t n = N - first < TEMPERA_LOGIT_ROWS ? N - first : TEMPERA_LOGIT_ROWS;
        double piece = 0;
        enum tempera_status worst = loss_piece(&pass, first, n, &piece);
        status = worst > status ? worst : status;
        sum += piece;
    }
    if (gradients != NULL && status < TEMPERA_INVALID_ARGUMENT)
        tempera_model_backward(model, workspace, tokens, B, T, gradients, executor);
    *loss = sum / divisor;
    if (count != NULL)
        *count = n_counted;
    return status;
}
