// SPDX-License-Identifier: MIT
// Which products are thin, and which kernels do them.
#include "matmul/small_m.h"

#include <stdlib.h>
#include <tempera/cpu.h>

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

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

// One row is a matrix-vector product, which the library does well. B must be larger than a core's
// cache, or copying it costs little.
static bool is_thin(const struct tempera_matmul *p)
{
    const size_t least = 1 << 20;
    return p->M > 1 && p->M <= TEMPERA_SMALL_M_MOST_ROWS && !p->a_transposed && p->K > 0 &&
           p->N >= least / p->K;
}

static size_t round_up(size_t n)
{
    return (n + 15) / 16 * 16;
}

// Of floats that are 0, aligned to a cache line. aligned_alloc, asked for one size again and again,
// lets the C library's memory grow.
struct memory {
    void *block; // NULL: there is none; to be freed
    float *floats;
};

static struct memory take_memory(size_t n_floats)
{
    const size_t line = 64;
    char *block = calloc(n_floats * sizeof(float) + line, 1);
    if (block == NULL)
        return (struct memory){NULL, NULL};
    return (struct memory){block, (float *)(void *)(block + line - (uintptr_t)block % line)};
}

// A that is too deep for the memory goes in pieces.
static bool multiply_transposed(const struct tempera_matmul *p,
                                const struct tempera_executor *executor)
{
    size_t most = TEMPERA_SMALL_M_MOST_FLOATS / round_up(p->M), depth = smaller(p->K, most);
    struct memory memory = take_memory(depth * round_up(p->M));
    if (memory.block == NULL)
        return false;
    struct tempera_matmul piece = *p;
    for (size_t k = 0; k < p->K; k += depth) {
        piece.a = p->a + k;
        piece.b = p->b + k;
        piece.K = smaller(depth, p->K - k);
        kernels()->transposed(&piece, memory.floats, executor);
        piece.accumulate = true;
    }
    free(memory.block);
    return true;
}

// Slices of K are the tasks: a power of two of them, as memory and K allow.
static size_t count_slices(const struct tempera_matmul *p)
{
    const size_t most = 8, least_depth = 1024;
    size_t n = 1, floats = p->M * round_up(p->N);
    while (n < most && 2 * n * floats <= TEMPERA_SMALL_M_MOST_FLOATS && 2 * n * least_depth <= p->K)
        n *= 2;
    return n;
}

static bool multiply_plain(const struct tempera_matmul *p, const struct tempera_executor *executor)
{
    size_t floats = p->M * round_up(p->N), n_slices = count_slices(p);
    if (n_slices == 1)
        return false;
    struct memory memory = take_memory(n_slices * floats);
    if (memory.block == NULL)
        return false;
    kernels()->plain(p, n_slices, memory.floats, executor);
    free(memory.block);
    return true;
}

bool tempera_matmul_small_m(const struct tempera_matmul *product,
                            const struct tempera_executor *executor)
{
    if (kernels() == NULL || !is_thin(product))
        return false;
    return product->b_transposed ? multiply_transposed(product, executor)
                                 : multiply_plain(product, executor);
}
