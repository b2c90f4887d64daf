// SPDX-License-Identifier: MIT
// What f32 rows and f64 rows of a cross-entropy have in common: where scores and targets come from,
// and the row's few numbers, from which loss and gradient follow (docs/LOSSES.md).
#ifndef TEMPERA_SCORE_LOSS_CROSS_ENTROPY_TERMS_H
#define TEMPERA_SCORE_LOSS_CROSS_ENTROPY_TERMS_H

#include "score/loss/cross_entropy_row.h"

// What a sweep over a row finds.
struct tempera_loss_sweep {
    double ln_S, logsumexp;
    double p_y;           // of the class; for the gradient only: a loss takes exp(-class_loss)
    double class_loss;    // lse - a_y
    double mass;          // tau
    double cross_entropy; // ce
    double entropy;
    bool has_nan;   // among the soft targets
    bool is_masked; // a target is on a score without mass
};

// What the gradient needs beside the sweep's probabilities: A p_j - b_j.
struct tempera_loss_slopes {
    double factor; // A
    double scale;  // of the target masses: f slope
    double probs;  // factor of soft targets; like `floor` a float where a float holds it
    double floor;  // of smoothing
    double at_y;   // the gradient of a_y, in the gradient's scale
};

// Scores [at, at + n) after conversion and softcap, where they lie or in buffer; none above max.
const float *tempera_loss_scores(const struct tempera_loss *loss,
                                 const struct tempera_loss_row *row, float max, size_t at, size_t n,
                                 float *buffer);

// The target masses of a piece. buffer: for soft targets of 16 bits.
struct tempera_target_mass tempera_loss_piece_mass(const struct tempera_loss *loss,
                                                   const struct tempera_loss_row *row, size_t at,
                                                   size_t n, float *buffer);

// b_i: element i of a piece's weights and targets under the slopes' factors.
double tempera_loss_target_slope(const struct tempera_target_mass *piece,
                                 const struct tempera_loss_slopes *slopes, size_t i);

// Whether the kernels' maps stay within f32 with a factor like this one.
bool tempera_loss_factor_fits_f32(double factor);

// True if the sums over all targets are needed: soft targets, or smoothing.
bool tempera_loss_needs_sums(const struct tempera_loss *loss, const struct tempera_loss_row *row);

float tempera_loss_class_weight(const struct tempera_loss *loss, size_t y);

// t_y
double tempera_loss_class_mass(const struct tempera_loss *loss, size_t y);

// mass and cross_entropy from the sums of t_j and t_j (a_j - m / T) over the row, which for a class
// are those of the weights alone; from class_loss where no sums are needed.
void tempera_loss_set_cross_entropy(const struct tempera_loss *loss,
                                    const struct tempera_loss_row *row, double mass, double scores,
                                    struct tempera_loss_sweep *sweep);

// The row's losses. *slopes: for its gradient.
void tempera_loss_set_result(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                             const struct tempera_loss_sweep *sweep,
                             struct tempera_loss_slopes *slopes,
                             struct tempera_loss_result *result);

// The slope of the softcap at score s; 1 without one.
double tempera_loss_cap_slope(const struct tempera_loss *loss, double s);

// Writes n gradients from element `at` on; from may lie where they go.
void tempera_loss_store(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                        size_t at, size_t n, const float *from);

#endif
