// SPDX-License-Identifier: MIT
// Causal grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245), forward and backward.
//
//     scores = q k^T,  p = softmax(scores / sqrt(E)) over the keys up to the query's position,
//     o = p v
//
// The softmax is libtempera's, at temperature sqrt(E). One task is one head of one sequence;
// products inside it are small and run in its thread.
#ifndef TEMPERA_MODEL_ATTENTION_H
#define TEMPERA_MODEL_ATTENTION_H

#include <stddef.h>

#include <tempera/parallel.h>

struct tempera_attention {
    size_t B;          // sequences
    size_t n;          // queries a sequence
    size_t past;       // keys before the first query; query i sees keys [0, past + i]
    size_t n_heads;    // H
    size_t n_kv_heads; // G
    size_t head_dim;   // E
    const float *q;    // [B, n, H, E]
    const float *k;    // [B, past + n, G, E]
    const float *v;    // [B, past + n, G, E]
    float *p;          // [B, H, n, past + n]
    float *o;          // [B, n, H, E]
    // backward, past = 0
    const float *d_o; // [B, n, H, E]
    float *d_q;       // [B, n, H, E]
    float *d_k, *d_v; // [B, n, G, E]
    float *scratch;   // [B, G, tempera_attention_scratch(n)]
};

void tempera_attention_forward(const struct tempera_attention *attention,
                               const struct tempera_executor *executor);

// Sets d_q, d_k, d_v. p is what the forward pass left.
void tempera_attention_backward(const struct tempera_attention *attention,
                                const struct tempera_executor *executor);

size_t tempera_attention_scratch(size_t n);

#endif
