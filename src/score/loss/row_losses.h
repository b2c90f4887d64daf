// SPDX-License-Identifier: MIT
// What functions with one loss a row share: running over the rows, the sum in a fixed order, and
// the check that what is written lies apart from what is read.
#ifndef TEMPERA_SCORE_LOSS_ROW_LOSSES_H
#define TEMPERA_SCORE_LOSS_ROW_LOSSES_H

#include <tempera/parallel.h>

#include "base/matrix.h"

struct tempera_row_loss {
    enum tempera_status status;
    double loss;   // without:
    double z_loss; // the cross-entropy's second part
    bool is_correct;
};

struct tempera_loss_totals {
    double loss, z_loss;
    size_t n_correct;
    enum tempera_status worst;
};

typedef struct tempera_row_loss tempera_row_loss_function(const void *context, size_t row);

// Where the rows' losses, of both parts, and statuses go; each may be NULL.
struct tempera_row_outputs {
    float *loss;
    enum tempera_status *status;
};

// Runs the function on rows [0, n_rows), each with the default floating-point modes, and adds to
// *totals, whose bits depend on the rows alone.
void tempera_row_losses_run(size_t n_rows, tempera_row_loss_function *function,
                            const void *context, const struct tempera_row_outputs *outputs,
                            struct tempera_loss_totals *totals,
                            const struct tempera_executor *executor);

// The same for a whole call: *loss, unless NULL, is the losses' sum over `divisor`; 0 stands for 1.
// Returns the worst status.
enum tempera_status tempera_row_losses_reduce(size_t n_rows, tempera_row_loss_function *function,
                                              const void *context,
                                              const struct tempera_row_outputs *outputs,
                                              size_t divisor, double *loss,
                                              const struct tempera_executor *executor);

// An array of the caller's; at NULL: none.
struct tempera_vector {
    const void *at;
    size_t nbytes;
};

// True if no vector has a byte in common with another or with a matrix; NULL matrices are passed
// over.
bool tempera_vectors_are_apart(const struct tempera_vector *vectors, size_t n_vectors,
                               const struct tempera_matrix *const *matrices, size_t n_matrices);

// A computed NaN may have any payload; what is written is the canonical one.
void tempera_store_float(float *out, double value);

#endif
