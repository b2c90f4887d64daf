// SPDX-License-Identifier: MIT
// Queries are processed in blocks of rows. The products of a block stop at the last key that it
// sees, which saves nearly half of the work.
#include "model/attention.h"

#include <math.h>
#include <string.h>

#include <tempera/softmax.h>

#include "base/guarded.h"
#include "matmul/matmul.h"

enum { BLOCK = 64 };

// One head of one sequence: its matrices, with the strides of the whole.
struct head {
    const float *q, *k, *v, *d_o;
    float *p, *o, *d_q, *d_k, *d_v;
    size_t q_stride, kv_stride, p_stride;
};

static struct head head_of(const struct tempera_attention *a, size_t b, size_t h)
{
    size_t E = a->head_dim, keys = a->past + a->n, g = h / (a->n_heads / a->n_kv_heads);
    size_t q_stride = a->n_heads * E, kv_stride = a->n_kv_heads * E;
    size_t q_at = b * a->n * q_stride + h * E, kv_at = b * keys * kv_stride + g * E;
    struct head head = {
        .q = a->q + q_at,
        .k = a->k + kv_at,
        .v = a->v + kv_at,
        .p = a->p + (b * a->n_heads + h) * a->n * keys,
        .o = a->o + q_at,
        .q_stride = q_stride,
        .kv_stride = kv_stride,
        .p_stride = keys,
    };
    if (a->d_o != NULL) {
        head.d_o = a->d_o + q_at;
        head.d_q = a->d_q + q_at;
        head.d_k = a->d_k + kv_at;
        head.d_v = a->d_v + kv_at;
    }
    return head;
}

static size_t block_end(size_t first, size_t n)
{
    return n - first < BLOCK ? n : first + BLOCK;
}

// ------------------------------------------------------------------------------------------------
// Forward

// p[i, 0 .. past + i] = softmax of the scores there, 0 up to `keys`
static void softmax_causal(float *p, size_t stride, size_t first, size_t end, size_t past,
                           size_t keys, float temperature)
{
    struct tempera_softmax_options options = tempera_softmax_options_default();
    options.temperature = temperature;
    for (size_t i = first; i < end; i++) {
        size_t seen = past + i + 1;
        float *row = p + i * stride;
        struct tempera_matrix scores = tempera_matrix_f32(row, 1, seen);
        tempera_softmax(&scores, &options, &scores, NULL, NULL);
        memset(row + seen, 0, (keys - seen) * sizeof *row);
    }
}

static void forward_task(void *context, size_t index)
{
    const struct tempera_attention *a = context;
    struct head h = head_of(a, index / a->n_heads, index % a->n_heads);
    size_t E = a->head_dim;
    for (size_t first = 0; first < a->n; first += BLOCK) {
        size_t end = block_end(first, a->n), keys = a->past + end;
        float *p = h.p + first * h.p_stride;
        struct tempera_matmul scores = {.M = end - first,
                                        .N = keys,
                                        .K = E,
                                        .a = h.q + first * h.q_stride,
                                        .a_stride = h.q_stride,
                                        .b = h.k,
                                        .b_stride = h.kv_stride,
                                        .b_transposed = true,
                                        .c = p,
                                        .c_stride = h.p_stride};
        tempera_matmul_serial(&scores);
        softmax_causal(h.p, h.p_stride, first, end, a->past, keys, sqrtf((float)E));
        struct tempera_matmul output = {.M = end - first,
                                        .N = E,
                                        .K = keys,
                                        .a = p,
                                        .a_stride = h.p_stride,
                                        .b = h.v,
                                        .b_stride = h.kv_stride,
                                        .c = h.o + first * h.q_stride,
                                        .c_stride = h.q_stride};
        tempera_matmul_serial(&output);
    }
}

void tempera_attention_forward(const struct tempera_attention *attention,
                               const struct tempera_executor *executor)
{
    struct tempera_attention a = *attention;
    a.d_o = NULL;
    tempera_guarded_for(executor, a.B * a.n_heads, forward_task, &a);
}

