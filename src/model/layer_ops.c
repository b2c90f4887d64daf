// SPDX-License-Identifier: MIT
#include "model/layer_ops.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/guarded.h"

// Rows of a task, or columns where a sum runs over all rows in order. Fixed, so that the bits do
// not depend on the number of threads.
enum { ROWS = 16, COLUMNS = 32 };

static size_t n_blocks(size_t n, size_t block)
{
    return (n + block - 1) / block;
}

static size_t end_of(size_t block_index, size_t block, size_t n)
{
    size_t end = (block_index + 1) * block;
    return end < n ? end : n;
}

// ------------------------------------------------------------------------------------------------
// RMSNorm

struct rmsnorm {
    const float *x, *weight, *inverse, *dy;
    float *y, *inverse_out, *dx, *d_weight;
    float epsilon;
    size_t N, D;
};

static void rmsnorm_rows(void *context, size_t index)
{
    const struct rmsnorm *l = context;
    for (size_t n = index * ROWS; n < end_of(index, ROWS, l->N); n++) {
        const float *x = l->x + n * l->D;
        float *y = l->y + n * l->D;
        float sums[8] = {0}; // eight chains that a compiler can put into one register
        for (size_t d = 0; d < l->D; d++)
            sums[d % 8] += x[d] * x[d];
        float sum = ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
                    ((sums[2] + sums[6]) + (sums[3] + sums[7]));
        // If the squares overflow, the row must not silently become zeros.
        float inverse = sum <= FLT_MAX ? 1 / sqrtf(sum / (float)l->D + l->epsilon) : NAN;
        l->inverse_out[n] = inverse;
        for (size_t d = 0; d < l->D; d++)
            y[d] = x[d] * inverse * l->weight[d];
    }
}

void tempera_rmsnorm(const float *x, const float *weight, float epsilon, size_t N, size_t D,
                     float *y, float *inverse, const struct tempera_executor *executor)
{
    struct rmsnorm l = {.x = x,
                        .weight = weight,
                        .y = y,
                        .inverse_out = inverse,
                        .epsilon = epsilon,
                        .N = N,
                        .D = D};
    tempera_guarded_for(executor, n_blocks(N, ROWS), rmsnorm_rows, &l);
}

// y = x i w with i = (mean(x^2) + e)^(-1/2):
// dx_d += i (dy_d w_d - x_d i^2 mean(dy w x))
static void rmsnorm_backward_rows(void *context, size_t index)
{
    const struct rmsnorm *l = context;
    for (size_t n = index * ROWS; n < end_of(index, ROWS, l->N); n++) {
        const float *x = l->x + n * l->D, *dy = l->dy + n * l->D;
        float *dx = l->dx + n * l->D, inverse = l->inverse[n];
        float sums[8] = {0};
        for (size_t d = 0; d < l->D; d++)
            sums[d % 8] += dy[d] * l->weight[d] * x[d];
        float sum = ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
                    ((sums[2] + sums[6]) + (sums[3] + sums[7]));
        float along_x = inverse * inverse * sum / (float)l->D;
        for (size_t d = 0; d < l->D; d++)
            dx[d] += inverse * (dy[d] * l->weight[d] - x[d] * along_x);
    }
}

// d_weight_d += sum over rows of dy_d x_d i
static void rmsnorm_backward_columns(void *context, size_t index)
{
    const struct rmsnorm *l = context;
    size_t first = index * COLUMNS, end = end_of(index, COLUMNS, l->D);
    float sums[COLUMNS] = {0};
    for (size_t n = 0; n < l->N; n++)
        for (size_t d = first; d < end; d++)
            sums[d - first] += l->dy[n * l->D + d] * l->x[n * l->D + d] * l->inverse[n];
    for (size_t d = first; d < end; d++)
        l->d_weight[d] += sums[d - first];
}

void tempera_rmsnorm_backward(const float *dy, const float *x, const float *weight,
                              const float *inverse, size_t N, size_t D, float *dx, float *d_weight,
                              const struct tempera_executor *executor)
{
    struct rmsnorm l = {.x = x,
                        .weight = weight,
                        .inverse = inverse,
                        .dy = dy,
                        .dx = dx,
                        .d_weight = d_weight,
                        .N = N,
                        .D = D};
    tempera_guarded_for(executor, n_blocks(D, COLUMNS), rmsnorm_backward_columns, &l);
    tempera_guarded_for(executor, n_blocks(N, ROWS), rmsnorm_backward_rows, &l);
}

// ------------------------------------------------------------------------------------------------
// Rotary positions

void tempera_rope_table(size_t first, size_t end, size_t E, float base, float *table)
{
    for (size_t i = 0; i < E / 2; i++) {
        double frequency = pow((double)base, -2.0 * (double)i / (double)E);
        for (size_t p = first; p < end; p++) {
            float *entry = table + (p * (E / 2) + i) * 2;
            entry[0] = (float)cos((double)p * frequency);
            entry[1] = (float)sin((double)p * frequency);
        }
    }
}

