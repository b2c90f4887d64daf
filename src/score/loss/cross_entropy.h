// SPDX-License-Identifier: MIT
// The steps of a cross-entropy call, which the call with a linear layer takes, too: read and check
// the arguments, find the normalisers, do the rows, write what is of the whole batch.
#ifndef TEMPERA_SCORE_LOSS_CROSS_ENTROPY_H
#define TEMPERA_SCORE_LOSS_CROSS_ENTROPY_H

#include <tempera/loss.h>
#include <tempera/parallel.h>

#include "score/loss/cross_entropy_row.h"

// Reads and checks the options; NULL: the defaults. OK or INVALID_ARGUMENT. The class weights,
// whose number only the logits tell, are checked by begin.
enum tempera_status
tempera_loss_read_options(const struct tempera_cross_entropy_options *given,
                          struct tempera_cross_entropy_options *options);

// Reads the outputs; INVALID_ARGUMENT for NULL or a struct_size that is too small.
enum tempera_status
tempera_loss_read_outputs(const struct tempera_cross_entropy_outputs *given,
                          struct tempera_cross_entropy_outputs *outputs);

enum { TEMPERA_LOSS_MOST_READ = 2, TEMPERA_LOSS_MOST_WRITTEN = 3 };

// The memory that a call works on beside the vectors of its outputs.
struct tempera_loss_memory {
    size_t rows, cols;
    const int32_t *classes;     // [rows] or NULL
    const float *class_weights; // [cols] or NULL
    // Each may be NULL. What they have in common with each other is the caller's to check.
    const struct tempera_matrix *read[TEMPERA_LOSS_MOST_READ];
    const struct tempera_matrix *written[TEMPERA_LOSS_MOST_WRITTEN];
};

// No output may overlap an input or another output. OK or INVALID_ARGUMENT.
enum tempera_status tempera_loss_check_memory(const struct tempera_loss_memory *memory,
                                              const struct tempera_cross_entropy_outputs *outputs);

// Gets a call ready whose kernels, options, cols and types are set: the normalisers, from
// classes[rows], or for soft targets (NULL). OK, INVALID_ARGUMENT (a weight that is negative or not
// finite), TARGET_OUT_OF_RANGE, UNSUPPORTED (focal with soft targets).
enum tempera_status tempera_loss_begin(struct tempera_loss *loss, const int32_t *classes,
                                       size_t rows);

// Sums over the rows that were done, and the worst row's status.
struct tempera_loss_totals {
    double cross_entropy, z_loss;
    size_t n_correct;
    enum tempera_status worst;
};

// Rows of a batch: all of them, or some whose logits are temporary.
struct tempera_loss_chunk {
    const struct tempera_loss *loss;
    const struct tempera_matrix *logits, *d_logits; // the chunk's; d_logits NULL: none
    const struct tempera_matrix *soft;              // the chunk's targets, or NULL:
    const int32_t *classes;                         // the batch's
    size_t first_row;                               // the batch's row that is the chunk's first
    const struct tempera_cross_entropy_outputs *outputs; // the batch's
};

// Does the rows, writes what is by row, and adds to *totals in a fixed order.
void tempera_loss_do_chunk(const struct tempera_loss_chunk *chunk,
                           const struct tempera_executor *executor,
                           struct tempera_loss_totals *totals);

// Writes what is of the whole batch; returns the worst row's status.
enum tempera_status tempera_loss_finish(const struct tempera_loss *loss,
                                        const struct tempera_loss_totals *totals,
                                        const struct tempera_cross_entropy_outputs *outputs);

#endif
