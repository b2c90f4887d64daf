// SPDX-License-Identifier: MIT
// One row of a cross-entropy: its losses and its gradient, from what the call knows beforehand, the
// whole batch's normalisers among it. So rows may come from a matrix or from temporary chunks.
// docs/LOSSES.md has the formula; names here are its letters spelled out.
#ifndef TEMPERA_SCORE_LOSS_CROSS_ENTROPY_ROW_H
#define TEMPERA_SCORE_LOSS_CROSS_ENTROPY_ROW_H

#include <tempera/loss.h>

#include "kernels/kernels.h"

enum { TEMPERA_LOSS_PIECE = 2048 }; // elements; a few buffers of so many floats lie on the stack

// A call, as its rows see it.
struct tempera_loss {
    const struct tempera_kernels *kernels;
    struct tempera_cross_entropy_options options;
    struct tempera_temperature_params params;
    size_t cols;
    enum tempera_dtype dtype;       // of the logits
    enum tempera_dtype probs_dtype; // of soft targets
    enum tempera_dtype d_dtype;     // of the gradient
    double class_weights_sum;       // of all columns; their number without weights
    double largest_class_weight;    // 1 without weights
    double weight_sum;              // W
    size_t count;                   // N
    double slope;                   // of f ce in the gradient: G / (T W) for MEAN, G / T
    double z_slope;                 // of z lse^2: G / (T N), G / T
    bool wants_entropy, wants_correct;
};

// A row that counts.
struct tempera_loss_row {
    const void *logits;
    const void *probs; // soft targets, or NULL:
    size_t y;          // the class
    void *d_logits;    // NULL: none. May be logits.
    const void *next;  // NULL, or the logits of the row after this one
};

struct tempera_loss_result {
    enum tempera_status status;
    double cross_entropy; // f ce
    double z_loss;        // z lse^2
    double logsumexp, entropy;
    bool is_correct;
};

// The result goes through a pointer: copying a struct that was just written costs a short row more
// than its arithmetic, since the copy's wider loads wait for the stores.
void tempera_cross_entropy_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                               struct tempera_loss_result *result);

#endif
