// SPDX-License-Identifier: MIT
// Loops over independent rows, on the caller's executor. Every row runs in the default
// floating-point modes. Which rows form a task depends on the shape and on the number of threads;
// sums are added in blocks of rows that depend on the number of rows alone. So no result depends on
// the executor.
#ifndef TEMPERA_PARALLEL_ROW_LOOP_H
#define TEMPERA_PARALLEL_ROW_LOOP_H

#include <stddef.h>

#include <tempera/parallel.h>
#include <tempera/status.h>

// One row; returns its status.
typedef enum tempera_status tempera_row_function(const void *context, size_t row);

// Rows [first, end): returns the worst status and fills row_status, unless that is NULL.
typedef enum tempera_status tempera_row_range_function(const void *context, size_t first,
                                                       size_t end, enum tempera_status *row_status);

// One row; adds its terms to sums[n_sums] and returns its status.
typedef enum tempera_status tempera_row_sum_function(const void *context, size_t row, double *sums);

// Runs the function on each of n_rows rows, whose statuses go to row_status[n_rows] (may be NULL).
// n_cols: the work of a row, in elements. Returns the worst status.
enum tempera_status tempera_for_each_row(size_t n_rows, size_t n_cols,
                                         tempera_row_function *function, const void *context,
                                         enum tempera_status *row_status,
                                         const struct tempera_executor *executor);

// The same for a function that does several rows at once.
enum tempera_status tempera_for_row_ranges(size_t n_rows, size_t n_cols,
                                           tempera_row_range_function *function,
                                           const void *context, enum tempera_status *row_status,
                                           const struct tempera_executor *executor);

enum { TEMPERA_MOST_ROW_BLOCKS = 64, TEMPERA_MOST_ROW_SUMS = 100 };

// The same with sums over the rows, added to sums[n_sums], n_sums <= TEMPERA_MOST_ROW_SUMS: within
// at most TEMPERA_MOST_ROW_BLOCKS blocks in the order of rows, then in the order of blocks.
// scratch: TEMPERA_MOST_ROW_BLOCKS * n_sums elements.
enum tempera_status tempera_reduce_rows(size_t n_rows, tempera_row_sum_function *function,
                                        const void *context, size_t n_sums, double *sums,
                                        double *scratch, enum tempera_status *row_status,
                                        const struct tempera_executor *executor);

// The worse of two.
static inline enum tempera_status tempera_worst_status(enum tempera_status a, enum tempera_status b)
{
    return a > b ? a : b;
}

#endif
