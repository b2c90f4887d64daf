// SPDX-License-Identifier: MIT
// Matrix products against the definition in double: shapes, transposes, strides, accumulation;
// the same bits for any executor; nothing written outside. Products of few rows on every
// instruction set that has kernels for them.
#include "check.h"

#include <tempera/cpu.h>

#include "matmul/matmul.h"
#include "matmul/small_m.h"

enum { MOST = 1100 * 1100 };

static float a[MOST], b[MOST], c[MOST], first[MOST], before[MOST];

static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)check_random_between(-1, 1);
}

static double at(const float *x, size_t stride, bool transposed, size_t row, size_t column)
{
    return (double)(transposed ? x[column * stride + row] : x[row * stride + column]);
}

// A random product of this shape with gaps in its rows.
static struct tempera_matmul make(size_t M, size_t N, size_t K, unsigned flags)
{
    struct tempera_matmul p = {.M = M, .N = N, .K = K, .a = a, .b = b, .c = c};
    p.a_transposed = flags & 1;
    p.b_transposed = flags & 2;
    p.accumulate = flags & 4;
    p.a_stride = (p.a_transposed ? M : K) + check_random_below(4);
    p.b_stride = (p.b_transposed ? K : N) + check_random_below(4);
    p.c_stride = N + check_random_below(4);
    fill(a, (p.a_transposed ? K : M) * p.a_stride);
    fill(b, (p.b_transposed ? N : K) * p.b_stride);
    fill(c, M * p.c_stride);
    memcpy(before, c, M * p.c_stride * sizeof *c);
    return p;
}

// Sums of K products in f32, in any order: off by at most (K + 1) 2^-24 of the sum of magnitudes,
// which is at most K + 1.
static double bound_of(const struct tempera_matmul *p)
{
    return (double)(p->K + 1) * 0x1p-24 * (double)(p->K + 1);
}

static void check_product(const struct tempera_matmul *p, double bound)
{
    size_t n_samples = p->M * p->N < 20000 ? p->M * p->N : 2000;
    for (size_t s = 0; s < n_samples; s++) {
        size_t i = n_samples == 2000 ? check_random_below(p->M * p->N) : s;
        size_t m = i / p->N, n = i % p->N;
        double sum = p->accumulate ? (double)before[m * p->c_stride + n] : 0;
        for (size_t k = 0; k < p->K; k++)
            sum += at(a, p->a_stride, p->a_transposed, m, k) *
                   at(b, p->b_stride, p->b_transposed, k, n);
        CHECK_NEAR((double)c[m * p->c_stride + n], sum, bound);
    }
    for (size_t m = 0; m < p->M; m++) // the gaps are untouched
        for (size_t n = p->N; n < p->c_stride; n++)
            CHECK(c[m * p->c_stride + n] == before[m * p->c_stride + n]);
}

static void shapes(void)
{
    static const size_t sizes[] = {1, 2, 3, 7, 16, 63, 64, 65, 100, 257};
    for (unsigned round = 0; round < 240; round++) {
        size_t M = sizes[check_random_below(10)], N = sizes[check_random_below(10)];
        struct tempera_matmul p = make(M, N, sizes[check_random_below(10)], round % 8);
        if (round % 3 == 0)
            tempera_matmul_serial(&p);
        else
            tempera_matmul_parallel(&p, NULL);
        check_product(&p, bound_of(&p));
    }
}

static void one_row(void)
{
    for (unsigned flags = 0; flags < 8; flags += 2) {
        struct tempera_matmul p = make(1, 1000, 300, flags);
        tempera_matmul_parallel(&p, NULL);
        check_product(&p, bound_of(&p));
    }
}

static void empty(void)
{
    struct tempera_matmul p = make(3, 5, 4, 0);
    p.K = 0;
    tempera_matmul_parallel(&p, NULL);
    for (size_t m = 0; m < 3; m++)
        for (size_t n = 0; n < p.c_stride; n++)
            CHECK(c[m * p.c_stride + n] == (n < 5 ? 0 : before[m * p.c_stride + n]));
    memcpy(c, before, 3 * p.c_stride * sizeof *c);
    p.accumulate = true;
    tempera_matmul_serial(&p);
    CHECK_MEM(c, before, 3 * p.c_stride * sizeof *c);
    p.M = 0;
    p.K = 4;
    tempera_matmul_parallel(&p, NULL);
    CHECK_MEM(c, before, 3 * p.c_stride * sizeof *c);
}

// Panels are cut by shape alone, so the number of threads does not show.
static void any_executor(void)
{
    static const size_t shapes[][3] = {{1000, 384, 100}, {64, 1024, 384}, {384, 384, 1000},
                                       {1, 1000, 384},   {700, 40, 33},   {256, 256, 1000}};
    for (size_t s = 0; s < 6; s++) {
        struct tempera_matmul p = make(shapes[s][0], shapes[s][1], shapes[s][2], s == 2 ? 1 : 2);
        size_t n = p.M * p.c_stride;
        tempera_matmul_parallel(&p, NULL);
        memcpy(first, c, n * sizeof *c);
        check_product(&p, bound_of(&p));
        for (size_t threads = 1; threads <= 7; threads += threads < 3 ? 1 : 4) {
            struct tempera_thread_pool *pool = NULL;
            CHECK_STATUS(tempera_thread_pool_open(&pool, threads), TEMPERA_OK);
            memcpy(c, before, n * sizeof *c);
            tempera_matmul_parallel(&p, tempera_thread_pool_executor(pool));
            CHECK_MEM(c, first, n * sizeof *c);
            tempera_thread_pool_close(&pool);
        }
    }
}

