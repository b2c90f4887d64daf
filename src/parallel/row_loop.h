// SPDX-License-Identifier: MIT
// Independent rows, with the caller's executor.
#ifndef TEMPERA_PARALLEL_ROW_LOOP_H
#define TEMPERA_PARALLEL_ROW_LOOP_H

#include <stddef.h>

#include <tempera/parallel.h>
#include <tempera/status.h>

// Does the rows [first, end): returns the worst one's status and fills row_status, unless that is
// NULL. Runs with the default floating-point environment.
typedef enum tempera_status tempera_rows_function(const void *context, size_t first, size_t end,
                                                  enum tempera_status *row_status);

// Runs function on rows [0, n_rows). The shape and the number of threads decide which rows form a
// task; no result depends on that. Returns the worst status.
enum tempera_status tempera_rows_run(size_t n_rows, size_t n_cols, tempera_rows_function *function,
                                     const void *context, enum tempera_status *row_status,
                                     const struct tempera_executor *executor);

#endif
