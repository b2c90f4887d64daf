// SPDX-License-Identifier: MIT
// Products of a few rows with a large matrix, as the last layer of a model has them when its loss
// is taken in chunks, or a whole model that reads a short prompt.
//
// A matrix library copies the large matrix into an order of its own, which pays if hundreds of
// rows then use the copy. Here it is read where it lies, once and ahead of its use, and what is
// copied is the few rows, or so little of the large matrix at a time that the copy stays in the
// first cache. docs/MATMUL.md has what that is worth.
#ifndef TEMPERA_MATMUL_SMALL_M_H
#define TEMPERA_MATMUL_SMALL_M_H

#include <tempera/linear_loss.h>
#include <tempera/parallel.h>

// Does the product and returns true; or does nothing and returns false: it isn't thin, the
// processor has no such kernel, or memory is out. Tasks are cut by the shape alone.
bool tempera_matmul_small_m(const struct tempera_matmul *product,
                            const struct tempera_executor *executor);

enum {
    TEMPERA_SMALL_M_MOST_ROWS = 128,
    TEMPERA_SMALL_M_MOST_FLOATS = 3 << 16, // of memory that a product takes, 0.8 MB
};

// The two kinds, for one instruction set: memory has TEMPERA_SMALL_M_MOST_FLOATS at most, all 0.
struct tempera_small_m_kernels {
    // C[M, N] = A[M, K] B[N, K]^T; memory[K * M rounded up to 16]
    void (*transposed)(const struct tempera_matmul *product, float *memory,
                       const struct tempera_executor *executor);
    // C[M, N] = A[M, K] B[K, N]; memory[n_slices * M * N rounded up to 16]
    void (*plain)(const struct tempera_matmul *product, size_t n_slices, float *memory,
                  const struct tempera_executor *executor);
};

#if defined(__x86_64__)
extern const struct tempera_small_m_kernels tempera_small_m_avx2;
extern const struct tempera_small_m_kernels tempera_small_m_avx512;
#endif

#endif
