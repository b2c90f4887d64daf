// SPDX-License-Identifier: MIT
// A layer forward, and backward in mirror image below it. N = B T rows, D = dim, KV = G E: G
// key-value heads of size E, F = hidden_dim.
#include "model/transformer.h"

#include <string.h>

#include "model/attention.h"
#include "model/layer_ops.h"
#include "model/linear.h"
#include "model/workspace.h"

static struct tempera_attention attention_of(const struct tempera_model *model,
                                             const struct tempera_activations *a, size_t B,
                                             size_t T)
{
    return (struct tempera_attention){
        .B = B,
        .n = T,
        .n_heads = model->config.n_heads,
        .n_kv_heads = model->config.n_kv_heads,
        .head_dim = model->head_dim,
        .q = a->q,
        .k = a->k,
        .v = a->v,
        .p = a->p,
        .o = a->o,
    };
}

// x_mid = x + attention(norm1(x)) Wo^T;  out = x_mid + swiglu(norm2(x_mid)) Wdown^T
static void layer_forward(const struct tempera_model *model, const struct tempera_layer_weights *w,
                          struct tempera_activations *a, const float *rope, size_t B, size_t T,
                          float *out, const struct tempera_executor *executor)
{
    const struct tempera_model_config *c = &model->config;
    size_t N = B * T, D = c->dim, F = c->hidden_dim, KV = model->kv_dim, E = model->head_dim;
    tempera_rmsnorm(a->x, w->attn_norm, c->rms_epsilon, N, D, a->norm1, a->inverse1, executor);
    tempera_linear(a->norm1, w->attn_q, N, D, D, a->q, false, executor);
    tempera_linear(a->norm1, w->attn_k, N, D, KV, a->k, false, executor);
    tempera_linear(a->norm1, w->attn_v, N, D, KV, a->v, false, executor);
    tempera_rope(a->q, rope, N, c->n_heads, E, 0, T, false, executor);
    tempera_rope(a->k, rope, N, c->n_kv_heads, E, 0, T, false, executor);
    struct tempera_attention attention = attention_of(model, a, B, T);
    tempera_attention_forward(&attention, executor);
    memcpy(a->x_mid, a->x, N * D * sizeof *a->x);
    tempera_linear(a->o, w->attn_output, N, D, D, a->x_mid, true, executor);

    tempera_rmsnorm(a->x_mid, w->ffn_norm, c->rms_epsilon, N, D, a->norm2, a->inverse2, executor);
    tempera_linear(a->norm2, w->ffn_gate, N, D, F, a->gate, false, executor);
    tempera_linear(a->norm2, w->ffn_up, N, D, F, a->up, false, executor);
    tempera_swiglu(a->gate, a->up, N, F, a->hidden, executor);
    memmove(out, a->x_mid, N * D * sizeof *out);
    tempera_linear(a->hidden, w->ffn_down, N, F, D, out, true, executor);
}

const float *tempera_model_layer_forward(const struct tempera_model *model,
                                         struct tempera_workspace *workspace, size_t layer,
                                         size_t B, size_t T,
                                         const struct tempera_executor *executor)
{
    struct tempera_workspace *ws = workspace;
    bool last = layer + 1 == model->config.n_layers;
    float *out = last ? ws->x : ws->layers[layer + 1].x;
    layer_forward(model, &model->layers[layer], &ws->layers[layer], ws->rope, B, T, out, executor);
    return out;
}

void tempera_model_forward(const struct tempera_model *model, struct tempera_workspace *workspace,
                           const int32_t *tokens, size_t B, size_t T,
                           const struct tempera_executor *executor)
{
    const struct tempera_model_config *c = &model->config;
    struct tempera_workspace *ws = workspace;
    size_t N = B * T;
    tempera_embed(model->embedding, tokens, N, c->dim, ws->layers[0].x, executor);
    for (size_t i = 0; i < c->n_layers; i++)
        tempera_model_layer_forward(model, ws, i, B, T, executor);
    tempera_rmsnorm(ws->x, model->output_norm, c->rms_epsilon, N, c->dim, ws->norm, ws->inverse,
                    executor);
}

// ------------------------------------------------------------------------------------------------
// Backward

// The gradient of a weight is at the offset of the weight in the block.
static float *gradient_of(const struct tempera_model *model, float *gradients, const float *weight)
{
    return gradients + (weight - model->weights);
}

