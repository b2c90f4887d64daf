// SPDX-License-Identifier: MIT
// Mirostat: a filter that is set after every token so that the surprise, -log2 p, of what is drawn
// comes to tau bits on average. What it has learned is the level mu, a surprise too.
#include <math.h>

#include "base/exp.h"
#include "sampler/row/row.h"

#define LN2 0x1.62e42fefa39efp-1

double tempera_initial_feedback_mirostat(const struct tempera_stage *stage)
{
    return 2 * (double)stage->u.mirostat.tau;
}

double tempera_next_feedback_mirostat(const struct tempera_candidates *c,
                                      const struct tempera_stage *stage,
                                      const struct tempera_drawn *drawn)
{
    double bits = drawn->surprise / LN2, tau = (double)stage->u.mirostat.tau;
    return tempera_row_feedback(c->row) - (double)stage->u.mirostat.eta * (bits - tau);
}

// -log2 p_i <= mu.
void tempera_apply_mirostat_2(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    double nll_max = tempera_candidates_nll_max(c), mu = tempera_row_feedback(c->row);
    tempera_keep_within(c, stage, (nll_max - mu * LN2) - TEMPERA_LOG_SLACK);
}

// ------------------------------------------------------------------------------------------------
// Mirostat 1

// The exponent s of Zipf's law, p of rank r being about r^-s, by least squares from the first j of
// the order, of which there are more than one. Only those are sorted, without the ties at the last.
static double zipf_exponent(struct tempera_candidates *c, size_t j)
{
    const struct tempera_ranking by_score = {.counts = true};
    float *scratch = (float *)(void *)c->masses;
    float last = tempera_find_end(&by_score, c->scores, c->n, j, scratch).scores[0];
    size_t n_above = tempera_kernels_active()->sampler.gather(
        c->scores, NULL, c->n, 0, tempera_score_after(last), INFINITY, c->own, NULL);
    const float *sorted = tempera_sorted_scores(c->own, n_above, scratch);
    double products = 0, squares = 0, x = 0;
    for (size_t i = 0; i < j; i++) {
        float score = i < n_above ? sorted[i] : last;
        double below = tempera_gap(score, c->max, 1 / c->temperature);
        if (i > 0) {
            double t = tempera_log((double)(i + 1) / (double)i);
            products += t * (below - x);
            squares += t * t;
        }
        x = below;
    }
    return products / squares;
}

// ln((1 - n^-e) / e), which is ln(ln n) at e = 0; n > 1, e >= -1.
static double log_of_sum(double ln_n, double e)
{
    double size = e < 0 ? -e : e, g = -(e * ln_n);
    if (size < 0x1p-20)
        return tempera_log(ln_n);
    double power = g <= 0 ? tempera_exp(g) : 1 / tempera_exp(-g);
    double rest = power < 1 ? 1 - power : power - 1;
    return tempera_log(rest) - tempera_log(size);
}

// How many tokens, were they Zipf's, have a surprise of at most mu: the k with
// k^s = e 2^mu / (1 - n^-e), e = s - 1.
static size_t n_unsurprising(size_t n, double s, double mu)
{
    double ln_n = tempera_log((double)n);
    double ln_k = (mu * LN2 - log_of_sum(ln_n, s - 1)) / s;
    if (ln_k >= ln_n)
        return n;
    return ln_k <= 0 ? 1 : (size_t)(1 / tempera_exp(-ln_k));
}

void tempera_apply_mirostat_1(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    size_t m = (size_t)stage->u.mirostat.m, n = c->n;
    if (n < 2)
        return;
    double s = zipf_exponent(c, m < n ? m : n);
    size_t k = s > 0 ? n_unsurprising(n, s, tempera_row_feedback(c->row)) : n;
    tempera_candidates_keep_first(c, k > stage->min_keep ? k : stage->min_keep);
}
