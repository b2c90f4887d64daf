// SPDX-License-Identifier: MIT
// Whole sequences: scores, loss and gradients. The last product and the loss go in chunks of as
// many rows as 14.5 MB of scores hold, each from scores to gradient in place: no [N, V] matrix is
// held.
#include <tempera/linear_loss.h>

#include "base/arguments.h"
#include "base/fpenv.h"
#include "model/linear.h"
#include "model/transformer.h"
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

static enum tempera_status model_logits_guarded(const struct tempera_model *model,
                                                struct tempera_workspace *workspace,
                                                const int32_t *tokens, size_t B, size_t T,
                                                float *logits,
                                                const struct tempera_executor *executor)
{
    if (logits == NULL)
        return TEMPERA_INVALID_ARGUMENT;
    TEMPERA_TRY(check(model, workspace, tokens, B, T));
    tempera_model_forward(model, workspace, tokens, B, T, executor);
    tempera_linear(workspace->norm, model->output, B * T, model->config.dim,
                   model->config.vocab_size, logits, false, executor);
    return TEMPERA_OK;
}

enum tempera_status tempera_model_logits(const struct tempera_model *model,
                                         struct tempera_workspace *workspace, const int32_t *tokens,
                                         size_t B, size_t T, float *logits,
                                         const struct tempera_executor *executor)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status =
        model_logits_guarded(model, workspace, tokens, B, T, logits, executor);
    tempera_fpenv_leave(env);
    return status;
}

enum tempera_status tempera_model_matmul(void *self, const struct tempera_matmul *product,
                                         const struct tempera_executor *executor)
{
    (void)self;
    TEMPERA_TRY(tempera_matmul_start());
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_matmul_parallel(product, executor);
    tempera_fpenv_leave(env);
    return TEMPERA_OK;
}

static enum tempera_status model_loss_guarded(const struct tempera_model *model,
                                              struct tempera_workspace *workspace,
                                              const int32_t *tokens, const int32_t *targets,
                                              size_t B, size_t T, float *gradients,
                                              float gradient_scale, double *loss, size_t *count,
                                              const struct tempera_executor *executor)
{
    TEMPERA_TRY(check(model, workspace, tokens, B, T));
    size_t N = B * T;
    if (targets == NULL || loss == NULL || (gradients != NULL && !workspace->backward))
        return TEMPERA_INVALID_ARGUMENT;
    if (!in_range(targets, N, model->config.vocab_size, true))
        return TEMPERA_TARGET_OUT_OF_RANGE;
    const size_t D = model->config.dim, V = model->config.vocab_size;
    struct tempera_matrix hidden = tempera_matrix_f32(workspace->norm, N, D);
    struct tempera_matrix head = tempera_matrix_const_f32(model->output, V, D);
    struct tempera_matrix d_hidden = tempera_matrix_f32(workspace->back.d_norm, N, D), d_head;
    struct tempera_linear_head linear = {.struct_size = sizeof linear,
                                         .hidden = &hidden,
                                         .head = &head,
                                         .matmul = tempera_model_matmul};
    if (gradients != NULL) {
        d_head = tempera_matrix_f32(gradients + (model->output - model->weights), V, D);
        linear.d_hidden = &d_hidden;
        linear.d_head = &d_head;
    }
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    options.gradient_scale = gradient_scale;
    const struct tempera_cross_entropy_outputs outputs = {
        .struct_size = sizeof outputs, .loss = loss, .count = count};
    tempera_model_forward(model, workspace, tokens, B, T, executor);
    enum tempera_status status =
        tempera_linear_cross_entropy(&linear, targets, &options, &outputs, workspace->logits,
                                     workspace->logits_nbytes, executor);
    if (gradients != NULL && status < TEMPERA_INVALID_ARGUMENT)
        tempera_model_backward(model, workspace, tokens, B, T, gradients, executor);
    return status;
}

enum tempera_status tempera_model_loss(const struct tempera_model *model,
                                       struct tempera_workspace *workspace, const int32_t *tokens,
                                       const int32_t *targets, size_t B, size_t T, float *gradients,
                                       float gradient_scale, double *loss, size_t *count,
                                       const struct tempera_executor *executor)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&gradient_scale);
    enum tempera_status status = model_loss_guarded(
        model, workspace, tokens, targets, B, T, gradients, gradient_scale, loss, count, executor);
    tempera_fpenv_leave(env);
    return status;
}
