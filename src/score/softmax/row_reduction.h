// SPDX-License-Identifier: MIT
// What is to be done with one row of scores, of any type, masked or not, ordinary or not: found in
// one or two sweeps over its pieces, then applied to each piece. The kernels' whole-row functions
// do the same for ordinary rows of f32, faster, with the same bits.
#ifndef TEMPERA_SCORE_SOFTMAX_ROW_REDUCTION_H
#define TEMPERA_SCORE_SOFTMAX_ROW_REDUCTION_H

#include <tempera/status.h>

#include "kernels/kernels.h"

enum { TEMPERA_PIECE = 4096 }; // elements; a buffer of so many floats lies on the stack

// Where a row's scores come from.
struct tempera_row_source {
    const struct tempera_kernels *kernels;
    struct tempera_prepare how;
    const void *z;
    size_t n;          // scores, the sink among them
    const float *sink; // NULL, or one more score at the end
    bool is_plain;     // f32 and nothing to prepare: pieces are read where they lie
};

enum tempera_row_kind {
    TEMPERA_ROW_NAN,
    TEMPERA_ROW_MASKED,      // nothing is allowed
    TEMPERA_ROW_UNIFORM_MAX, // uniform on the scores equal to max: T = 0, scores of +inf
    TEMPERA_ROW_UNIFORM_ALL, // uniform on all scores above -inf: T = inf
    TEMPERA_ROW_F64,         // in double
    TEMPERA_ROW_F32,
};

struct tempera_row_reduction {
    enum tempera_row_kind kind;
    float max;
    size_t count;                // of EVEN
    struct tempera_row_sum sum;  // of ORDINARY
    double sum_f64;              // of WIDE
    double ln_S;                 // of WIDE, ORDINARY and EVEN
    struct tempera_temperature_params params;
};

struct tempera_row_reduction tempera_row_reduce(const struct tempera_row_source *source,
                                                const struct tempera_temperature_params *params);

// OK, ALL_MASKED or NAN_INPUT.
enum tempera_status tempera_row_reduction_status(const struct tempera_row_reduction *plan);

// out_i = p_i, or log p_i, of x[n], a piece of the planned row; out may be x.
void tempera_row_reduction_softmax(const struct tempera_row_reduction *plan,
                                   const struct tempera_kernels *kernels, const float *x, size_t n,
                                   float *out);
void tempera_row_reduction_log_softmax(const struct tempera_row_reduction *plan,
                                       const struct tempera_kernels *kernels, const float *x,
                                       size_t n, float *out);

// ln sum exp(z / T)
float tempera_row_reduction_logsumexp(const struct tempera_row_reduction *plan);

// The largest score; of no use if there is a NaN.
float tempera_row_max(const struct tempera_row_source *source, bool *has_nan);

// A row of a matrix as it lies there.
struct tempera_row_source tempera_row_source_of(const struct tempera_kernels *kernels,
                                                const struct tempera_matrix *matrix, size_t row);

// Elements [at, at + n) of the row, in place or in buffer.
const float *tempera_row_piece(const struct tempera_row_source *source, size_t at, size_t n,
                               float *buffer);

#endif
