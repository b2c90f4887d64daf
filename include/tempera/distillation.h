// SPDX-License-Identifier: MIT
// Distillation: how far a student's rows of scores are from a teacher's, and the gradient that
// brings them nearer. Read next: shards.h.
//
// For a row of the teacher t[cols], the student's s[cols] and a temperature T, with p =
// softmax(t / T) and q = softmax(s / T):
//
//     beta = 0     D = KL(p || q) = sum p ln(p / q)     (Hinton, Vinyals, Dean 2015, 1503.02531)
//     beta = 1     D = KL(q || p)                       the reverse
//     between      D = beta KL(p || m) + (1 - beta) KL(q || m),  m = beta p + (1 - beta) q
//                  generalised Jensen-Shannon (Agarwal et al. 2023, arXiv 2306.13649); 1/2: JSD
//     loss         = T^2 D
//     dloss/ds     = T (q - p)  for beta = 0,  T q (ln(q/p) - D)  for beta = 1,
//                    T (1 - beta) q (ln(q/m) - KL(q || m))  between
//
// T^2 keeps the gradient's size as T grows, so this loss can be added to another; divide by T^2 to
// get D. The ends are what papers and libraries mean by beta 0 and 1, not the limits of what lies
// between: as beta nears 0, D / beta nears KL(p || q).
//
// Edges, by row:
//     a NaN                              NAN_INPUT; the row's outputs and the reduced loss are the
//                                        canonical NaN
//     no score above -inf in teacher     ALL_MASKED; loss +inf, gradient 0
//       or student
//     beta = 0: an entry masked in the   TARGET_MASKED; loss +inf, gradient 0 in that row
//       student alone
//     beta = 1: one masked in the        the same
//       teacher alone
//     any other masked entry             counts 0 (0 ln 0 = 0)
//     scores of +inf                     the limit as in softmax.h: all mass equally on them
//
// Error bounds. D is a sum of terms >= 0: never negative, and 0 for equal rows.
//     quantity         bound
//     D                2^-20 D + 2^-42, for beta 0, 1 or in [0.01, 0.99]
//     row loss         T^2 times that, rounded once
//     d_student        2^-20 T max(p, q) (1 + |ln(q/p)| + D) times gradient_scale (over N for
//                      MEAN), + ulp / 2
//     sums, means      of the rows' losses in double, in a fixed order
// Bits do not depend on the executor or the instruction set. docs/DISTILLATION.md has the
// derivation.
//
// No function here allocates or starts a thread; no [rows, cols] memory is needed beside the two.
#ifndef TEMPERA_DISTILLATION_H
#define TEMPERA_DISTILLATION_H

#include <tempera/loss.h>
#include <tempera/matrix.h>
#include <tempera/parallel.h>
#include <tempera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

// Later versions may append fields; struct_size says which of them the caller knows.
struct tempera_distillation_options {
    size_t struct_size;
    float temperature;                // T in (0, +inf); 1 by default
    float beta;                       // in [0, 1]; 0 by default
    const int32_t *classes;           // [rows] or NULL: rows whose class is ignore_index don't
    int32_t ignore_index;             // count; TEMPERA_IGNORE_INDEX by default
    enum tempera_reduction reduction; // MEAN (over the rows that count) by default
    float gradient_scale;             // multiplies the gradient only; 1 by default
};

TEMPERA_API struct tempera_distillation_options tempera_distillation_options_default(void);

// What to compute besides the status; every pointer may be NULL. Set struct_size. Outputs may
// overlap neither inputs nor each other, but for d_student in place.
struct tempera_distillation_outputs {
    size_t struct_size;
    const struct tempera_matrix *d_student; // [rows, cols], any dtype; may be exactly the student's
                                            // scores, or exactly the teacher's (in place)
    float *row_loss;                        // [rows], before reduction; 0 for ignored rows
    enum tempera_status *row_status;        // [rows]
    double *loss;                           // the reduced loss; the sum for NONE
    size_t *count;                          // rows that count
};

// teacher, student: [rows, cols], inputs, any dtype each. options NULL: the defaults. The gradient
// is that of the reduced loss (of the sum for NONE), and 0 for ignored rows. Returns the worst
// row's status, or INVALID_ARGUMENT: then nothing is written. A row is swept three times: twice
// for its sums, once for loss and gradient; four times for beta above 0.
TEMPERA_API enum tempera_status
tempera_distillation(const struct tempera_matrix *teacher, const struct tempera_matrix *student,
                     const struct tempera_distillation_options *options,
                     const struct tempera_distillation_outputs *outputs,
                     const struct tempera_executor *executor);

#ifdef __cplusplus
}
#endif
#endif
