// SPDX-License-Identifier: MIT
// Which products have a small M, and which kernels compute them.
#include "matmul/small_m.h"

#include <stdlib.h>
#include <tempera/cpu.h>

#include "base/size.h"

static const struct tempera_small_m_kernels *kernels(void)
{
#if defined(__x86_64__)
    switch (tempera_cpu_active()) {
    case TEMPERA_ISA_AVX512:
        return &tempera_small_m_avx512;
    case TEMPERA_ISA_AVX2:
        return &tempera_small_m_avx2;
    default:
        break;
    }
#endif
    return NULL;
}

// One row is a matrix-vector product, which the library does well. B must not fit in a core's
// cache: otherwise packing it costs little.
static bool has_small_m(const struct tempera_matmul *p)
{
    const size_t least = 1 << 20;
    return p->M > 1 && p->M <= TEMPERA_SMALL_M_MOST_ROWS && !p->a_transposed && p->K > 0 &&
           p->N >= least / p->K;
}

static size_t round_up(size_t n)
{
    return (n + 15) / 16 * 16;
}

// Zeroed floats, aligned to a cache line. By calloc, since glibc's heap grows under repeated calls
// of aligned_alloc with the same size.
struct memory {
    void *block; // to be freed; NULL if memory is out
    float *floats;
};

static struct memory allocate(size_t n_floats)
{
    const size_t line = 64;
    char *block = calloc(n_floats * sizeof(float) + line, 1);
    if (block == NULL)
        return (struct memory){NULL, NULL};
    return (struct memory){block, (float *)(void *)(block + line - (uintptr_t)block % line)};
}

// In pieces of K, if all of A does not fit in the memory.
static bool multiply_transposed(const struct tempera_matmul *p,
                                const struct tempera_executor *executor)
{
    size_t most = TEMPERA_SMALL_M_MOST_FLOATS / round_up(p->M), piece_K = tempera_min(p->K, most);
    struct memory memory = allocate(piece_K * round_up(p->M));
    if (memory.block == NULL)
        return false;
    struct tempera_matmul piece = *p;
    for (size_t k = 0; k < p->K; k += piece_K) {
        piece.a = p->a + k;
        piece.b = p->b + k;
        piece.K = tempera_min(piece_K, p->K - k);
        kernels()->transposed(&piece, memory.floats, executor);
        piece.accumulate = true;
    }
    free(memory.block);
    return true;
}

// The tasks are slices of K: a power of two of them, as many as memory and K allow.
static size_t count_slices(const struct tempera_matmul *p)
{
    const size_t most = 8, least_K = 1024; // `tempera-bench matmul`
    size_t n = 1, floats = p->M * round_up(p->N);
    while (n < most && 2 * n * floats <= TEMPERA_SMALL_M_MOST_FLOATS && 2 * n * least_K <= p->K)
        n *= 2;
    return n;
}

static bool multiply_plain(const struct tempera_matmul *p, const struct tempera_executor *executor)
{
    size_t floats = p->M * round_up(p->N), n_slices = count_slices(p);
    if (n_slices == 1)
        return false;
    struct memory memory = allocate(n_slices * floats);
    if (memory.block == NULL)
        return false;
    kernels()->plain(p, n_slices, memory.floats, executor);
    free(memory.block);
    return true;
}

bool tempera_matmul_small_m(const struct tempera_matmul *product,
                            const struct tempera_executor *executor)
{
    if (kernels() == NULL || !has_small_m(product))
        return false;
    return product->b_transposed ? multiply_transposed(product, executor)
                                 : multiply_plain(product, executor);
}
