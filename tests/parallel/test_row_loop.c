// SPDX-License-Identifier: MIT
// Loops over rows: each row once, with its status and the worst of all; and sums whose bits are
// those of blocks that the number of rows alone decides.
#include "check.h"

#include "base/size.h"
#include "parallel/row_loop.h"

enum { MOST_ROWS = 1000, N_SUMS = 3 };

struct rows {
    size_t bad;             // this row has a NaN, the one after it is masked
    unsigned char *n_calls; // [MOST_ROWS]; plain, not atomic: two threads at one row are a race
};

static enum tempera_status do_row(const void *context, size_t r)
{
    const struct rows *rows = context;
    rows->n_calls[r]++;
    return r == rows->bad       ? TEMPERA_NAN_INPUT
           : r == rows->bad + 1 ? TEMPERA_ALL_MASKED
                                : TEMPERA_OK;
}

// Terms of very different sizes, so that another order gives other bits.
static double term(size_t r, size_t k)
{
    double sign = r % 2 ? -1 : 1;
    return sign * ldexp(1 + (double)r / 7, (int)((r * (k + 1)) % 90));
}

static enum tempera_status add_row(const void *context, size_t r, double *sums)
{
    for (size_t k = 0; k < N_SUMS; k++)
        sums[k] += term(r, k);
    return do_row(context, r);
}

static void check_statuses(size_t n_rows, size_t bad, enum tempera_status worst,
                           const enum tempera_status *row_status, const unsigned char *n_calls)
{
    enum tempera_status expected = TEMPERA_OK;
    for (size_t r = 0; r < n_rows; r++) {
        enum tempera_status status = r == bad       ? TEMPERA_NAN_INPUT
                                     : r == bad + 1 ? TEMPERA_ALL_MASKED
                                                    : TEMPERA_OK;
        CHECK_STATUS(row_status[r], status);
        CHECK_EQ_INT(n_calls[r], 1);
        expected = status > expected ? status : expected;
    }
    CHECK_STATUS(worst, expected);
}

static const size_t counts[] = {0, 1, 2, 63, 64, 65, 128, 129, 1000};

static void each_row_runs_once(const struct tempera_executor *executor)
{
    static const size_t columns[] = {1, 50, 20000};
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        for (size_t c = 0; c < COUNT_OF(columns); c++) {
            unsigned char n_calls[MOST_ROWS] = {0};
            enum tempera_status row_status[MOST_ROWS];
            struct rows rows = {counts[i] / 2, n_calls};
            enum tempera_status worst =
                tempera_for_each_row(counts[i], columns[c], do_row, &rows, row_status, executor);
            check_statuses(counts[i], rows.bad, worst, row_status, n_calls);
            CHECK_STATUS(tempera_for_each_row(counts[i], columns[c], do_row, &rows, NULL, executor),
                         worst);
        }
}

// Blocks of ceil(rows / 64) rows, each added in order, then the blocks in order.
static void sums_are_those_of_blocks(const struct tempera_executor *executor)
{
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        unsigned char n_calls[MOST_ROWS] = {0};
        enum tempera_status row_status[MOST_ROWS];
        struct rows rows = {counts[i] / 3, n_calls};
        double scratch[TEMPERA_MOST_ROW_BLOCKS * N_SUMS], sums[N_SUMS] = {1, 2, 3};
        enum tempera_status worst = tempera_reduce_rows(counts[i], add_row, &rows, N_SUMS, sums,
                                                        scratch, row_status, executor);
        check_statuses(counts[i], rows.bad, worst, row_status, n_calls);
        size_t per_block = tempera_ceil_div(counts[i], TEMPERA_MOST_ROW_BLOCKS);
        for (size_t k = 0; k < N_SUMS; k++) {
            double expected = (double)k + 1;
            for (size_t first = 0; first < counts[i]; first += per_block) {
                double block = 0;
                for (size_t r = first; r < counts[i] && r < first + per_block; r++)
                    block += term(r, k);
                expected += block;
            }
            CHECK_MEM(&sums[k], &expected, sizeof expected);
        }
    }
}

static void on_executors(void (*test)(const struct tempera_executor *))
{
    static const size_t n_threads[] = {1, 2, 5};
    test(NULL);
    for (size_t i = 0; i < COUNT_OF(n_threads); i++) {
        struct tempera_thread_pool *pool = NULL;
        CHECK_STATUS(tempera_thread_pool_open(&pool, n_threads[i]), TEMPERA_OK);
        test(tempera_thread_pool_executor(pool));
        tempera_thread_pool_close(&pool);
    }
}

static void rows(void)
{
    on_executors(each_row_runs_once);
}

static void sums(void)
{
    on_executors(sums_are_those_of_blocks);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"each row runs once, with its status and the worst of all", rows},
        {"sums have the bits of blocks that the number of rows decides", sums},
    };
    return CHECK_RUN(tests, argc, argv);
}