struct rope {
    float *x;
    const float *table;
    size_t N, n_heads, E, first_position, period;
    float direction; // 1, or -1 to turn back
};

static void rope_rows(void *context, size_t index)
{
    const struct rope *l = context;
    for (size_t n = index * ROWS; n < end_of(index, ROWS, l->N); n++) {
        size_t position = (l->first_position + n) % l->period;
        const float *entry = l->table + position * l->E;
        for (size_t h = 0; h < l->n_heads; h++) {
            float *x = l->x + (n * l->n_heads + h) * l->E;
            for (size_t e = 0; e < l->E; e += 2) {
                float c = entry[e], s = entry[e + 1] * l->direction;
                float x0 = x[e], x1 = x[e + 1];
                x[e] = x0 * c - x1 * s;
                x[e + 1] = x0 * s + x1 * c;
            }
        }
    }
}

void tempera_rope(float *x, const float *table, size_t N, size_t n_heads, size_t E,
                  size_t first_position, size_t period, bool backward,
                  const struct tempera_executor *executor)
{
    struct rope l = {x, table, N, n_heads, E, first_position, period, backward ? -1.0f : 1.0f};
    tempera_guarded_for(executor, n_blocks(N, ROWS), rope_rows, &l);
}

// ------------------------------------------------------------------------------------------------
// SwiGLU

struct swiglu {
    const float *g, *u, *dy;
    float *y, *dg, *du;
    size_t N, F;
};

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

static void swiglu_rows(void *context, size_t index)
{
    const struct swiglu *l = context;
    size_t first = index * ROWS * l->F, end = end_of(index, ROWS, l->N) * l->F;
    for (size_t i = first; i < end; i++)
        l->y[i] = l->g[i] * sigmoid(l->g[i]) * l->u[i];
}

void tempera_swiglu(const float *g, const float *u, size_t N, size_t F, float *y,
                    const struct tempera_executor *executor)
{
    struct swiglu l = {.g = g, .u = u, .y = y, .N = N, .F = F};
    tempera_guarded_for(executor, n_blocks(N, ROWS), swiglu_rows, &l);
}

// y = g s(g) u with s' = s (1 - s):
// dg = dy u s (1 + g (1 - s)),  du = dy g s
static void swiglu_backward_rows(void *context, size_t index)
{
    const struct swiglu *l = context;
    size_t first = index * ROWS * l->F, end = end_of(index, ROWS, l->N) * l->F;
    for (size_t i = first; i < end; i++) {
        float s = sigmoid(l->g[i]), dy = l->dy[i];
        l->dg[i] = dy * l->u[i] * s * (1 + l->g[i] * (1 - s));
        l->du[i] = dy * l->g[i] * s;
    }
}

void tempera_swiglu_backward(const float *dy, const float *g, const float *u, size_t N, size_t F,
                             float *dg, float *du, const struct tempera_executor *executor)
{
    struct swiglu l = {.g = g, .u = u, .dy = dy, .dg = dg, .du = du, .N = N, .F = F};
    tempera_guarded_for(executor, n_blocks(N, ROWS), swiglu_backward_rows, &l);
}

// ------------------------------------------------------------------------------------------------
// Embedding

struct embed {
    const float *in;
    const int32_t *tokens;
    float *out;
    size_t N, D;
};

static void embed_rows(void *context, size_t index)
{
    const struct embed *l = context;
    for (size_t n = index * ROWS; n < end_of(index, ROWS, l->N); n++)
        memcpy(l->out + n * l->D, l->in + (size_t)l->tokens[n] * l->D, l->D * sizeof *l->out);
}

void tempera_embed(const float *embedding, const int32_t *tokens, size_t N, size_t D, float *x,
                   const struct tempera_executor *executor)
{
    struct embed l = {embedding, tokens, x, N, D};
    tempera_guarded_for(executor, n_blocks(N, ROWS), embed_rows, &l);
}

// A token may stand in several rows: each task takes a few columns of all rows, in order.
static void embed_backward_columns(void *context, size_t index)
{
    const struct embed *l = context;
    for (size_t n = 0; n < l->N; n++)
        for (size_t d = index * COLUMNS; d < end_of(index, COLUMNS, l->D); d++)
            l->out[(size_t)l->tokens[n] * l->D + d] += l->in[n * l->D + d];
}

void tempera_embed_backward(const float *dx, const int32_t *tokens, size_t N, size_t D,
                            float *d_embedding, const struct tempera_executor *executor)
{
    struct embed l = {dx, tokens, d_embedding, N, D};
    tempera_guarded_for(executor, n_blocks(D, COLUMNS), embed_backward_columns, &l);
}
