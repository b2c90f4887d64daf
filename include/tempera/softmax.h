// SPDX-License-Identifier: MIT
// Softmax, log-softmax and logsumexp with temperature, over the rows of a matrix of scores, and
// the softmax's backward pass. Read next: loss.h, sampler.h.
//
// For one row z[cols], temperature T and the set A of its allowed entries, with m = max z over A:
//
//     S            = sum over A of exp((z_j - m) / T)
//     softmax_i    = exp((z_i - m) / T) / S
//     log_softmax_i= (z_i - m) / T - ln S
//     logsumexp    = ln sum over A of exp(z_j / T) = m / T + ln S
//
// Edges, in this order of precedence, for each row by itself:
//     entry masked by a mask bit of 0   never read, not even a NaN; p = 0, log p = -inf
//     score -inf                        p = 0, log p = -inf
//     NaN among the rest                NAN_INPUT; every output of the row is the NaN 0x7fc00000
//     k scores are +inf                 the limit: 1/k each, others 0; logsumexp +inf
//     nothing is allowed                ALL_MASKED; p all 0, log p all -inf, logsumexp -inf
//     T = 0                             the limit: uniform over the ties at the maximum;
//                                       logsumexp: m < 0: -inf, m = 0: ln(ties), m > 0: +inf
//     T = +inf                          uniform over what is not masked; logsumexp ln(count)
//     FTZ, DAZ, rounding mode           the caller's change no result and are left as they were
//
// Error bounds, as if z - m and the division by T were exact: every normal p within 3 ulp,
// |sum p - 1| <= 2^-22, z_i >= z_j never gives p_i < p_j, one allowed score gives exactly 1 and
// k equal ones the correctly rounded 1/k; log p within 2 ulp + 2^-22 and never positive. Any of
// f32, f16 and bf16 may go in and out: arithmetic is in f32, and a 16-bit result is within 1 ulp of
// its type. docs/NUMERICS.md says which of these are derived and which are tested.
//
// No function here allocates or starts a thread. All are safe to call from several threads.
#ifndef TEMPERA_SOFTMAX_H
#define TEMPERA_SOFTMAX_H

#include <tempera/matrix.h>
#include <tempera/parallel.h>
#include <tempera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

// Later versions may append fields; struct_size says which of them the caller knows.
struct tempera_softmax_options {
    size_t struct_size;
    float temperature;    // T in [0, +inf]; 1 by default
    const uint32_t *mask; // NULL: all allowed. Bit c % 32 of word c / 32 is 1 where column c is
                          // allowed: the layout of llguidance and XGrammar; tail bits ignored
    size_t mask_stride;   // words from one row's mask to the next; 0: one mask for all rows

    // What attention needs: z = softcap(scale * entry) + add, and a sink beside the row.
    float scale;          // 1 by default; finite
    float softcap;        // c > 0: c tanh(x / c), within 5 ulp (Gemma 2, arXiv 2408.00118); 0: none
    const struct tempera_matrix *add; // NULL, or [rows, cols] or [1, cols] for all rows
    const float *sinks; // NULL, or [rows]: one more score in each row's sum that gets no output
                        // (a learned sink logit; 0 in each row: softmax with 1 + in the divisor)
};

// temperature 1, scale 1, nothing else.
TEMPERA_API struct tempera_softmax_options tempera_softmax_options_default(void);

// probs[rows, cols] = softmax of each row of logits[rows, cols].
//   logits      input, never written unless probs is the same memory
//   options     NULL: the defaults
//   probs       output; the same shape, any dtype. May be exactly logits (same data, dtype and
//               stride), must not overlap it in any other way
//   row_status  [rows] or NULL: OK, ALL_MASKED or NAN_INPUT for each row. Neither it nor probs may
//               overlap what options point to, or each other
//   executor    NULL: this thread
// Returns the worst row's status, or INVALID_ARGUMENT (T < 0 or NaN, a scale or softcap that is
// not finite, cols = 0, row_stride < cols, shapes that differ, no dtype, overlap): then nothing is
// written. 0 rows: OK.
TEMPERA_API enum tempera_status tempera_softmax(const struct tempera_matrix *logits,
                                                const struct tempera_softmax_options *options,
                                                const struct tempera_matrix *probs,
                                                enum tempera_status *row_status,
                                                const struct tempera_executor *executor);

// logprobs[rows, cols] = log_softmax of each row, natural logarithm. Parameters, aliasing and
// status as tempera_softmax.
TEMPERA_API enum tempera_status tempera_log_softmax(const struct tempera_matrix *logits,
                                                    const struct tempera_softmax_options *options,
                                                    const struct tempera_matrix *logprobs,
                                                    enum tempera_status *row_status,
                                                    const struct tempera_executor *executor);

// logsumexp[rows] = ln sum exp(z / T) of each row. logsumexp must not overlap logits. Parameters
// and status otherwise as tempera_softmax. Error at most 1 ulp + 2^-22.
TEMPERA_API enum tempera_status tempera_logsumexp(const struct tempera_matrix *logits,
                                                  const struct tempera_softmax_options *options,
                                                  float *logsumexp, enum tempera_status *row_status,
                                                  const struct tempera_executor *executor);

// d_logits = probs * (d_probs - sum_j probs_j * d_probs_j) / T, row by row: the gradient that
// reaches the logits of p = softmax(z / T). The sum is taken in double, so that it is off by at
// most 2^-45 of sum_j |probs_j * d_probs_j|; given the sum, a result is within 3 ulp.
//   probs, d_probs  [rows, cols], inputs
//   temperature     T in (0, +inf)
//   d_logits        [rows, cols], output; may be exactly probs or exactly d_probs
// A row whose probs are all 0 (ALL_MASKED in the forward pass) gets gradient 0. A NaN in a row
// gives that row the canonical NaN and NAN_INPUT. Status otherwise as tempera_softmax.
TEMPERA_API enum tempera_status
tempera_softmax_backward(const struct tempera_matrix *probs, const struct tempera_matrix *d_probs,
                         float temperature, const struct tempera_matrix *d_logits,
                         enum tempera_status *row_status, const struct tempera_executor *executor);

#ifdef __cplusplus
}
#endif
#endif
