// SPDX-License-Identifier: MIT
#include "base/fpenv.h"
#include "model/workspace.h"

#include <stdlib.h>

#include <tempera/linear_loss.h>

#include "base/memory.h"
#include "model/attention.h"
#include "model/layer_ops.h"

// Divides one block. Run twice: with block NULL it only counts.
struct arena {
    float *block;
    size_t used;
    bool overflow;
};

static float *take(struct arena *arena, size_t rows, size_t cols)
{
    const size_t unit = 16; // floats: each array starts a cache line
    size_t count;
    if (!tempera_size_mul(rows, cols, &count) || !tempera_size_add(count, unit - 1, &count) ||
        !tempera_size_add(arena->used, count - count % unit, &count)) {
        arena->overflow = true;
        return NULL;
    }
    float *piece = arena->block != NULL ? arena->block + arena->used : NULL;
    arena->used = count;
    return piece;
}

static void take_layer(struct arena *arena, struct tempera_activations *a,
                       const struct tempera_model *model, size_t B, size_t T)
{
    size_t N = B * T, D = model->config.dim, F = model->config.hidden_dim, KV = model->kv_dim;
    a->x = take(arena, N, D);
    a->norm1 = take(arena, N, D);
    a->inverse1 = take(arena, N, 1);
    a->q = take(arena, N, D);
    a->k = take(arena, N, KV);
    a->v = take(arena, N, KV);
    a->p = take(arena, N * model->config.n_heads, T);
    a->o = take(arena, N, D);
    a->x_mid = take(arena, N, D);
    a->norm2 = take(arena, N, D);
    a->inverse2 = take(arena, N, 1);
    a->gate = take(arena, N, F);
    a->up = take(arena, N, F);
    a->hidden = take(arena, N, F);
}

static void take_backward(struct arena *arena, struct tempera_backward *b,
                          const struct tempera_model *model, size_t B, size_t T)
{
    size_t N = B * T, D = model->config.dim, F = model->config.hidden_dim, KV = model->kv_dim;
    b->d_x = take(arena, N, D);
    b->d_norm = take(arena, N, D);
    b->d_q = take(arena, N, D);
    b->d_k = take(arena, N, KV);
    b->d_v = take(arena, N, KV);
    b->d_o = take(arena, N, D);
    b->d_gate = take(arena, N, F);
    b->d_hidden = take(arena, N, F);
    b->attention = take(arena, B * model->config.n_kv_heads, tempera_attention_scratch(T));
}

// Without a backward pass all layers use the same activations.
static void take_all(struct arena *arena, struct tempera_workspace *w,
                     const struct tempera_model *model)
{
    size_t N = w->B * w->T, D = model->config.dim;
    w->rope = take(arena, w->T, model->head_dim);
    take_layer(arena, &w->layers[0], model, w->B, w->T);
    for (size_t i = 1; i < model->config.n_layers; i++) {
        if (w->backward)
            take_layer(arena, &w->layers[i], model, w->B, w->T);
        else
            w->layers[i] = w->layers[0];
    }
    w->x = take(arena, N, D);
    w->norm = take(arena, N, D);
    w->inverse = take(arena, N, 1);
    w->logits = take(arena, w->logits_nbytes / sizeof *w->logits, 1);
    if (w->backward)
        take_backward(arena, &w->back, model, w->B, w->T);
}

static enum tempera_status workspace_open_guarded(struct tempera_workspace **workspace,
                                                  const struct tempera_model *model, size_t B,
                                                  size_t T, bool backward)
{
    size_t N;
    if (workspace == NULL || model == NULL)
        return TEMPERA_INVALID_ARGUMENT;
    if (B == 0 || T == 0 || T > model->config.context_length || !tempera_size_mul(B, T, &N))
        return TEMPERA_INVALID_ARGUMENT;
    struct tempera_workspace *w = tempera_alloc(1, sizeof *w);
    if (w == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    w->config = model->config;
    w->B = B;
    w->T = T;
    w->backward = backward;
    size_t V = model->config.vocab_size;
    w->logits_nbytes = tempera_linear_cross_entropy_scratch_nbytes(N, V, 0);
    w->logit_rows = w->logits_nbytes / (V * sizeof *w->logits);
    struct arena arena = {NULL, 0, w->logits_nbytes == 0};
    w->layers = tempera_alloc(model->config.n_layers, sizeof *w->layers);
    if (w->layers != NULL)
        take_all(&arena, w, model);
    if (w->layers != NULL && !arena.overflow)
        w->block = tempera_alloc(arena.used, sizeof *w->block);
    if (w->block == NULL) {
        tempera_workspace_close(&w);
        return TEMPERA_OUT_OF_MEMORY;
    }
    arena = (struct arena){w->block, 0, false};
    take_all(&arena, w, model);
    tempera_rope_table(0, T, model->head_dim, model->config.rope_base, w->rope);
    *workspace = w;
    return TEMPERA_OK;
}

enum tempera_status tempera_workspace_open(struct tempera_workspace **workspace,
                                           const struct tempera_model *model, size_t B, size_t T,
                                           bool backward)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = workspace_open_guarded(workspace, model, B, T, backward);
    tempera_fpenv_leave(env);
    return status;
}

void tempera_workspace_close(struct tempera_workspace **workspace)
{
    if (workspace == NULL || *workspace == NULL)
        return;
    free((*workspace)->layers);
    free((*workspace)->block);
    free(*workspace);
    *workspace = NULL;
}
