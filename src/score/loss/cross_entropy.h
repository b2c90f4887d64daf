// SPDX-License-Identifier: MIT
// The cross-entropy's inside. docs/LOSSES.md has the formula; names here are its letters spelled
// out. A row is done by itself from what the call settled beforehand, the whole batch's normaliser
// among it, so that rows can come from a matrix or from chunks that nobody keeps.
#ifndef TEMPERA_SCORE_LOSS_CROSS_ENTROPY_H
#define TEMPERA_SCORE_LOSS_CROSS_ENTROPY_H

#include <tempera/loss.h>

#include "kernels/kernels.h"
#include "score/loss/row_losses.h"

enum { TEMPERA_LOSS_PIECE = 2048 }; // elements; a few buffers of so many floats lie on the stack

// A call, as its rows see it.
struct tempera_loss {
    const struct tempera_kernels *kernels;
    struct tempera_cross_entropy_options options;
    struct tempera_temperature_params params;
    size_t cols;
    enum tempera_dtype dtype;         // of the logits
    enum tempera_dtype probs_dtype;   // of soft targets
    enum tempera_dtype d_dtype;       // of the gradient
    double class_weights_sum;         // of all columns; their number without weights
    double largest_class_weight;      // 1 without weights
    double weight_sum;                // W
    size_t count;                     // N
    double slope;                     // of f ce in the gradient: G / (T W) for MEAN, G / T
    double z_slope;                   // of z lse^2: G / (T N), G / T
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

// What a sweep over a row finds, the same for ordinary rows and for rare ones.
struct tempera_loss_sweep {
    double ln_S, logsumexp;
    double p_y;           // of the class
    double class_loss;    // lse - a_y
    double mass;          // tau
    double cross_entropy; // ce
    double entropy;
    bool has_nan;   // among the soft targets
    bool is_masked; // a target is on a score without mass
};

// What the gradient needs beside the sweep's probabilities: A p_j - b_j.
struct tempera_loss_slopes {
    double factor;       // A
    double scale;        // of the target masses: f slope
    double share, floor; // that of soft targets, and of smoothing: floats where a float holds them
    double at_y;         // the gradient of a_y, in the gradient's scale
};

// Reads and checks the options; NULL: the defaults. OK or INVALID_ARGUMENT. The class weights,
// whose number only the logits tell, are checked by begin.
enum tempera_status
tempera_loss_read_options(const struct tempera_cross_entropy_options *given,
                          struct tempera_cross_entropy_options *options);

// Reads the outputs; INVALID_ARGUMENT for NULL or a struct_size of no version.
enum tempera_status
tempera_loss_read_outputs(const struct tempera_cross_entropy_outputs *given,
                          struct tempera_cross_entropy_outputs *outputs);

enum { TEMPERA_LOSS_MATRICES = 5 };

// The memory that a call works on beside the vectors of its outputs.
struct tempera_loss_memory {
    size_t rows, cols;
    const int32_t *classes;                                       // [rows] or NULL
    const float *class_weights;                                   // [cols] or NULL
    const struct tempera_matrix *matrices[TEMPERA_LOSS_MATRICES]; // each may be NULL
};

// Vectors must lie apart from each other and from every matrix. OK or INVALID_ARGUMENT.
enum tempera_status
tempera_loss_check_vectors(const struct tempera_loss_memory *memory,
                           const struct tempera_cross_entropy_outputs *outputs);

// Gets a call ready whose kernels, options, cols and types are set: the normalisers, from
// classes[rows], or for soft targets (NULL). OK, INVALID_ARGUMENT (a weight that is negative or not
// finite), TARGET_OUT_OF_RANGE, UNSUPPORTED (focal with soft targets).
enum tempera_status tempera_loss_begin(struct tempera_loss *loss, const int32_t *classes,
                                       size_t rows);

// The reduced loss from the sums of f ce and of z lse^2.
double tempera_loss_reduce(const struct tempera_loss *loss, double cross_entropy, double z_loss);

// Through a pointer, as all results of a row: to copy one just written costs a short row more than
// its arithmetic does, since the copy's wider loads wait for the stores.
void tempera_loss_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                      struct tempera_loss_result *result);

// Rows of a batch: logits of all of them, or of a chunk that nobody keeps.
struct tempera_loss_rows {
    const struct tempera_loss *loss;
    const struct tempera_matrix *logits, *d_logits; // the chunk's; d_logits NULL: none
    const struct tempera_matrix *soft;              // the chunk's targets, or NULL:
    const int32_t *classes;                         // the batch's
    size_t first_row;                               // the batch's row that is the chunk's first
    const struct tempera_cross_entropy_outputs *outputs; // the batch's
};

// Does the rows, writes what is by row, and adds to *totals in a fixed order.
void tempera_loss_do_rows(const struct tempera_loss_rows *rows,
                          const struct tempera_executor *executor,
                          struct tempera_loss_totals *totals);

// Writes what is of the whole batch; returns the worst row's status.
enum tempera_status tempera_loss_finish(const struct tempera_loss *loss,
                                        const struct tempera_loss_totals *totals,
                                        const struct tempera_cross_entropy_outputs *outputs);

// Rows that f32 can't hold, and rows with scores of +inf, in double. max: of the scores.
void tempera_loss_row_f64(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                          float max, struct tempera_loss_result *result);

// ------------------------------------------------------------------------------------------------
// What both kinds of rows share (loss_parts.c)

// Scores [at, at + n) behind type and softcap, where they lie or in buffer; none above max.
const float *tempera_loss_scores(const struct tempera_loss *loss,
                                 const struct tempera_loss_row *row, float max, size_t at, size_t n,
                                 float *buffer);

// The target masses of a piece. buffer: for soft targets of 16 bits.
struct tempera_target_mass tempera_loss_mass(const struct tempera_loss *loss,
                                             const struct tempera_loss_row *row, size_t at,
                                             size_t n, float *buffer);

// b_i: element i of a piece's weights and targets under the slopes' factors.
double tempera_loss_target_slope(const struct tempera_target_mass *piece,
                                 const struct tempera_loss_slopes *slopes, size_t i);

// Whether the kernels' maps stay within f32 with a factor like this one.
bool tempera_loss_is_held_by_f32(double factor);

// True if the sums over all targets are needed: soft targets, or smoothing.
bool tempera_loss_needs_sums(const struct tempera_loss *loss, const struct tempera_loss_row *row);

float tempera_loss_class_weight(const struct tempera_loss *loss, size_t y);

// t_y
double tempera_loss_class_mass(const struct tempera_loss *loss, size_t y);

// mass and cross_entropy from the sums of t_j and t_j (a_j - m / T) over the row, which for a class
// are those of the weights alone; from class_loss where no sums are needed.
void tempera_loss_add_up(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                         double mass, double scores, struct tempera_loss_sweep *sweep);

// The row's losses. *slopes: for its gradient.
void tempera_loss_of_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                         const struct tempera_loss_sweep *sweep, struct tempera_loss_slopes *slopes,
                         struct tempera_loss_result *result);

// The slope of the softcap at score s; 1 without one.
double tempera_loss_cap_slope(const struct tempera_loss *loss, double s);

// Writes n gradients from element `at` on; from may lie where they go.
void tempera_loss_store(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                        size_t at, size_t n, const float *from);

#endif
