// SPDX-License-Identifier: MIT
// Softmax of f32 rows against what a Debian user can install: oneDNN, and three plain passes around
// SLEEF's exp. All contestants take turns on the same memory; medians of 21 turns, in nanoseconds
// an element, beside what copying takes. bench/peers/run builds and starts it.
//
//     OMP_NUM_THREADS=N softmax N [--json]
#include <dnnl.h>
#include <immintrin.h>
#include <math.h>
#include <sleef.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tempera/tempera.h>

enum { TURNS = 21, N_CONTESTANTS = 4 };

struct setting {
    size_t rows, cols;
    float *z, *p;
    const struct tempera_executor *executor;
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;
    dnnl_exec_arg_t arguments[2];
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// ------------------------------------------------------------------------------------------------
// Contestants

static void run_copy(const struct setting *s)
{
    memcpy(s->p, s->z, s->rows * s->cols * sizeof *s->p);
}

static void run_tempera(const struct setting *s)
{
    struct tempera_matrix z = tempera_matrix_const_f32(s->z, s->rows, s->cols);
    struct tempera_matrix p = tempera_matrix_f32(s->p, s->rows, s->cols);
    tempera_softmax(&z, NULL, &p, NULL, s->executor);
}

static void run_onednn(const struct setting *s)
{
    dnnl_primitive_execute(s->primitive, s->stream, 2, s->arguments);
    dnnl_stream_wait(s->stream);
}

// Maximum, exp and sum, scale: 16 lanes with AVX-512.
static void sleef_row(const float *z, float *p, size_t n)
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

static void sleef_rows(void *context, size_t task)
{
    const struct setting *s = context;
    for (size_t r = task * s->rows / 64; r < (task + 1) * s->rows / 64; r++)
        sleef_row(s->z + r * s->cols, s->p + r * s->cols, s->cols);
}

static void run_sleef(const struct setting *s)
{
    tempera_parallel_for(s->rows < 64 ? NULL : s->executor, 64, sleef_rows, (void *)(uintptr_t)s);
}

static const struct {
    const char *name;
    void (*run)(const struct setting *s);
} contestants[N_CONTESTANTS] = {
    {"copy", run_copy}, {"tempera", run_tempera}, {"oneDNN", run_onednn}, {"SLEEF", run_sleef}};

// ------------------------------------------------------------------------------------------------
// Measuring

static bool open_onednn(struct setting *s, dnnl_engine_t engine)
{
    dnnl_memory_desc_t shape;
    dnnl_softmax_v2_desc_t softmax;
    dnnl_primitive_desc_t described;
    dnnl_memory_t in, out;
    const dnnl_dims_t dims = {(dnnl_dim_t)s->rows, (dnnl_dim_t)s->cols};
    bool ok =
        dnnl_memory_desc_init_by_tag(&shape, 2, dims, dnnl_f32, dnnl_ab) == dnnl_success &&
        dnnl_softmax_v2_forward_desc_init(&softmax, dnnl_forward_inference, dnnl_softmax_accurate,
                                          &shape, &shape, 1) == dnnl_success &&
        dnnl_primitive_desc_create(&described, &softmax, NULL, engine, NULL) == dnnl_success &&
        dnnl_primitive_create(&s->primitive, described) == dnnl_success &&
        dnnl_memory_create(&in, &shape, engine, s->z) == dnnl_success &&
        dnnl_memory_create(&out, &shape, engine, s->p) == dnnl_success &&
        dnnl_stream_create(&s->stream, engine, dnnl_stream_default_flags) == dnnl_success;
    s->arguments[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, in};
    s->arguments[1] = (dnnl_exec_arg_t){DNNL_ARG_DST, out};
    return ok;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The largest error of the first row, in ulp.
static double error_of(const struct setting *s)
{
    long double max = -INFINITY, sum = 0;
    double worst = 0;
    for (size_t i = 0; i < s->cols; i++)
        max = (long double)s->z[i] > max ? (long double)s->z[i] : max;
    for (size_t i = 0; i < s->cols; i++)
        sum += expl((long double)s->z[i] - max);
    for (size_t i = 0; i < s->cols; i++) {
        int exponent;
        long double exact = expl((long double)s->z[i] - max) / sum;
        frexpl(exact, &exponent);
        double off = (double)(fabsl((long double)s->p[i] - exact) / ldexpl(1, exponent - 24));
        worst = off > worst ? off : worst;
    }
    return worst;
}

static void measure(struct setting *s, size_t threads, bool json)
{
    double times[N_CONTESTANTS][TURNS], errors[N_CONTESTANTS];
    size_t repeats = 1 + 1000000 / (s->rows * s->cols);
    for (int turn = 0; turn < TURNS; turn++)
        for (int c = 0; c < N_CONTESTANTS; c++) {
            double start = now();
            for (size_t k = 0; k < repeats; k++)
                contestants[c].run(s);
            times[c][turn] =
                (now() - start) / (double)repeats / (double)(s->rows * s->cols) * 1e9;
            if (turn == 0)
                errors[c] = error_of(s);
        }
    for (int c = 0; c < N_CONTESTANTS; c++)
        qsort(times[c], TURNS, sizeof **times, compare_doubles);
    double ours = times[1][TURNS / 2];
    for (int c = 0; c < N_CONTESTANTS; c++) {
        double ns = times[c][TURNS / 2];
        if (json)
            printf("{\"rows\":%zu,\"cols\":%zu,\"threads\":%zu,\"name\":\"%s\","
                   "\"ns_per_element\":%.4f,\"max_ulp\":%.2f}\n",
                   s->rows, s->cols, threads, contestants[c].name, ns, c == 0 ? 0 : errors[c]);
        else if (c == 0)
            printf("| %zu x %zu | %zu | %.3f ", s->rows, s->cols, threads, ns);
        else if (c == 1)
            printf("| **%.3f** (%.1f ulp) ", ns, errors[c]);
        else
            printf("| %.3f, %.2f times (%.0f ulp) ", ns, ns / ours, errors[c]);
    }
    if (!json)
        printf("|\n");
}

int main(int argc, char **argv)
{
    static const struct {
        size_t rows, cols;
    } shapes[] = {{1, 128256},  {1, 1024},      {1024, 1024},
                  {4096, 64},   {64, 128256},   {4096, 4096}};
    size_t threads = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    bool json = argc > 2 && strcmp(argv[2], "--json") == 0;
    // oneDNN's threads are OpenMP's, which reads this when the program is loaded.
    const char *openmp = getenv("OMP_NUM_THREADS");
    if (openmp == NULL || strtoul(openmp, NULL, 10) != threads) {
        fprintf(stderr, "softmax: set OMP_NUM_THREADS to the same number\n");
        return 1;
    }
    struct tempera_thread_pool *pool = NULL;
    dnnl_engine_t engine;
    if (!__builtin_cpu_supports("avx512f") || dnnl_engine_create(&engine, dnnl_cpu, 0) != 0 ||
        tempera_thread_pool_open(&pool, threads) != TEMPERA_OK) {
        fprintf(stderr, "softmax: needs a processor with AVX-512, and a number of threads\n");
        return 1;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct setting s = {.rows = shapes[i].rows, .cols = shapes[i].cols};
        size_t count = s.rows * s.cols;
        s.z = aligned_alloc(64, count * sizeof *s.z);
        s.p = aligned_alloc(64, count * sizeof *s.p);
        s.executor = threads > 1 ? tempera_thread_pool_executor(pool) : NULL;
        srand(1);
        for (size_t k = 0; k < count; k++) { // close to normal, of deviation 3
            double sum = 0;
            for (int j = 0; j < 12; j++)
                sum += rand() / (double)RAND_MAX;
            s.z[k] = (float)(3 * (sum - 6));
        }
        memset(s.p, 0, count * sizeof *s.p);
        if (!open_onednn(&s, engine))
            return 1;
        measure(&s, threads, json);
        free(s.z);
        free(s.p);
    }
    tempera_thread_pool_close(&pool);
    return 0;
}
