// SPDX-License-Identifier: MIT
// Cross-entropy from logits: the loss and its gradient in one call. Read next: sampler.h.
//
// For a row z[cols] with target class y, or target distribution q[cols], and temperature T:
//
//     loss    = ln S - (z_y - m) / T            never the logarithm of a softmax
//     loss    = sum_j q_j (ln S - (z_j - m) / T)     soft targets; terms with q_j = 0 count 0
//     dloss/dz= (p - onehot(y)) / T   or   (p sum(q) - q) / T
//
// with m and S as in softmax.h. Rows whose target is ignore_index count nothing and get gradient
// 0. Reduction: NONE leaves row losses alone, SUM adds them, MEAN divides the sum by the number
// of rows that count (all ignored: loss 0, count 0, gradient 0). The gradient is that of the
// reduced loss (of the sum for NONE), times gradient_scale.
//
// Edges, by row: NaN: NAN_INPUT, the row's outputs and the reduced loss are the canonical NaN.
// A target whose score is -inf: loss +inf, gradient 0 in that row, TARGET_MASKED (soft targets:
// if any q_j > 0 has z_j = -inf). All scores -inf: the same with ALL_MASKED. Scores of +inf: the
// limit as in softmax.h; a finite target beside a +inf score has loss +inf, TARGET_MASKED.
// T must be in (0, +inf).
//
// Error: a row's loss within half an ulp + 2^-22 and never negative for integer targets; sums and
// means over rows in double, in a fixed order. A gradient's entry within 7 ulp of p + 1 ulp of its
// own, times its scale; that of the target, and of soft targets, within 2^-21 times its scale. Bits
// do not depend on the executor.
#ifndef TEMPERA_LOSS_H
#define TEMPERA_LOSS_H

#include <tempera/matrix.h>
#include <tempera/parallel.h>
#include <tempera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

enum tempera_reduction {
    TEMPERA_REDUCTION_MEAN = 0,
    TEMPERA_REDUCTION_SUM = 1,
    TEMPERA_REDUCTION_NONE = 2,
};

enum { TEMPERA_IGNORE_INDEX = -100 };

// Fields may be appended in later versions; struct_size says which of them the caller knows.
struct tempera_cross_entropy_options {
    size_t struct_size;
    float temperature;                // T in (0, +inf); 1 by default
    int32_t ignore_index;             // TEMPERA_IGNORE_INDEX by default
    enum tempera_reduction reduction; // MEAN by default
    float gradient_scale;             // multiplies the gradient only; 1 by default
};

TEMPERA_API struct tempera_cross_entropy_options tempera_cross_entropy_options_default(void);

// Exactly one of the two is set.
struct tempera_targets {
    const int32_t *classes;             // [rows]: the class of each row
    const struct tempera_matrix *probs; // [rows, cols]: a distribution for each row
};

// What to compute besides the status; every pointer may be NULL. Set struct_size.
struct tempera_cross_entropy_outputs {
    size_t struct_size;
    const struct tempera_matrix *d_logits; // [rows, cols]; may be exactly the logits (in place)
    float *row_loss;                       // [rows], before reduction; 0 for ignored rows
    float *row_logsumexp;                  // [rows], of z / T
    enum tempera_status *row_status;       // [rows]
    double *loss;                          // the reduced loss; the sum for NONE
    size_t *count;                         // rows that count
};

// Returns the worst row's status, or INVALID_ARGUMENT, UNSUPPORTED (dtype) or
// TARGET_OUT_OF_RANGE: then nothing is written.
TEMPERA_API enum tempera_status
tempera_cross_entropy(const struct tempera_matrix *logits, const struct tempera_targets *targets,
                      const struct tempera_cross_entropy_options *options,
                      const struct tempera_cross_entropy_outputs *outputs,
                      const struct tempera_executor *executor);

#ifdef __cplusplus
}
#endif
#endif
