// SPDX-License-Identifier: MIT
// Products with small M: a few rows times a large matrix, as in the last layer of a model when its
// loss is taken in chunks, or in all layers when a short prompt is read.
//
// A matrix library packs the large matrix, which pays if hundreds of rows then use the copy. These
// kernels read it in place, once, and prefetch it. They pack only the few rows, or so little of the
// large matrix at a time that the copy stays in the first-level cache. docs/MATMUL.md has the gain.
#ifndef TEMPERA_MATMUL_SMALL_M_H
#define TEMPERA_MATMUL_SMALL_M_H

#include <tempera/linear_loss.h>
#include <tempera/parallel.h>

// Computes the product and returns true; or does nothing and returns false if M is not small, there
// is no kernel for this processor, or memory is out. The tasks depend on the shape alone.
bool tempera_matmul_small_m(const struct tempera_matmul *product,
                            const struct tempera_executor *executor);

enum {
    TEMPERA_SMALL_M_MOST_ROWS = 128,
    TEMPERA_SMALL_M_MOST_FLOATS = 3 << 16, // of memory for a product: 0.8 MB
};

// The kernels of one instruction set. memory: at most TEMPERA_SMALL_M_MOST_FLOATS, all 0.
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
