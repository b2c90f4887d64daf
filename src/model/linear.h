// SPDX-License-Identifier: MIT
// The three matrix products of a linear layer y[N, O] = x[N, I] W[O, I]^T.
#ifndef TEMPERA_MODEL_LINEAR_H
#define TEMPERA_MODEL_LINEAR_H

#include "matmul/matmul.h"

// y = x W^T, plus y when accumulate
static inline void tempera_linear(const float *x, const float *W, size_t N, size_t I, size_t O,
                                  float *y, bool accumulate,
                                  const struct tempera_executor *executor)
{
    struct tempera_matmul product = {.M = N,
                                     .N = O,
                                     .K = I,
                                     .a = x,
                                     .a_stride = I,
                                     .b = W,
                                     .b_stride = I,
                                     .b_transposed = true,
                                     .c = y,
                                     .c_stride = O,
                                     .accumulate = accumulate};
    tempera_matmul_parallel(&product, executor);
}

// d_x = d_y W, plus d_x when accumulate
static inline void tempera_linear_backward_input(const float *d_y, const float *W, size_t N,
                                                 size_t I, size_t O, float *d_x, bool accumulate,
                                                 const struct tempera_executor *executor)
{
    struct tempera_matmul product = {.M = N,
                                     .N = I,
                                     .K = O,
                                     .a = d_y,
                                     .a_stride = O,
                                     .b = W,
                                     .b_stride = I,
                                     .c = d_x,
                                     .c_stride = I,
                                     .accumulate = accumulate};
    tempera_matmul_parallel(&product, executor);
}

// d_W += d_y^T x
static inline void tempera_linear_backward_weight(const float *d_y, const float *x, size_t N,
                                                  size_t I, size_t O, float *d_W,
                                                  const struct tempera_executor *executor)
{
    struct tempera_matmul product = {.M = O,
                                     .N = I,
                                     .K = N,
                                     .a = d_y,
                                     .a_stride = O,
                                     .a_transposed = true,
                                     .b = x,
                                     .b_stride = I,
                                     .c = d_W,
                                     .c_stride = I,
                                     .accumulate = true};
    tempera_matmul_parallel(&product, executor);
}

#endif