// Small integers, whose products and sums are exact in any order.
static void make_exact(const struct tempera_matmul *p)
{
    float *const arrays[] = {a, b, c};
    const size_t counts[] = {p->M * p->a_stride, (p->b_transposed ? p->N : p->K) * p->b_stride,
                             p->M * p->c_stride};
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < counts[i]; k++)
            arrays[i][k] = (float)check_random_below(31) - 15;
    memcpy(before, c, counts[2] * sizeof *c);
}

// Rows and columns beside whole tiles; K in slices, and in pieces (65 rows of 4000).
static void small_m_on(uint32_t isa)
{
    static const size_t shapes[][3] = {{64, 16384, 64}, {2, 1030, 1025},  {65, 270, 4000},
                                       {17, 1500, 800}, {128, 130, 8200}, {71, 97, 11000},
                                       {9, 24, 44000},  {6, 1000, 1100}};
    CHECK_STATUS(tempera_cpu_set_mask(isa), TEMPERA_OK);
    struct tempera_thread_pool *pool = NULL;
    CHECK_STATUS(tempera_thread_pool_open(&pool, 3), TEMPERA_OK);
    size_t n_done = 0;
    for (size_t s = 0; s < COUNT_OF(shapes); s += check_stride(3))
        for (unsigned flags = 0; flags < 8; flags += 2) {
            struct tempera_matmul p = make(shapes[s][0], shapes[s][1], shapes[s][2], flags);
            size_t n = p.M * p.c_stride;
            make_exact(&p);
            if (!tempera_matmul_small_m(&p, NULL)) {
                CHECK_MEM(c, before, n * sizeof *c);
                continue;
            }
            n_done++;
            check_product(&p, 0);
            memcpy(first, c, n * sizeof *c);
            memcpy(c, before, n * sizeof *c);
            tempera_matmul_parallel(&p, tempera_thread_pool_executor(pool));
            CHECK_MEM(c, first, n * sizeof *c);
        }
    tempera_thread_pool_close(&pool);
    bool has_kernels = isa == TEMPERA_ISA_AVX2 || isa == TEMPERA_ISA_AVX512;
    CHECK(has_kernels ? n_done >= (check_is_small() ? 8 : 24) : n_done == 0);
}

static void small_m(void)
{
    uint32_t usable = tempera_cpu_detected() & tempera_cpu_compiled();
    for (uint32_t isa = TEMPERA_ISA_SCALAR; isa <= TEMPERA_ISA_NEON; isa *= 2)
        if (usable & isa)
            small_m_on(isa);
    CHECK_STATUS(tempera_cpu_set_mask(usable), TEMPERA_OK);
}

// Left to the library: one row, or too many, or a transposed A, or a B that is small or isn't deep.
static void other_shapes(void)
{
    static const size_t shapes[][3] = {
        {1, 1100, 1000}, {129, 1100, 1000}, {16, 1000, 1000}, {64, 1040, 1024}, {9, 1100, 1000}};
    for (size_t s = 0; s < COUNT_OF(shapes); s++) {
        unsigned flags = s == 3 ? 0 : s == 4 ? 1 : 2;
        struct tempera_matmul p = make(shapes[s][0], shapes[s][1], shapes[s][2], flags);
        CHECK(!tempera_matmul_small_m(&p, NULL));
        CHECK_MEM(c, before, p.M * p.c_stride * sizeof *c);
    }
}

// Small products inside tasks, many at once: what a build of the library that isn't safe gets
// wrong.
static void serial_task(void *context, size_t index)
{
    struct tempera_matmul p = *(const struct tempera_matmul *)context;
    p.c += index * p.M * p.c_stride;
    tempera_matmul_serial(&p);
}

static void products_at_once(void)
{
    enum { TASKS = 60, SIDE = 64 };
    struct tempera_matmul p = make(SIDE, SIDE, SIDE, 2);
    p.c_stride = SIDE;
    struct tempera_thread_pool *pool = NULL;
    CHECK_STATUS(tempera_thread_pool_open(&pool, 3), TEMPERA_OK);
    for (int round = 0; round < 20; round++) {
        memset(c, 0, TASKS * SIDE * SIDE * sizeof *c);
        tempera_parallel_for(tempera_thread_pool_executor(pool), TASKS, serial_task, &p);
        for (size_t i = 1; i < TASKS; i++)
            CHECK_MEM(c + i * SIDE * SIDE, c, SIDE * SIDE * sizeof *c);
    }
    tempera_thread_pool_close(&pool);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"products are right for any shape, transpose, stride and accumulation", shapes},
        {"products of one row are right", one_row},
        {"empty products are zero, or leave what they add to", empty},
        {"results do not depend on the executor", any_executor},
        {"products of few rows are right on every instruction set", small_m},
        {"products of other shapes are left to the library", other_shapes},
        {"serial products can run in several threads at once", products_at_once},
    };
    if (tempera_matmul_start() != TEMPERA_OK) {
        printf("Bail out! the matrix library can't be called from several threads\n");
        return 1;
    }
    return CHECK_RUN(tests, argc, argv);
}
