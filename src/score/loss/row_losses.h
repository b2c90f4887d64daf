// SPDX-License-Identifier: MIT
// Calls whose result is one loss for each row, and their sum or mean.
#ifndef TEMPERA_SCORE_LOSS_ROW_LOSSES_H
#define TEMPERA_SCORE_LOSS_ROW_LOSSES_H

#include <tempera/parallel.h>
#include <tempera/status.h>

// One row: sets *loss and returns the status.
typedef enum tempera_status tempera_row_loss_function(const void *context, size_t row,
                                                      double *loss);

// Where results go; each may be NULL.
struct tempera_row_loss_outputs {
    float *row_loss;
    enum tempera_status *row_status;
    double *loss; // the losses' sum over `divisor`; 0 stands for 1
    size_t divisor;
};

// Runs the function on rows [0, n_rows). No bit depends on the executor. Returns the worst status.
enum tempera_status tempera_row_losses(size_t n_rows, tempera_row_loss_function *function,
                                       const void *context,
                                       const struct tempera_row_loss_outputs *outputs,
                                       const struct tempera_executor *executor);

#endif
