// SPDX-License-Identifier: MIT
// Results too large for the caches, which are written past them: the same bits as any other.
#include "check.h"

#include <math.h>

#include <tempera/softmax.h>

#include "kernels/kernels.h"
#include "kernels/scalars.h"

enum { N_SCORES = 5 * 4097 };
static float z_data[N_SCORES];

// Between -10 and 10.
static void fill_scores(size_t n)
{
    uint32_t state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        z_data[i] = (float)(state >> 8) * 0x1.4p-20f - 10;
    }
}

typedef size_t rows_kernel(const struct tempera_rows *rows,
                           const struct tempera_temperature_params *params);

// Written past the caches or not: the same bits, up to row number `bad_row`, which isn't
// ordinary; 5: all are.
static void check_streams(rows_kernel *run, size_t n, size_t bad_row)
{
    enum { ROWS = 5, STRIDE = 4112 };
    static float to[2][ROWS * STRIDE] __attribute__((aligned(64)));
    struct tempera_temperature_params params = tempera_temperature_params_of(0.7);
    struct tempera_rows rows = {.in = z_data, .in_stride = n, .out_stride = STRIDE, .n_rows = ROWS};
    rows.n = n;
    fill_scores(ROWS * n);
    if (bad_row < ROWS)
        z_data[bad_row * n + n / 2] = INFINITY;
    for (int i = 0; i < 2; i++) {
        memset(to[i], 0x55, sizeof to[i]);
        rows.out = to[i];
        rows.stream = i == 1;
        size_t done = run(&rows, &params);
        CHECK(done == bad_row);
        for (size_t r = done; r < ROWS; r++) // not done is undefined
            memset(to[i] + r * STRIDE, 0x55, n * sizeof(float));
    }
    CHECK_MEM(to[0], to[1], sizeof to[0]);
}

static void large_results(void)
{
    static const size_t sizes[] = {1, 511, 512, 1000, 4095, 4096, 4097};
    const struct tempera_kernels *table;
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++)
        for (size_t s = 0; s < COUNT_OF(sizes); s++)
            for (size_t bad_row = 3; bad_row <= 5; bad_row += 2) {
                check_streams(table->rows.softmax, sizes[s], bad_row);
                check_streams(table->rows.log_softmax, sizes[s], bad_row);
            }
}

// 32 MiB through the public functions, against each row by itself; with rows that begin
// `offset` floats after a cache line and lie `gap` apart, or in place.
static void check_matrix(size_t offset, size_t gap, bool in_place)
{
    enum { ROWS = 2048, COLS = 4096 };
    const size_t stride = COLS + gap, nbytes = sizeof(float) * ROWS * (COLS + 16) + 64;
    static float result[COLS];
    float *z = aligned_alloc(64, nbytes), *out = aligned_alloc(64, nbytes);
    CHECK(z != NULL && out != NULL);
    fill_scores(N_SCORES);
    struct tempera_matrix in = {z, TEMPERA_F32, ROWS, COLS, stride};
    struct tempera_matrix to = {in_place ? z : out + offset, TEMPERA_F32, ROWS, COLS, stride};
    for (int log = 0; log < 2; log++) {
        __typeof__(&tempera_softmax) run = log ? tempera_log_softmax : tempera_softmax;
        for (size_t i = 0; i < (size_t)ROWS * stride; i++)
            z[i] = z_data[i % (N_SCORES - 1)]; // every row another
        CHECK_STATUS(run(&in, NULL, &to, NULL, NULL), TEMPERA_OK);
        for (size_t r = 0; r < ROWS; r += 23) {
            for (size_t i = 0; i < COLS; i++)
                result[i] = z_data[(r * stride + i) % (N_SCORES - 1)];
            struct tempera_matrix row = {result, TEMPERA_F32, 1, COLS, COLS};
            CHECK_STATUS(run(&row, NULL, &row, NULL, NULL), TEMPERA_OK);
            CHECK_MEM(result, (float *)to.data + r * stride, COLS * sizeof *result);
        }
    }
    free(z);
    free(out);
}

static void large_matrices(void)
{
    check_matrix(0, 16, false); // past the caches; the others can't be
    if (check_is_small())
        return;
    check_matrix(1, 16, false);
    check_matrix(0, 1, false);
    check_matrix(0, 0, true);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"large results of every instruction set are the same", large_results},
        {"a matrix of 32 MiB is right, apart and in place", large_matrices},
    };
    return CHECK_RUN(tests, argc, argv);
}
