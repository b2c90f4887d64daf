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
// Rows whose class is ignore_index count nothing and get gradient 0. Reduction: NONE leaves row
// losses alone, SUM adds them, MEAN divides the first part by the sum of w_y over the rows that
// count (by their number without weights, and for soft targets), the second by their number; where
// that is 0, so is the quotient. The gradient is that of the reduced loss (of the sum for NONE),
// times gradient_scale.
//
// Edges, by row. NaN, also among soft targets, or an infinite soft target: NAN_INPUT, the row's
// outputs and the reduced loss are the canonical NaN. A score of -inf with t_j != 0 (with smoothing
// every class of weight above 0 is a target): loss +inf, gradient 0 in that row, TARGET_MASKED. All
// scores -inf: the same with ALL_MASKED. Scores of +inf: the limit as in softmax.h, +inf with
// z_loss; a target beside them has loss +inf, TARGET_MASKED. With a softcap no score is infinite.
//
// Error. A row's loss: half an ulp + (sum |t_j| + 1) 2^-22, without options 2^-22; with smoothing
// 4 ulp more, with z_loss 2^-21 z_loss |lse| more, with gamma 1 + gamma times as much; never
// negative for classes. Sums and means over rows in double, in a fixed order. A gradient's entry,
// in the scale G / (T N): within 7 ulp of p + 1 ulp of its own; that of the target, and of soft
// targets, within 2^-21. With options all entries within 2^-21 (((1 + gamma) sum |t| + 1) N / W +
// 2 z_loss (|lse| + 1)) of that scale, and an ulp. A 16-bit gradient is then rounded once. Entropy:
// within 2^-20 (1 + itself). A softcap's scores are off by 5 ulp, and what follows from them with
// them. Bits do not depend on the executor.
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

// Fields may be appended in later versions; struct_size says which of them the caller knows.
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
                                        // may sum to anything. ignore_index has no say
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
    double *weight_sum;   // what MEAN divides the first part by, whatever the reduction
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
