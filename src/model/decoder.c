// SPDX-License-Identifier: MIT
// Token by token. Keys and values of the past stay in the cache; new tokens go through the layers
// in chunks, the same code for a long prompt and for one token.
#include "model/decoder.h"

#include <stdlib.h>
#include <string.h>

#include "base/arguments.h"
#include "base/fpenv.h"
#include "base/memory.h"
#include "model/attention.h"
#include "model/layer_ops.h"
#include "model/parameters.h"
#include "model/linear.h"

enum { CHUNK = 64 };

struct tempera_decoder {
    const struct tempera_model *model;
    const struct tempera_executor *executor;
    size_t capacity, length;
    size_t n_reserved; // positions that the three below have room for; at most the capacity
    float *rope;       // [n_reserved, E / 2, 2]
    float **keys;      // [n_layers], each [n_reserved, G E]
    float **values;    // [n_layers], each [n_reserved, G E]
    // of one chunk
    float *x, *norm, *q, *o, *inverse; // [CHUNK, D], inverse [CHUNK]
    float *gate, *up;                  // [CHUNK, F]
    float *p;                          // [H, n, past + n] of n_p floats
    size_t n_p;
};

static enum tempera_status allocate(struct tempera_decoder *d)
{
    const struct tempera_model_config *c = &d->model->config;
    size_t L = c->n_layers, D = c->dim, F = c->hidden_dim;
    d->keys = tempera_alloc(L, sizeof *d->keys);
    d->values = tempera_alloc(L, sizeof *d->values);
    d->x = tempera_alloc(CHUNK, D * sizeof *d->x);
    d->norm = tempera_alloc(CHUNK, D * sizeof *d->norm);
    d->q = tempera_alloc(CHUNK, D * sizeof *d->q);
    d->o = tempera_alloc(CHUNK, D * sizeof *d->o);
    d->inverse = tempera_alloc(CHUNK, sizeof *d->inverse);
    d->gate = tempera_alloc(CHUNK, F * sizeof *d->gate);
    d->up = tempera_alloc(CHUNK, F * sizeof *d->up);
    bool ok = d->keys != NULL && d->values != NULL && d->x != NULL && d->norm != NULL &&
              d->q != NULL && d->o != NULL && d->inverse != NULL && d->gate != NULL &&
              d->up != NULL;
    return ok ? TEMPERA_OK : TEMPERA_OUT_OF_MEMORY;
}

