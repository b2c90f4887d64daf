// SPDX-License-Identifier: MIT
// The temperature as a quantity: fitted to held-out data, or solved for a given entropy,
// perplexity or largest probability ("top share"). Read next: sampler.h.
//
// Calibration (Guo, Pleiss, Sun, Weinberger 2017, arXiv 1706.04599): the T that makes the mean
// cross-entropy of softmax(z / T) least. In b = 1/T the loss of a row with target y is convex:
//
//     loss  = ln sum exp(b z) - b z_y
//     dloss/db   = E_p[z] - z_y           slope
//     d2loss/db2 = Var_p[z] >= 0          curvature
//
// so it has one minimum, and a bracketed Newton iteration finds it. A row whose target is masked,
// or whose scores all are, has loss +inf at every T: it is left out, and the status says so. NaN in
// a row makes all sums, and what is fitted, the canonical NaN. Rows with k scores of +inf count
// ln k at every T, as in softmax.h.
//
// Error: sums of exponentials in f32, all else in double; a row's loss within 2^-22, a slope within
// 2^-21 of E|z - max|, so the accuracy of T depends on the curvature at the minimum. Bits do not
// depend on the executor or the instruction set. No function here allocates or starts a thread.
#ifndef TEMPERA_CALIBRATION_H
#define TEMPERA_CALIBRATION_H

#include <tempera/loss.h>
#include <tempera/matrix.h>
#include <tempera/parallel.h>
#include <tempera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

// ------------------------------------------------------------------------------------------------
// Fitting T

enum tempera_fit_border {
    TEMPERA_FIT_INSIDE = 0,  // the minimum lies in the range, or the loss is the same everywhere
    TEMPERA_FIT_LOWEST = 1,  // the loss still falls at the lowest T: every target is its row's
                             // maximum (then T = 0 is best), or the range begins too high
    TEMPERA_FIT_HIGHEST = 2, // it still falls at the highest T: the scores are negatively
                             // correlated with the targets (then T = inf is best), or the range
                             // ends too low
};

struct tempera_temperature_fit {
    double temperature; // 1, or the end of the range nearest to 1, where the loss is the same at
                        // every T and where no row counts
    double loss;        // the mean at that temperature; 0 where no row counts
    size_t count;       // rows that count
    enum tempera_fit_border border;
};

// Later versions may append fields; struct_size says which of them the caller knows.
struct tempera_fit_options {
    size_t struct_size;
    double lowest, highest; // the range of T; 0 < lowest <= highest < +inf; 0.01 and 100 by default
    int32_t ignore_index;   // TEMPERA_IGNORE_INDEX by default
};

TEMPERA_API struct tempera_fit_options tempera_fit_options_default(void);

// The T in the range that makes the mean loss of classes[rows] least, given logits[rows, cols] of
// any dtype, all of them in memory: five to ten sweeps over them. options NULL: the defaults. The
// iteration ends where its step is below 2^-16 of T, which leaves T off by far less.
// Returns the worst row's status, or INVALID_ARGUMENT, TARGET_OUT_OF_RANGE: nothing is written.
TEMPERA_API enum tempera_status
tempera_fit_temperature(const struct tempera_matrix *logits, const int32_t *classes,
                        const struct tempera_fit_options *options,
                        struct tempera_temperature_fit *fit,
                        const struct tempera_executor *executor);

// The same over logits that come in chunks and are never all in memory: add up each chunk at a few
// temperatures, then fit.
struct tempera_temperature_sums {
    double temperature; // T in (0, +inf), set by the caller; all else begins at 0
    double loss, slope, curvature; // sums over the rows that count
    size_t count;
};

enum { TEMPERA_MOST_TEMPERATURES = 32 };

// Adds the rows of a chunk to sums[n_sums], one for each temperature, in one sweep (a few tenths of
// a nanosecond for each element and temperature). Parameters and status as above; n_sums from 1 to
// TEMPERA_MOST_TEMPERATURES.
TEMPERA_API enum tempera_status
tempera_temperature_sums_add(const struct tempera_matrix *logits, const int32_t *classes,
                             int32_t ignore_index, struct tempera_temperature_sums *sums,
                             size_t n_sums, const struct tempera_executor *executor);

// The T that makes the loss least, within the first and the last of at least two temperatures that
// rise. Between two of them the loss is the polynomial of degree 5 in 1/T that has its value, slope
// and curvature at both ends: with temperatures that rise by a quarter, T comes out within about
// 1e-4 of itself, the loss within about 1e-5. INVALID_ARGUMENT if they don't rise
// or if counts differ.
TEMPERA_API enum tempera_status
tempera_fit_temperature_to_sums(const struct tempera_temperature_sums *sums, size_t n_sums,
                                struct tempera_temperature_fit *fit);

// ------------------------------------------------------------------------------------------------
// Solving for T

enum tempera_goal {
    TEMPERA_GOAL_ENTROPY = 0,    // H(p) in nats; from 0 on
    TEMPERA_GOAL_PERPLEXITY = 1, // exp(H(p)); from 1 on
    TEMPERA_GOAL_TOP_SHARE = 2,  // the largest p; in (0, 1]
};

// temperatures[rows]: the T at which softmax(z / T) of each row of logits[rows, cols] reaches the
// goal. Entropy and perplexity rise with T, the largest probability falls, so there is one. With k
// scores at the maximum and n above -inf, H lies between ln k (T = 0) and ln n (T = +inf), and the
// largest probability between 1/k and 1/n. A target at or beyond these limits gives T = 0 or +inf,
// which softmax.h and the sampler accept.
//   target    the goal's value, in its unit
//   achieved  [rows] or NULL: what T gives, in the goal's unit; differs where the limit was taken
// Error: H, or ln of the perplexity or of the largest probability, within 2^-20 (1 + H) of the
// target's.
// NaN: NAN_INPUT, T and achieved the canonical NaN. Nothing allowed: the same with ALL_MASKED.
// Returns the worst row's status, or INVALID_ARGUMENT (a target that no distribution has, an
// overlap): nothing is written. About ten sweeps over a row are usual, 80 are the most.
TEMPERA_API enum tempera_status
tempera_solve_temperature(const struct tempera_matrix *logits, enum tempera_goal goal,
                          double target, float *temperatures, float *achieved,
                          enum tempera_status *row_status, const struct tempera_executor *executor);

#ifdef __cplusplus
}
#endif
#endif
