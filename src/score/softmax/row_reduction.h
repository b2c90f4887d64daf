// SPDX-License-Identifier: MIT
// One row of scores, whatever its type, mask and values: one or two sweeps over its pieces find its
// maximum and sum, from which each piece of the result follows. The kernels' functions for whole
// rows do the same for f32 rows, faster, with the same bits.
#ifndef TEMPERA_SCORE_SOFTMAX_ROW_REDUCTION_H
#define TEMPERA_SCORE_SOFTMAX_ROW_REDUCTION_H

#include <tempera/status.h>

#include "score/row_source.h"

enum tempera_row_kind {
    TEMPERA_ROW_NAN,
    TEMPERA_ROW_MASKED,      // nothing is allowed
    TEMPERA_ROW_UNIFORM_MAX, // uniform on the scores equal to max: T = 0, scores of +inf
    TEMPERA_ROW_UNIFORM_ALL, // uniform on all scores above -inf: T = inf
    TEMPERA_ROW_F64,         // scores or a temperature that f32 arithmetic can't hold
    TEMPERA_ROW_F32,
};

struct tempera_row_reduction {
    enum tempera_row_kind kind;
    float max;
    size_t count;               // UNIFORM: of the scores with mass
    struct tempera_row_sum sum; // F32
    double sum_f64;             // F64
    double ln_S;                // UNIFORM, F64 and F32
    struct tempera_temperature_params params;
};

struct tempera_row_reduction tempera_row_reduce(const struct tempera_row_source *source,
                                                const struct tempera_temperature_params *params);

// OK, ALL_MASKED or NAN_INPUT.
enum tempera_status tempera_row_reduction_status(const struct tempera_row_reduction *reduction);

// out_i = p_i, or log p_i, of x[n], a piece of the row; out may be x.
void tempera_row_reduction_softmax(const struct tempera_row_reduction *reduction,
                                   const struct tempera_kernels *kernels, const float *x, size_t n,
                                   float *out);
void tempera_row_reduction_log_softmax(const struct tempera_row_reduction *reduction,
                                       const struct tempera_kernels *kernels, const float *x,
                                       size_t n, float *out);

// ln sum exp(z / T)
float tempera_row_reduction_logsumexp(const struct tempera_row_reduction *reduction);

#endif