enum tempera_status tempera_decoder_open(struct tempera_decoder **decoder,
                                         const struct tempera_model *model, size_t n_context,
                                         const struct tempera_executor *executor)
{
    if (decoder == NULL || model == NULL)
        return TEMPERA_INVALID_ARGUMENT;
    size_t most = model->config.context_length;
    if (n_context > most)
        return TEMPERA_INVALID_ARGUMENT;
    TEMPERA_TRY(tempera_matmul_start());
    struct tempera_decoder *d = tempera_alloc(1, sizeof *d);
    if (d == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    d->model = model;
    d->executor = executor;
    d->capacity = n_context == 0 ? most : n_context;
    enum tempera_status status = allocate(d);
    if (status != TEMPERA_OK) {
        tempera_decoder_close(&d);
        return status;
    }
    *decoder = d;
    return TEMPERA_OK;
}

void tempera_decoder_close(struct tempera_decoder **decoder)
{
    if (decoder == NULL || *decoder == NULL)
        return;
    struct tempera_decoder *d = *decoder;
    for (size_t i = 0; i < d->model->config.n_layers; i++) {
        free(d->keys != NULL ? d->keys[i] : NULL);
        free(d->values != NULL ? d->values[i] : NULL);
    }
    float *const buffers[] = {d->rope, d->x, d->norm, d->q, d->o, d->inverse, d->gate, d->up, d->p};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        free(buffers[i]);
    free(d->keys);
    free(d->values);
    free(d);
    *decoder = NULL;
}

size_t tempera_decoder_length(const struct tempera_decoder *decoder)
{
    return decoder->length;
}

size_t tempera_decoder_capacity(const struct tempera_decoder *decoder)
{
    return decoder->capacity;
}

const struct tempera_model *tempera_decoder_model(const struct tempera_decoder *decoder)
{
    return decoder->model;
}

const struct tempera_executor *tempera_decoder_executor(const struct tempera_decoder *decoder)
{
    return decoder->executor;
}

enum tempera_status tempera_decoder_rewind(struct tempera_decoder *decoder, size_t length)
{
    if (length > decoder->length)
        return TEMPERA_INVALID_ARGUMENT;
    decoder->length = length;
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Memory follows the length

// A file may declare a context of millions, of which a text fills a small part: memory grows as
// positions are reached, to twice as many each time, so a position moves at most twice on average.
static size_t grown(size_t had, size_t needed, size_t most)
{
    size_t twice = had > most / 2 ? most : 2 * had;
    return needed > twice ? needed : twice;
}

static bool resize(float **buffer, size_t n, size_t nbytes)
{
    size_t total;
    void *moved = tempera_size_mul(n, nbytes, &total) ? realloc(*buffer, total) : NULL;
    if (moved != NULL)
        *buffer = moved;
    return moved != NULL;
}

// Makes room for positions [0, end). Arrays that grew before another could not do no harm:
// n_reserved is what all of them have room for.
static bool reserve_positions(struct tempera_decoder *d, size_t end)
{
    if (end <= d->n_reserved)
        return true;
    const struct tempera_model *model = d->model;
    size_t row = model->kv_dim * sizeof(float), least = end < CHUNK ? CHUNK : end;
    size_t n = grown(d->n_reserved, least < d->capacity ? least : d->capacity, d->capacity);
    bool ok = resize(&d->rope, n, model->head_dim * sizeof(float));
    for (size_t i = 0; i < model->config.n_layers && ok; i++)
        ok = resize(&d->keys[i], n, row) && resize(&d->values[i], n, row);
    if (!ok)
        return false;
    tempera_rope_table(d->n_reserved, n, model->head_dim, model->config.rope_base, d->rope);
    d->n_reserved = n;
    return true;
}

// Room for the probabilities of chunks of at most n tokens that end at `end`.
static bool reserve_probabilities(struct tempera_decoder *d, size_t n, size_t end)
{
    size_t H = d->model->config.n_heads, chunk = n < CHUNK ? n : CHUNK, needed, most;
    if (!tempera_size_mul(H * chunk, end, &needed) ||
        !tempera_size_mul(H * CHUNK, d->capacity, &most))
        return false;
    if (needed <= d->n_p)
        return true;
    size_t n_p = grown(d->n_p, needed, most);
    if (!resize(&d->p, n_p, sizeof *d->p))
        return false;
    d->n_p = n_p;
    return true;
}

// ------------------------------------------------------------------------------------------------
// A chunk

// x += attention(norm(x)) Wo^T of n tokens that follow `past` ones
static void attend(struct tempera_decoder *d, size_t layer, size_t n)
{
    const struct tempera_model *model = d->model;
    const struct tempera_model_config *c = &model->config;
    const struct tempera_layer_weights *w = &model->layers[layer];
    size_t D = c->dim, KV = model->kv_dim, E = model->head_dim, past = d->length;
    float *k = d->keys[layer] + past * KV, *v = d->values[layer] + past * KV;
    tempera_rmsnorm(d->x, w->attn_norm, c->rms_epsilon, n, D, d->norm, d->inverse, d->executor);
    tempera_linear(d->norm, w->attn_q, n, D, D, d->q, false, d->executor);
    tempera_linear(d->norm, w->attn_k, n, D, KV, k, false, d->executor);
    tempera_linear(d->norm, w->attn_v, n, D, KV, v, false, d->executor);
    tempera_rope(d->q, d->rope, n, c->n_heads, E, past, d->capacity, false, d->executor);
    tempera_rope(k, d->rope, n, c->n_kv_heads, E, past, d->capacity, false, d->executor);
    struct tempera_attention attention = {.B = 1,
                                          .n = n,
                                          .past = past,
                                          .n_heads = c->n_heads,
                                          .n_kv_heads = c->n_kv_heads,
                                          .head_dim = E,
                                          .q = d->q,
                                          .k = d->keys[layer],
                                          .v = d->values[layer],
                                          .p = d->p,
                                          .o = d->o};
    tempera_attention_forward(&attention, d->executor);
    tempera_linear(d->o, w->attn_output, n, D, D, d->x, true, d->executor);
}

// x += swiglu(norm(x)) Wdown^T
static void feed_forward(struct tempera_decoder *d, size_t layer, size_t n)
{
    const struct tempera_model_config *c = &d->model->config;
    const struct tempera_layer_weights *w = &d->model->layers[layer];
    size_t D = c->dim, F = c->hidden_dim;
    tempera_rmsnorm(d->x, w->ffn_norm, c->rms_epsilon, n, D, d->norm, d->inverse, d->executor);
    tempera_linear(d->norm, w->ffn_gate, n, D, F, d->gate, false, d->executor);
    tempera_linear(d->norm, w->ffn_up, n, D, F, d->up, false, d->executor);
    tempera_swiglu(d->gate, d->up, n, F, d->gate, d->executor);
    tempera_linear(d->gate, w->ffn_down, n, F, D, d->x, true, d->executor);
}

static void append_chunk(struct tempera_decoder *d, const int32_t *tokens, size_t n, float *logits)
{
    const struct tempera_model_config *c = &d->model->config;
    tempera_embed(d->model->embedding, tokens, n, c->dim, d->x, d->executor);
    for (size_t layer = 0; layer < c->n_layers; layer++) {
        attend(d, layer, n);
        feed_forward(d, layer, n);
    }
    d->length += n;
    if (logits == NULL)
        return;
    const float *last = d->x + (n - 1) * c->dim;
    tempera_rmsnorm(last, d->model->output_norm, c->rms_epsilon, 1, c->dim, d->norm, d->inverse,
                    d->executor);
    tempera_linear(d->norm, d->model->output, 1, c->dim, c->vocab_size, logits, false, d->executor);
}

static enum tempera_status decoder_append_guarded(struct tempera_decoder *decoder,
                                                  const int32_t *tokens, size_t n, float *logits)
{
    if (decoder == NULL || tokens == NULL || n == 0)
        return TEMPERA_INVALID_ARGUMENT;
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= decoder->model->config.vocab_size)
            return TEMPERA_TOKEN_OUT_OF_RANGE;
    if (n > decoder->capacity - decoder->length)
        return TEMPERA_CONTEXT_FULL;
    size_t end = decoder->length + n;
    if (!reserve_positions(decoder, end) || !reserve_probabilities(decoder, n, end))
        return TEMPERA_OUT_OF_MEMORY;
    for (size_t done = 0; done < n;) {
        size_t chunk = n - done < CHUNK ? n - done : CHUNK;
        append_chunk(decoder, tokens + done, chunk, done + chunk == n ? logits : NULL);
        done += chunk;
    }
    return TEMPERA_OK;
}

enum tempera_status tempera_decoder_append(struct tempera_decoder *decoder, const int32_t *tokens,
                                           size_t n, float *logits)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = decoder_append_guarded(decoder, tokens, n, logits);
    tempera_fpenv_leave(env);
    return status;
}
