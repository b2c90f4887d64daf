// SPDX-License-Identifier: MIT
// The parts of a layer that are neither a matrix product nor attention, forward and backward.
// Each works on N rows in fixed blocks on the executor.
#ifndef TEMPERA_MODEL_LAYER_OPS_H
#define TEMPERA_MODEL_LAYER_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/parallel.h>

// RMSNorm (Zhang, Sennrich 2019, arXiv 1910.07467).
//   y[N, D] = x[N, D] * inverse[N] * weight[D],  inverse = 1 / sqrt(mean(x^2) + epsilon)
void tempera_rmsnorm(const float *x, const float *weight, float epsilon, size_t N, size_t D,
                     float *y, float *inverse, const struct tempera_executor *executor);

// dx[N, D] += the gradient through y; d_weight[D] += its own. dy is dloss/dy.
void tempera_rmsnorm_backward(const float *dy, const float *x, const float *weight,
                              const float *inverse, size_t N, size_t D, float *dx, float *d_weight,
                              const struct tempera_executor *executor);

// Cosines and sines of rotary positions (Su et al. 2021, arXiv 2104.09864): table[end, E / 2, 2],
// of position p and pair i: the angle p * base^(-2 i / E). Writes the positions [first, end).
void tempera_rope_table(size_t first, size_t end, size_t E, float base, float *table);

// Turns the pairs (0, 1), (2, 3), ... of each head of x[N, n_heads, E] by their row's position,
// (first_position + row) % period; backward turns back. In place.
void tempera_rope(float *x, const float *table, size_t N, size_t n_heads, size_t E,
                  size_t first_position, size_t period, bool backward,
                  const struct tempera_executor *executor);

// SwiGLU (Shazeer 2020, arXiv 2002.05202): y = g sigmoid(g) u, elementwise over [N, F].
void tempera_swiglu(const float *g, const float *u, size_t N, size_t F, float *y,
                    const struct tempera_executor *executor);

// dg and du from dy; du may be dy.
void tempera_swiglu_backward(const float *dy, const float *g, const float *u, size_t N, size_t F,
                             float *dg, float *du, const struct tempera_executor *executor);

// x[N, D] = embedding[tokens[N], D]
void tempera_embed(const float *embedding, const int32_t *tokens, size_t N, size_t D, float *x,
                   const struct tempera_executor *executor);

// d_embedding[tokens[n], D] += dx[n, D], rows in order
void tempera_embed_backward(const float *dx, const int32_t *tokens, size_t N, size_t D,
                            float *d_embedding, const struct tempera_executor *executor);

#endif
