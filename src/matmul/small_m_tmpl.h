// SPDX-License-Identifier: MIT
// The whole translation unit of the kernels for small M: the includer defines which vectors
// (TEMPERA_VEC_*), the table's name (TABLE), and the size of a tile, whose sums stay in registers:
// TILE_ROWS, at least 2, and TILE_VECTORS of 16, 1 to 3.
#include "base/guarded.h"
#include "matmul/small_m.h"
#include "simd/vec.h"

enum {
    MAX_WIDTH = TEMPERA_SMALL_M_MOST_ROWS,
    BLOCK_ROWS = TILE_ROWS * 8,
    TASK_ROWS = BLOCK_ROWS * 4,
    BLOCK_K = 128, // rows of B that are packed at a time
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

// ------------------------------------------------------------------------------------------------
// The tile

// sums[rows, 16 vectors] += x[rows, K] y[K, 16 vectors]
struct tile {
    size_t rows, vectors, K;
    const float *x; // read one number at a time, with any strides
    size_t x_row, x_k;
    const float *y; // rows of vectors
    size_t y_stride;
    float *sums;
    size_t sums_stride;
    uintptr_t ahead; // prefetched meanwhile, ahead_step bytes for each k
    size_t ahead_step;
};

ALWAYS_INLINE void add_tile(const struct tile *t, size_t rows, size_t vectors)
{
    f32x16 sums[TILE_ROWS][TILE_VECTORS], y[TILE_VECTORS];
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < vectors; v++)
            sums[r][v] = v_load(t->sums + r * t->sums_stride + 16 * v);
    for (size_t k = 0; k < t->K; k++) {
        __builtin_prefetch((const void *)(t->ahead + k * t->ahead_step), 0, 2);
        for (size_t v = 0; v < vectors; v++)
            y[v] = v_load(t->y + k * t->y_stride + 16 * v);
        for (size_t r = 0; r < rows; r++) {
            f32x16 x = v_set(t->x[r * t->x_row + k * t->x_k]);
            for (size_t v = 0; v < vectors; v++)
                sums[r][v] = v_fma(x, y[v], sums[r][v]);
        }
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < vectors; v++)
            v_store(t->sums + r * t->sums_stride + 16 * v, sums[r][v]);
}

// Of constant size, so that the sums are registers; the remaining rows are added one by one.
ALWAYS_INLINE void add_rows(const struct tile *t, size_t vectors)
{
    if (t->rows == TILE_ROWS) {
        add_tile(t, TILE_ROWS, vectors);
        return;
    }
    struct tile row = *t;
    for (size_t r = 0; r < t->rows; r++) {
        row.x = t->x + r * t->x_row;
        row.sums = t->sums + r * t->sums_stride;
        add_tile(&row, 1, vectors);
    }
}

static void add(const struct tile *t)
{
    if (t->vectors == 1)
        add_rows(t, 1);
#if TILE_VECTORS > 1
    else if (t->vectors == 2)
        add_rows(t, 2);
    else
        add_rows(t, 3);
#endif
}

// ------------------------------------------------------------------------------------------------
// B[N, K]: its rows are the tiles' rows, and the result is C^T. A is transposed into memory.

struct transposed {
    const struct tempera_matmul *p;
    const float *a;        // [K, width]
    size_t width, vectors; // M in whole vectors; vectors of a tile
};

static void store_block(const struct tempera_matmul *p, size_t n, size_t count, const float *sums,
                        size_t width)
{
    for (size_t m = 0; m < p->M; m++) {
        float *c = p->c + m * p->c_stride + n;
        for (size_t i = 0; i < count; i++)
            c[i] = p->accumulate ? c[i] + sums[i * width + m] : sums[i * width + m];
    }
}

// While a tile's rows of B are used, the next ones are prefetched.
static void do_block(const struct transposed *job, size_t n, size_t count)
{
    const struct tempera_matmul *p = job->p;
    float sums[BLOCK_ROWS * MAX_WIDTH] __attribute__((aligned(64)));
    for (size_t i = 0; i < count * job->width; i++)
        sums[i] = 0;
    size_t nbytes = TILE_ROWS * p->b_stride * sizeof(float), used = job->vectors * 16;
    for (size_t r = 0; r < count; r += TILE_ROWS) {
        const float *b = p->b + (n + r) * p->b_stride;
        for (size_t m = 0; m < job->width; m += used) {
            struct tile t = {.rows = smaller(TILE_ROWS, count - r),
                             .vectors = smaller(job->vectors, (job->width - m) / 16),
                             .K = p->K, .x = b, .x_row = p->b_stride, .x_k = 1,
                             .y = job->a + m, .y_stride = job->width,
                             .sums = sums + r * job->width + m, .sums_stride = job->width};
            t.ahead = (uintptr_t)b + nbytes + m * nbytes / job->width;
            t.ahead_step = nbytes * used / job->width / p->K;
            add(&t);
        }
    }
    store_block(p, n, count, sums, job->width);
}