// ------------------------------------------------------------------------------------------------
// Backward

size_t tempera_attention_scratch(size_t n)
{
    return (n < BLOCK ? n : BLOCK) * n;
}

// Rows [first, end) of one head; d_s is scratch[end - first, end].
static void backward_block(const struct head *h, size_t first, size_t end, size_t E, float *d_s)
{
    size_t rows = end - first;
    const float *p = h->p + first * h->p_stride, *d_o = h->d_o + first * h->q_stride;
    // o = p v:  d_v += p^T d_o,  d_p = d_o v^T
    struct tempera_matmul d_v = {.M = end,
                                 .N = E,
                                 .K = rows,
                                 .a = p,
                                 .a_stride = h->p_stride,
                                 .a_transposed = true,
                                 .b = d_o,
                                 .b_stride = h->q_stride,
                                 .c = h->d_v,
                                 .c_stride = h->kv_stride,
                                 .accumulate = true};
    tempera_matmul_serial(&d_v);
    struct tempera_matmul d_p = {.M = rows,
                                 .N = end,
                                 .K = E,
                                 .a = d_o,
                                 .a_stride = h->q_stride,
                                 .b = h->v,
                                 .b_stride = h->kv_stride,
                                 .b_transposed = true,
                                 .c = d_s,
                                 .c_stride = end};
    tempera_matmul_serial(&d_p);
    // p = softmax(s / sqrt(E)); where p is 0, so is the gradient
    struct tempera_matrix probs = tempera_matrix_const_f32(p, rows, end);
    probs.row_stride = h->p_stride;
    struct tempera_matrix d_probs = tempera_matrix_f32(d_s, rows, end);
    tempera_softmax_backward(&probs, &d_probs, sqrtf((float)E), &d_probs, NULL, NULL);
    // s = q k^T:  d_q = d_s k,  d_k += d_s^T q
    struct tempera_matmul d_q = {.M = rows,
                                 .N = E,
                                 .K = end,
                                 .a = d_s,
                                 .a_stride = end,
                                 .b = h->k,
                                 .b_stride = h->kv_stride,
                                 .c = h->d_q + first * h->q_stride,
                                 .c_stride = h->q_stride};
    tempera_matmul_serial(&d_q);
    struct tempera_matmul d_k = {.M = end,
                                 .N = E,
                                 .K = rows,
                                 .a = d_s,
                                 .a_stride = end,
                                 .a_transposed = true,
                                 .b = h->q + first * h->q_stride,
                                 .b_stride = h->q_stride,
                                 .c = h->d_k,
                                 .c_stride = h->kv_stride,
                                 .accumulate = true};
    tempera_matmul_serial(&d_k);
}

// One task is one key and value head with all query heads that share it, in order.
static void backward_task(void *context, size_t index)
{
    const struct tempera_attention *a = context;
    size_t b = index / a->n_kv_heads, group = a->n_heads / a->n_kv_heads, E = a->head_dim;
    size_t first_head = index % a->n_kv_heads * group;
    float *d_s = a->scratch + index * tempera_attention_scratch(a->n);
    struct head h = head_of(a, b, first_head);
    for (size_t i = 0; i < a->n; i++) {
        memset(h.d_k + i * h.kv_stride, 0, E * sizeof *h.d_k);
        memset(h.d_v + i * h.kv_stride, 0, E * sizeof *h.d_v);
    }
    for (size_t j = 0; j < group; j++) {
        h = head_of(a, b, first_head + j);
        for (size_t first = 0; first < a->n; first += BLOCK)
            backward_block(&h, first, block_end(first, a->n), E, d_s);
    }
}

void tempera_attention_backward(const struct tempera_attention *attention,
                                const struct tempera_executor *executor)
{
    struct tempera_attention a = *attention;
    tempera_guarded_for(executor, a.B * a.n_kv_heads, backward_task, &a);
}