// back.d_x is dloss/dout on entry and dloss/dx on return.
static void layer_backward(const struct tempera_model *model, const struct tempera_layer_weights *w,
                           const struct tempera_activations *a, struct tempera_workspace *ws,
                           size_t B, size_t T, float *gradients,
                           const struct tempera_executor *executor)
{
    const struct tempera_model_config *c = &model->config;
    struct tempera_backward *b = &ws->back;
    size_t N = B * T, D = c->dim, F = c->hidden_dim, KV = model->kv_dim, E = model->head_dim;
#define GRADIENT(tensor) gradient_of(model, gradients, w->tensor)
    // out = x_mid + hidden Wdown^T
    tempera_linear_backward_input(b->d_x, w->ffn_down, N, F, D, b->d_hidden, false, executor);
    tempera_linear_backward_weight(b->d_x, a->hidden, N, F, D, GRADIENT(ffn_down), executor);
    // hidden = silu(gate) up
    float *d_up = b->d_hidden;
    tempera_swiglu_backward(b->d_hidden, a->gate, a->up, N, F, b->d_gate, d_up, executor);
    // gate = norm2 Wgate^T, up = norm2 Wup^T
    tempera_linear_backward_input(b->d_gate, w->ffn_gate, N, D, F, b->d_norm, false, executor);
    tempera_linear_backward_input(d_up, w->ffn_up, N, D, F, b->d_norm, true, executor);
    tempera_linear_backward_weight(b->d_gate, a->norm2, N, D, F, GRADIENT(ffn_gate), executor);
    tempera_linear_backward_weight(d_up, a->norm2, N, D, F, GRADIENT(ffn_up), executor);
    // norm2 = rmsnorm(x_mid)
    tempera_rmsnorm_backward(b->d_norm, a->x_mid, w->ffn_norm, a->inverse2, N, D, b->d_x,
                             GRADIENT(ffn_norm), executor);

    // x_mid = x + o Wo^T
    tempera_linear_backward_input(b->d_x, w->attn_output, N, D, D, b->d_o, false, executor);
    tempera_linear_backward_weight(b->d_x, a->o, N, D, D, GRADIENT(attn_output), executor);
    // o = attention(q, k, v)
    struct tempera_attention attention = attention_of(model, a, B, T);
    attention.d_o = b->d_o;
    attention.d_q = b->d_q;
    attention.d_k = b->d_k;
    attention.d_v = b->d_v;
    attention.scratch = b->attention;
    tempera_attention_backward(&attention, executor);
    tempera_rope(b->d_q, ws->rope, N, c->n_heads, E, 0, T, true, executor);
    tempera_rope(b->d_k, ws->rope, N, c->n_kv_heads, E, 0, T, true, executor);
    // q = norm1 Wq^T, k = norm1 Wk^T, v = norm1 Wv^T
    tempera_linear_backward_input(b->d_q, w->attn_q, N, D, D, b->d_norm, false, executor);
    tempera_linear_backward_input(b->d_k, w->attn_k, N, D, KV, b->d_norm, true, executor);
    tempera_linear_backward_input(b->d_v, w->attn_v, N, D, KV, b->d_norm, true, executor);
    tempera_linear_backward_weight(b->d_q, a->norm1, N, D, D, GRADIENT(attn_q), executor);
    tempera_linear_backward_weight(b->d_k, a->norm1, N, D, KV, GRADIENT(attn_k), executor);
    tempera_linear_backward_weight(b->d_v, a->norm1, N, D, KV, GRADIENT(attn_v), executor);
    // norm1 = rmsnorm(x)
    tempera_rmsnorm_backward(b->d_norm, a->x, w->attn_norm, a->inverse1, N, D, b->d_x,
                             GRADIENT(attn_norm), executor);
#undef GRADIENT
}

void tempera_model_backward(const struct tempera_model *model, struct tempera_workspace *workspace,
                            const int32_t *tokens, size_t B, size_t T, float *gradients,
                            const struct tempera_executor *executor)
{
    const struct tempera_model_config *c = &model->config;
    struct tempera_workspace *ws = workspace;
    size_t N = B * T, D = c->dim;
    memset(ws->back.d_x, 0, N * D * sizeof *ws->back.d_x);
    tempera_rmsnorm_backward(ws->back.d_norm, ws->x, model->output_norm, ws->inverse, N, D,
                             ws->back.d_x, gradient_of(model, gradients, model->output_norm),
                             executor);
    for (size_t i = c->n_layers; i-- > 0;)
        layer_backward(model, &model->layers[i], &ws->layers[i], ws, B, T, gradients, executor);
    tempera_embed_backward(ws->back.d_x, tokens, N, D,
                           gradient_of(model, gradients, model->embedding), executor);
}
