// SPDX-License-Identifier: MIT
#include "model/diagnose.h"

#include <math.h>
#include <stdio.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/half.h"
#include "model/layer_ops.h"
#include "model/linear.h"
#include "model/transformer.h"

// On the bits as integers, which compilers vectorise.
bool tempera_all_finite(const float *x, size_t n)
{
    const uint32_t exponent = 0x7F800000u;
    uint32_t found = 0;
    for (size_t i = 0; i < n; i++)
        found |= (tempera_float_bits(x[i]) & exponent) == exponent;
    return found == 0;
}

static enum tempera_status check_weights(const struct tempera_model *model,
                                         struct tempera_error *error)
{
    for (size_t i = 0; i < model->n_table; i++) {
        const struct tempera_parameter *p = &model->table[i];
        size_t n = p->rows * p->cols, at = 0;
        if (tempera_all_finite(p->data, n))
            continue;
        while (isfinite(p->data[at]))
            at++;
        return tempera_fail(error, TEMPERA_NAN_INPUT,
                            "the model's weights are damaged: the tensor %s holds %g in row "
                            "%zu, column %zu: fetch or train the model again",
                            p->name, (double)p->data[at], at / p->cols, at % p->cols);
    }
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Outputs

struct diagnosis {
    const struct tempera_model *model;
    struct tempera_error *error;
};

static float largest(const float *x, size_t n)
{
    float max = 0;
    for (size_t i = 0; i < n; i++)
        max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
    return max;
}

// Blames the tensor with the largest weight among the first n of the table, which all take part in
// the output that isn't finite.
static enum tempera_status blame(const struct diagnosis *d, const char *where, const char *what,
                                 size_t n)
{
    const struct tempera_parameter *table = d->model->table, *worst = table;
    float max = 0;
    for (size_t i = 0; i < n; i++) {
        float here = largest(table[i].data, table[i].rows * table[i].cols);
        if (here > max) {
            max = here;
            worst = &table[i];
        }
    }
    return tempera_fail(d->error, TEMPERA_NAN_INPUT,
                        "%s: the output of %s isn't finite; all weights are, but %s holds "
                        "values up to %g",
                        where, what, worst->name, (double)max);
}

// The outputs of a layer, in the order of computation. n_used: tensors of the layer that each
// depends on.
static enum tempera_status check_layer(const struct diagnosis *d, size_t layer,
                                       const struct tempera_activations *a, const float *out,
                                       size_t N)
{
    enum { FIRST = 1, PER_LAYER = 9 }; // tensors before the layers, and of each
    size_t D = d->model->config.dim, F = d->model->config.hidden_dim, KV = d->model->kv_dim;
    const struct {
        const char *name;
        const float *x;
        size_t cols, n_used;
    } outputs[] = {
        {"attn_norm", a->norm1, D, 1},   {"attn_q", a->q, D, 2},
        {"attn_k", a->k, KV, 3},         {"attn_v", a->v, KV, 4},
        {"the attention", a->o, D, 4},   {"attn_output", a->x_mid, D, 5},
        {"ffn_norm", a->norm2, D, 6},    {"ffn_gate", a->gate, F, 7},
        {"ffn_up", a->up, F, 8},         {"SwiGLU", a->hidden, F, 8},
        {"ffn_down", out, D, PER_LAYER},
    };
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        char where[32];
        if (tempera_all_finite(outputs[i].x, N * outputs[i].cols))
            continue;
        snprintf(where, sizeof where, "layer %zu", layer);
        return blame(d, where, outputs[i].name, FIRST + layer * PER_LAYER + outputs[i].n_used);
    }
    return TEMPERA_OK;
}

static enum tempera_status check_scores(const struct diagnosis *d, struct tempera_workspace *ws,
                                        size_t N, const struct tempera_executor *executor)
{
    const struct tempera_model *model = d->model;
    size_t D = model->config.dim, V = model->config.vocab_size;
    for (size_t at = 0; at < N; at += ws->logit_rows) {
        size_t n = N - at < ws->logit_rows ? N - at : ws->logit_rows;
        tempera_linear(ws->norm + at * D, model->output, n, D, V, ws->logits, false, executor);
        if (!tempera_all_finite(ws->logits, n * V))
            return blame(d, "the scores", "the last product", model->n_table);
    }
    return TEMPERA_OK;
}

enum tempera_status tempera_model_diagnose(const struct tempera_model *model,
                                           struct tempera_workspace *workspace,
                                           const int32_t *tokens, size_t B, size_t T,
                                           const struct tempera_executor *executor,
                                           struct tempera_error *error)
{
    const struct diagnosis d = {model, error};
    struct tempera_workspace *ws = workspace;
    size_t N = B * T, D = model->config.dim, n_layers = model->config.n_layers;
    TEMPERA_TRY(check_weights(model, error));
    tempera_embed(model->embedding, tokens, N, D, ws->layers[0].x, executor);
    for (size_t i = 0; i < n_layers; i++) {
        const float *out = tempera_model_layer_forward(model, ws, i, B, T, executor);
        // Without a backward pass a layer's output lies where its input was, which is no longer
        // needed.
        TEMPERA_TRY(check_layer(&d, i, &ws->layers[i], out, N));
    }
    tempera_rmsnorm(ws->x, model->output_norm, model->config.rms_epsilon, N, D, ws->norm,
                    ws->inverse, executor);
    if (!tempera_all_finite(ws->norm, N * D))
        return blame(&d, "after the layers", "output_norm", 2 + n_layers * 9);
    return check_scores(&d, ws, N, executor);
}

enum tempera_status tempera_model_diagnose_text(const struct tempera_model *model,
                                                const int32_t *tokens, size_t n,
                                                const struct tempera_executor *executor,
                                                struct tempera_error *error)
{
    enum { WINDOW = 128 };
    struct tempera_workspace *ws = NULL;
    size_t T = n < WINDOW ? n : WINDOW;
    enum tempera_status status = check_weights(model, error);
    if (status == TEMPERA_OK && tempera_workspace_open(&ws, model, 1, T, false) == TEMPERA_OK)
        for (size_t at = 0; at < n && status == TEMPERA_OK; at += T) {
            size_t length = n - at < T ? n - at : T;
            status = tempera_model_diagnose(model, ws, tokens + at, 1, length, executor, error);
        }
    tempera_workspace_close(&ws);
    if (status == TEMPERA_OK)
        return tempera_fail(error, TEMPERA_NAN_INPUT,
                            "the model's scores after %zu tokens are not finite, though all "
                            "weights are",
                            n);
    return status;
}
