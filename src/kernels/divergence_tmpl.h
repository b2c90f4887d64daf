// SPDX-License-Identifier: MIT
// Divergences between two rows of scores, as sums of terms that are never negative and computed
// without cancellation. Plain C in double, which the compiler vectorises for this table: IEEE 754
// operations in a fixed order have the same bits everywhere. docs/DISTILLATION.md has the formulas.
#ifndef TEMPERA_KERNELS_DIVERGENCE_TMPL_H
#define TEMPERA_KERNELS_DIVERGENCE_TMPL_H

#include <math.h>
#include <string.h>

#include "base/exp.h"
#include "kernels/kernels.h"
#include "simd/vec.h"

// One entry's terms: of the divergence, and of the sum V that the gradient slope - q V needs.
struct divergence_terms {
    double loss, slope, q;
};

// Selection by bit masks: compilers turn repeated conditions into branches, and then do not
// vectorise. All ones if x >= 0; x is neither a NaN nor -0.
ALWAYS_INLINE uint64_t where_positive(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits >> 63) - 1;
}

ALWAYS_INLINE double choose(uint64_t where, double a, double b)
{
    uint64_t a_bits, b_bits;
    memcpy(&a_bits, &a, sizeof a_bits);
    memcpy(&b_bits, &b, sizeof b_bits);
    uint64_t bits = (a_bits & where) | (b_bits & ~where);
    double result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

ALWAYS_INLINE double larger_of(double a, double b)
{
    return choose(where_positive(a - b), a, b);
}

// exp(x) for x <= 0
ALWAYS_INLINE double exp_nonpositive(double x)
{
    uint64_t within = where_positive(x + 708.0);
    return choose(within, tempera_exp_within(choose(within, x, -708.0)), 0.0);
}

// log p of a score. A masked score gets a number so low that its exponential is 0, but that sums
// and products with it stay finite.
ALWAYS_INLINE double log_prob(double z, double max, double inverse_T, double ln_S)
{
    return larger_of((z - max) * inverse_T - ln_S, -0x1p1000);
}

// KL(first || second) = sum of first (e^d - 1 - d), d = log second - log first. As both sum to 1,
// the terms first (e^d - 1) sum to 0; with them, no term is negative. Divided by the larger of the
// two, with u = |d| and x = e^-u, a term is x - 1 + u if that is the first, and 1 - (1 + u) x
// otherwise.
ALWAYS_INLINE double kl_of(double u, double x, uint64_t first_is_larger)
{
    double direct = choose(first_is_larger, (x - 1.0) + u, 1.0 - (1.0 + u) * x);
    double small = u * u * (0.5 - choose(first_is_larger, 1.0 / 6, 1.0 / 3) * u);
    return choose(where_positive(u - 0x1p-12), direct, small);
}

// The mixture's term divided by the larger of p and q, whose weight in the mixture is w: with m = w
// + (1 - w) x it is (1 - w) x ln(x / m) + w ln(1 / m).
ALWAYS_INLINE double mixture_of(double u, double x, double w, double ln_m)
{
    double direct = (w - 1.0) * x * (u + ln_m) - w * ln_m;
    double small = w * (1.0 - w) * u * u * (0.5 - (1.0 + w) * u * (1.0 / 6));
    return larger_of(choose(where_positive(u - 0x1p-12), direct, small), 0.0);
}

ALWAYS_INLINE struct divergence_terms divergence_of(const struct tempera_divergence *how,
                                                    enum tempera_divergence_kind kind, double t,
                                                    double s)
{
    double log_p = log_prob(t, how->teacher_max, how->inverse_T, how->teacher_ln_S);
    double log_q = log_prob(s, how->student_max, how->inverse_T, how->student_ln_S);
    double d = log_q - log_p; // ln(q / p)
    uint64_t p_is_larger = where_positive(0.0 - d), q_is_larger = ~p_is_larger;
    double u = choose(p_is_larger, 0.0 - d, d);
    double x = exp_nonpositive(0.0 - u),
           larger = exp_nonpositive(choose(p_is_larger, log_p, log_q));
    double smaller = larger * x;
    double p = choose(p_is_larger, larger, smaller), q = choose(p_is_larger, smaller, larger);
    // Infinite if one is masked and the other is not.
    double if_masked = choose(where_positive(0x1p999 - u), 0.0, (double)INFINITY);
    struct divergence_terms terms = {.q = q};
    if (kind == TEMPERA_KL_FORWARD) {
        terms.loss = larger * kl_of(u, x, p_is_larger) + choose(p_is_larger, if_masked, 0.0);
        terms.slope = 0.0 - p;
    } else if (kind == TEMPERA_KL_REVERSE) {
        terms.loss = larger * kl_of(u, x, q_is_larger) + choose(q_is_larger, if_masked, 0.0);
        terms.slope = q * d;
    } else {
        double w = choose(p_is_larger, how->beta, 1.0 - how->beta);
        double ln_m = tempera_log(w + (1.0 - w) * x);
        terms.loss = larger * mixture_of(u, x, w, ln_m);
        terms.slope = (1.0 - how->beta) * q * (choose(p_is_larger, d, 0.0) - ln_m); // q ln(q / m)
    }
    return terms;
}

ALWAYS_INLINE void divergence_loop(const struct tempera_divergence *how,
                                   enum tempera_divergence_kind kind, bool maps, const float *t,
                                   const float *s, size_t n, float *out, double sums[2][16])
{
    const double V = how->V, scale = how->scale;
    for (size_t lane = 0; lane < n; lane++) {
        struct divergence_terms terms = divergence_of(how, kind, (double)t[lane], (double)s[lane]);
        sums[0][lane] += terms.loss;
        sums[1][lane] += terms.slope;
        if (maps)
            out[lane] = (float)(scale * (terms.slope - terms.q * V));
    }
}

// 16 at a time, a length that is constant for the compiler, and the rest.
ALWAYS_INLINE void divergence_piece(const struct tempera_divergence *how,
                                    enum tempera_divergence_kind kind, bool maps, const float *t,
                                    const float *s, size_t n, float *out, double sums[2][16])
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        divergence_loop(how, kind, maps, t + i, s + i, 16, maps ? out + i : NULL, sums);
    divergence_loop(how, kind, maps, t + i, s + i, n - i, maps ? out + i : NULL, sums);
}

static void divergence(const struct tempera_divergence *how, const float *t, const float *s,
                       size_t n, float *out, double sums[2][16])
{
    const struct tempera_divergence local = *how;
    switch (how->kind) {
    case TEMPERA_KL_FORWARD:
        if (out != NULL)
            divergence_piece(&local, TEMPERA_KL_FORWARD, true, t, s, n, out, sums);
        else
            divergence_piece(&local, TEMPERA_KL_FORWARD, false, t, s, n, NULL, sums);
        break;
    case TEMPERA_KL_REVERSE:
        if (out != NULL)
            divergence_piece(&local, TEMPERA_KL_REVERSE, true, t, s, n, out, sums);
        else
            divergence_piece(&local, TEMPERA_KL_REVERSE, false, t, s, n, NULL, sums);
        break;
    case TEMPERA_MIXTURE:
        if (out != NULL)
            divergence_piece(&local, TEMPERA_MIXTURE, true, t, s, n, out, sums);
        else
            divergence_piece(&local, TEMPERA_MIXTURE, false, t, s, n, NULL, sums);
        break;
    }
}

#endif
