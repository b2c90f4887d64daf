// SPDX-License-Identifier: MIT
// SLEEF has exp but no softmax: maximum, exp and sum, scale, in three plain passes written for
// this benchmark, 16 lanes with AVX-512. The threads are tempera's.
#include "peer.h"

#include <immintrin.h>
#include <math.h>
#include <sleef.h>
#include <stdint.h>

#include <tempera/tempera.h>

enum { N_TASKS = 64 };

const char *const peer_name = "SLEEF " TEXT(SLEEF_VERSION_MAJOR) "." TEXT(
    SLEEF_VERSION_MINOR) "." TEXT(SLEEF_VERSION_PATCHLEVEL) ", three passes";

static struct tempera_thread_pool *pool;

static void softmax_row(const float *z, float *p, size_t n)
{
    __m512 max = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
    __mmask16 tail = (__mmask16)((1u << n % 16) - 1);
    size_t whole = n - n % 16;
    for (size_t i = 0; i < whole; i += 16)
        max = _mm512_max_ps(max, _mm512_loadu_ps(z + i));
    max = _mm512_mask_max_ps(max, tail, max, _mm512_maskz_loadu_ps(tail, z + whole));
    __m512 m = _mm512_set1_ps(_mm512_reduce_max_ps(max));
    for (size_t i = 0; i < whole; i += 16) {
        __m512 e = Sleef_expf16_u10avx512f(_mm512_sub_ps(_mm512_loadu_ps(z + i), m));
        _mm512_storeu_ps(p + i, e);
        sum = _mm512_add_ps(sum, e);
    }
    __m512 e = Sleef_expf16_u10avx512f(
        _mm512_sub_ps(_mm512_maskz_loadu_ps(tail, z + whole), m));
    _mm512_mask_storeu_ps(p + whole, tail, e);
    sum = _mm512_mask_add_ps(sum, tail, sum, e);
    __m512 scale = _mm512_set1_ps(1 / _mm512_reduce_add_ps(sum));
    for (size_t i = 0; i < whole; i += 16)
        _mm512_storeu_ps(p + i, _mm512_mul_ps(_mm512_loadu_ps(p + i), scale));
    _mm512_mask_storeu_ps(p + whole, tail,
                          _mm512_mul_ps(_mm512_maskz_loadu_ps(tail, p + whole), scale));
}

static void softmax_rows(void *context, size_t task)
{
    const struct job *job = context;
    for (size_t r = task * job->rows / N_TASKS; r < (task + 1) * job->rows / N_TASKS; r++)
        softmax_row(job->z + r * job->cols, job->p + r * job->cols, job->cols);
}

bool peer_open(const struct job *job)
{
    return tempera_thread_pool_open(&pool, job->threads) == TEMPERA_OK;
}

void peer_run(const struct job *job)
{
    const struct tempera_executor *executor =
        job->rows >= N_TASKS && job->threads > 1 ? tempera_thread_pool_executor(pool) : NULL;
    tempera_parallel_for(executor, N_TASKS, softmax_rows, (void *)(uintptr_t)job);
}

void peer_close(void)
{
    tempera_thread_pool_close(&pool);
}
