// SPDX-License-Identifier: MIT
// Cross-entropy from logits: the loss and its gradient in one call. Read next: sampler.h.
//
// For a row of logits x[cols] of any type, with p = softmax(a) and lse = logsumexp(a) of
//
//     s = softcap tanh(x / softcap)  or x      a = s / T
//     t_j  = w_j ((1 - smoothing) q_j + smoothing / cols)      q: the class, or the soft targets
//     ce   = sum_j t_j (lse - a_j)             never the logarithm of a softmax; t_j = 0 counts 0
//     loss = (1 - p_y)^gamma ce + z_loss lse^2
//     dloss/da_j = p_j sum(t) - t_j            for gamma = 0, z_loss = 0
//
// docs/LOSSES.md has the order in which the options apply, what two of them mean together, the
// gradient of all, and where PyTorch's meaning was kept or wasn't.
//
// Rows whose class is ignore_index do not count and get gradient 0. Reduction: NONE leaves row
// losses alone, SUM adds them, MEAN divides the first part by the sum of w_y over the rows that
// count (by their number without weights, and for soft targets), the second by their number; where
// that is 0, so is the quotient. The gradient is that of the reduced loss (of the sum for NONE),
// times gradient_scale.
//
// Edges, by row (with a softcap no score is infinite):
//     a NaN, also among soft targets,    NAN_INPUT; the row's outputs and the reduced loss are the
//       or an infinite soft target       canonical NaN
//     a score of -inf with t_j != 0      TARGET_MASKED; loss +inf, gradient 0 in that row. With
//                                        smoothing every class of weight above 0 is a target
//     all scores are -inf                ALL_MASKED; the same
//     scores of +inf, among them all     the limit as in softmax.h, +inf with z_loss
//       targets
//     scores of +inf, a target elsewhere TARGET_MASKED; loss +inf, gradient 0 in that row
//
// Error bounds. G = gradient_scale, N = rows that count, W = what MEAN divides by; "scale" is
// G / (T N) for MEAN, G / T otherwise (then without the N / W below); "ulp": of the value itself.
//
// A row of the table adds to those above it; focal_gamma multiplies the total.
//
//     quantity            bound                                    with option
//     row loss            ulp / 2 + 2^-22                          none
//                         ulp / 2 + (sum |t_j| + 1) 2^-22          class_weights, soft targets
//                         + 4 ulp                                  label_smoothing
//                         + 2^-21 z_loss |lse|                     z_loss
//                         times 1 + gamma                          focal_gamma
//     sums, means         of the rows' losses in double, in a fixed order
//     d_logits            scale times 7 ulp of p, + 1 ulp          none
//       at a target       scale times 2^-21                        none
//       all entries       scale times 2^-21 (((1 + gamma) sum |t_j| + 1) N / W
//                           + 2 z_loss (|lse| + 1)), + 1 ulp       any
//       of 16 bits        then rounded once
//     row_entropy         2^-20 (1 + itself)                       any
//     s                   5 ulp, and what follows from s           softcap
//
// The loss of a class is never negative. Bits do not depend on the executor.
//
// Options may be at the ends of what a float holds. A gradient's entry that its type can't hold is
// infinite; a row whose status is OK has no NaN.
//
// No function here allocates: beyond its arguments a call uses less than 64 KiB of each thread's
// stack.
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

// Later versions may append fields; struct_size says which of them the caller knows.
struct tempera_cross_entropy_options {
    size_t struct_size;
    float temperature;                // T in (0, +inf); 1 by default
    int32_t ignore_index;             // TEMPERA_IGNORE_INDEX by default
    enum tempera_reduction reduction; // MEAN by default
    float gradient_scale;             // multiplies the gradient only; 1 by default

    // All off by default: 0 or NULL.
    float label_smoothing;      // in [0, 1] (Szegedy et al. 2015, arXiv 1512.00567)
    float z_loss;               // >= 0: times lse^2 (PaLM, 2022, arXiv 2204.02311)
    const float *class_weights; // [cols], each finite and >= 0; only read
    float softcap;              // c > 0: c tanh(x / c), within 5 ulp (Gemma 2, arXiv 2408.00118)
    float focal_gamma;          // >= 0 (Lin et al. 2017, arXiv 1708.02002); classes only
};

TEMPERA_API struct tempera_cross_entropy_options tempera_cross_entropy_options_default(void);

// Exactly one of the two is set.
struct tempera_targets {
    const int32_t *classes;             // [rows]: the class of each row
    const struct tempera_matrix *probs; // [rows, cols], any type: a distribution for each row; it
                                        // may sum to anything. ignore_index does not apply
};

// What to compute besides the status; every pointer may be NULL. Set struct_size.
struct tempera_cross_entropy_outputs {
    size_t struct_size;
    const struct tempera_matrix *d_logits; // [rows, cols], any type; may be exactly the logits
                                           // (data, type and stride: in place)
    float *row_loss;                       // [rows], before reduction; 0 for ignored rows
    float *row_logsumexp;                  // [rows], lse
    enum tempera_status *row_status;       // [rows]
    double *loss;                          // the reduced loss; the sum for NONE
    size_t *count;                         // rows that count

    float *row_entropy;   // [rows], -sum p ln p in nats; 0 for ignored rows
    uint8_t *row_correct; // [rows]: 1 where y is the argmax of x (the first of equal ones), else 0
    size_t *n_correct;    // the sum of these
    double *weight_sum;   // W: what MEAN divides the first part by, for any reduction
    double *z_loss;       // the reduced second part, which *loss contains
};

// logits[rows, cols] of any type are never written, unless d_logits is the same memory. NULL
// options: the defaults; NULL executor: this thread. Outputs may overlap neither inputs nor each
// other, but for d_logits in place. Returns the worst row's status, or INVALID_ARGUMENT,
// UNSUPPORTED (focal_gamma, row_correct or n_correct with soft targets) or TARGET_OUT_OF_RANGE:
// then nothing is written. Safe to call from several threads.
TEMPERA_API enum tempera_status
tempera_cross_entropy(const struct tempera_matrix *logits, const struct tempera_targets *targets,
                      const struct tempera_cross_entropy_options *options,
                      const struct tempera_cross_entropy_outputs *outputs,
                      const struct tempera_executor *executor);

#ifdef __cplusplus
}
#endif
#endif