static void do_block_task(void *context, size_t index)
{
    const struct transposed *job = context;
    size_t first = index * TASK_ROWS, end = smaller(job->p->N, first + TASK_ROWS);
    for (size_t n = first; n < end; n += BLOCK_ROWS)
        do_block(job, n, smaller(BLOCK_ROWS, end - n));
}

static void multiply_transposed(const struct tempera_matmul *p, float *memory,
                                const struct tempera_executor *executor)
{
    size_t n_vectors = ceil_div(p->M, 16), n_tiles = ceil_div(n_vectors, TILE_VECTORS);
    struct transposed job = {p, memory, n_vectors * 16, ceil_div(n_vectors, n_tiles)};
    for (size_t m = 0; m < p->M; m++)
        for (size_t k = 0; k < p->K; k++)
            memory[k * job.width + m] = p->a[m * p->a_stride + k];
    tempera_guarded_for(executor, ceil_div(p->N, TASK_ROWS), do_block_task, &job);
}

// ------------------------------------------------------------------------------------------------
// B[K, N]: C's rows are the tiles' rows. Each task sums over a slice of K, into memory of its own.

struct plain {
    const struct tempera_matmul *p;
    float *sums; // [n_slices, M, width]
    size_t width, slice_K; // N in whole vectors; rows of B in a slice
};

static void pack_columns(const struct tempera_matmul *p, size_t k, size_t n_k, size_t n,
                         size_t width, float *to)
{
    for (size_t i = 0; i < n_k; i++) {
        const float *from = p->b + (k + i) * p->b_stride + n;
        for (size_t at = 0; at < width; at += 16) {
            bool is_whole = p->N - n - at >= 16;
            f32x16 x = is_whole ? v_load(from + at) : v_load_part(from + at, p->N - n - at, 0);
            v_store(to + i * width + at, x);
        }
    }
}

// Adds n_k rows of B from row k on, while the next ones are prefetched.
static void add_k_block(const struct plain *job, size_t k, size_t n_k, float *sums)
{
    const struct tempera_matmul *p = job->p;
    enum { MOST = TILE_VECTORS * 16 };
    float columns[BLOCK_K * MOST] __attribute__((aligned(64)));
    size_t n_tiles = ceil_div(job->width, MOST) * ceil_div(p->M, TILE_ROWS), tile = 0;
    size_t nbytes_a_tile = BLOCK_K * p->b_stride * sizeof(float) / n_tiles;
    uintptr_t next = (uintptr_t)(p->b + k * p->b_stride) + BLOCK_K * p->b_stride * sizeof(float);
    for (size_t n = 0; n < job->width; n += MOST) {
        size_t width = smaller(MOST, job->width - n);
        pack_columns(p, k, n_k, n, width, columns);
        for (size_t m = 0; m < p->M; m += TILE_ROWS) {
            struct tile t = {.rows = smaller(TILE_ROWS, p->M - m),
                             .vectors = width / 16,
                             .K = n_k,
                             .x = p->a + m * p->a_stride + k,
                             .x_row = p->a_stride,
                             .x_k = 1,
                             .y = columns,
                             .y_stride = width,
                             .sums = sums + m * job->width + n,
                             .sums_stride = job->width,
                             .ahead = next + tile++ * nbytes_a_tile,
                             .ahead_step = nbytes_a_tile / BLOCK_K};
            add(&t);
        }
    }
}

static void do_slice(void *context, size_t index)
{
    const struct plain *job = context;
    size_t first = index * job->slice_K, end = smaller(job->p->K, first + job->slice_K);
    for (size_t k = first; k < end; k += BLOCK_K)
        add_k_block(job, k, smaller(BLOCK_K, end - k), job->sums + index * job->p->M * job->width);
}

static void multiply_plain(const struct tempera_matmul *p, size_t n_slices, float *memory,
                           const struct tempera_executor *executor)
{
    struct plain job = {p, memory, ceil_div(p->N, 16) * 16, 0};
    job.slice_K = ceil_div(ceil_div(p->K, n_slices), BLOCK_K) * BLOCK_K;
    tempera_guarded_for(executor, ceil_div(p->K, job.slice_K), do_slice, &job);
    for (size_t m = 0; m < p->M; m++) {
        float *c = p->c + m * p->c_stride;
        for (size_t n = 0; n < p->N; n++) {
            float sum = p->accumulate ? c[n] : 0;
            for (size_t s = 0; s < n_slices; s++)
                sum += memory[(s * p->M + m) * job.width + n];
            c[n] = sum;
        }
    }
}

const struct tempera_small_m_kernels TABLE = {multiply_transposed, multiply_plain};
