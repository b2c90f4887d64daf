// SPDX-License-Identifier: MIT
#include "parallel/row_loop.h"

#include <stdatomic.h>
#include <string.h>

#include "base/fpenv.h"
#include "base/size.h"

static void raise_worst(atomic_int *worst, enum tempera_status status)
{
    int seen = atomic_load(worst);
    while ((int)status > seen && !atomic_compare_exchange_weak(worst, &seen, (int)status))
        continue;
}

// ------------------------------------------------------------------------------------------------
// Ranges of rows

struct range_loop {
    tempera_row_range_function *function;
    const void *context;
    enum tempera_status *row_status;
    size_t n_rows, rows_per_task;
    atomic_int worst;
};

static void do_range(void *context, size_t index)
{
    struct range_loop *loop = context;
    size_t first = index * loop->rows_per_task;
    size_t end = first + tempera_min(loop->n_rows - first, loop->rows_per_task);
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status worst = loop->function(loop->context, first, end, loop->row_status);
    tempera_fpenv_leave(env);
    raise_worst(&loop->worst, worst);
}

enum tempera_status tempera_for_row_ranges(size_t n_rows, size_t n_cols,
                                           tempera_row_range_function *function,
                                           const void *context, enum tempera_status *row_status,
                                           const struct tempera_executor *executor)
{
    // A task is tens of microseconds at least, since to start one costs about one, and a sixteenth
    // of a thread's rows at most. Rows are fetched ahead within a task, so longer is better.
    const size_t elements_per_task = 16384, tasks_per_thread = 16;
    struct range_loop loop = {.function = function, .context = context, .row_status = row_status};
    size_t least = n_cols >= elements_per_task ? 1 : elements_per_task / n_cols;
    size_t n_threads = executor == NULL ? 0 : executor->n_threads;
    size_t wanted = n_threads == 0 ? n_rows : n_rows / tasks_per_thread / n_threads;
    loop.n_rows = n_rows;
    loop.rows_per_task = wanted > least ? wanted : least;
    atomic_init(&loop.worst, TEMPERA_OK);
    tempera_parallel_for(executor, tempera_ceil_div(n_rows, loop.rows_per_task), do_range, &loop);
    return (enum tempera_status)atomic_load(&loop.worst);
}

// ------------------------------------------------------------------------------------------------
// Row by row

struct each_row {
    tempera_row_function *function;
    const void *context;
};

static enum tempera_status do_each_row(const void *context, size_t first, size_t end,
                                       enum tempera_status *row_status)
{
    const struct each_row *each = context;
    enum tempera_status worst = TEMPERA_OK;
    for (size_t r = first; r < end; r++) {
        enum tempera_status status = each->function(each->context, r);
        if (row_status != NULL)
            row_status[r] = status;
        worst = tempera_worst_status(worst, status);
    }
    return worst;
}

enum tempera_status tempera_for_each_row(size_t n_rows, size_t n_cols,
                                         tempera_row_function *function, const void *context,
                                         enum tempera_status *row_status,
                                         const struct tempera_executor *executor)
{
    const struct each_row each = {function, context};
    return tempera_for_row_ranges(n_rows, n_cols, do_each_row, &each, row_status, executor);
}

// ------------------------------------------------------------------------------------------------
// Sums

struct block_loop {
    tempera_row_sum_function *function;
    const void *context;
    enum tempera_status *row_status;
    size_t n_rows, rows_per_block, n_sums;
    double *block_sums; // [block][n_sums]
    atomic_int worst;
};

static void do_block(void *context, size_t block)
{
    struct block_loop *loop = context;
    size_t first = block * loop->rows_per_block;
    size_t end = first + tempera_min(loop->n_rows - first, loop->rows_per_block);
    double sums[TEMPERA_MOST_ROW_SUMS]; // threads would contend for lines of block_sums
    enum tempera_status worst = TEMPERA_OK;
    struct tempera_fpenv env = tempera_fpenv_enter();
    for (size_t k = 0; k < loop->n_sums; k++)
        sums[k] = 0;
    for (size_t r = first; r < end; r++) {
        enum tempera_status status = loop->function(loop->context, r, sums);
        if (loop->row_status != NULL)
            loop->row_status[r] = status;
        worst = tempera_worst_status(worst, status);
    }
    memcpy(loop->block_sums + block * loop->n_sums, sums, loop->n_sums * sizeof *sums);
    tempera_fpenv_leave(env);
    raise_worst(&loop->worst, worst);
}

static void add_blocks(const struct block_loop *loop, size_t n_blocks, double *sums)
{
    for (size_t block = 0; block < n_blocks; block++)
        for (size_t k = 0; k < loop->n_sums; k++)
            sums[k] += loop->block_sums[block * loop->n_sums + k];
}

enum tempera_status tempera_reduce_rows(size_t n_rows, tempera_row_sum_function *function,
                                        const void *context, size_t n_sums, double *sums,
                                        double *scratch, enum tempera_status *row_status,
                                        const struct tempera_executor *executor)
{
    struct block_loop loop = {.function = function,
                              .context = context,
                              .row_status = row_status,
                              .n_rows = n_rows,
                              .n_sums = n_sums,
                              .block_sums = scratch};
    if (n_rows == 0)
        return TEMPERA_OK;
    loop.rows_per_block = tempera_ceil_div(n_rows, TEMPERA_MOST_ROW_BLOCKS);
    size_t n_blocks = tempera_ceil_div(n_rows, loop.rows_per_block);
    atomic_init(&loop.worst, TEMPERA_OK);
    tempera_parallel_for(executor, n_blocks, do_block, &loop);
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(scratch);
    tempera_fpenv_carry(sums);
    add_blocks(&loop, n_blocks, sums);
    tempera_fpenv_carry(sums);
    tempera_fpenv_leave(env);
    return (enum tempera_status)atomic_load(&loop.worst);
}
