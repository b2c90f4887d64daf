// SPDX-License-Identifier: MIT
// Mirostat: a filter adjusted after every token so that the surprise, -log2 p, of the tokens drawn
// averages tau bits. The feedback is mu, the largest surprise to be allowed.
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include <tempera/presets.h>

#include "base/exp.h"
#include "kernels/kernels.h"
#include "sampler/row/candidates.h"
#include "sampler/row/masses.h"
#include "sampler/row/partition.h"
#include "sampler/row/prefix.h"
#include "sampler/row/radix_sort.h"
#include "sampler/row/ranking.h"
#include "sampler/row/score_key.h"
#include "sampler/stages/stages.h"
#include "sampler/stages/thresholds.h"

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
    return c->feedback - (double)stage->u.mirostat.eta * (bits - tau);
}

// -log2 p_i <= mu.
void tempera_apply_mirostat_2(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    double nll_max = tempera_candidates_nll_max(c), mu = c->feedback;
    tempera_keep_above_threshold(c, stage, (nll_max - mu * LN2) - TEMPERA_LOG_SLACK);
}

// ------------------------------------------------------------------------------------------------
// Mirostat 1

// The exponent s of Zipf's law, p about r^-s for rank r, by least squares from the first j > 1 of
// the order. Only these are sorted, without the ties with the last one.
static double zipf_exponent(struct tempera_candidates *c, size_t j)
{
    const struct tempera_ranking by_score = {.by_count = true};
    float *scratch = tempera_candidates_float_scratch(c);
    float last = tempera_find_prefix_end(&by_score, c->scores, c->n, j, scratch).scores[0];
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

// How many tokens would have a surprise of at most mu under Zipf's law: the k with
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
    size_t k = s > 0 ? n_unsurprising(n, s, c->feedback) : n;
    tempera_candidates_keep_first(c, k > stage->min_keep ? k : stage->min_keep);
}

// ------------------------------------------------------------------------------------------------
// In presets

// Another version than 0, 1 and 2 gives a stage of no kind, which is refused.
bool tempera_preset_of_mirostat_1(const struct tempera_sampling_params *p,
                                  struct tempera_stage *stage)
{
    if (p->mirostat != 1)
        stage->kind = (enum tempera_stage_kind)0;
    return p->mirostat != 0 && p->mirostat != 2;
}

bool tempera_preset_of_mirostat_2(const struct tempera_sampling_params *p,
                                  struct tempera_stage *stage)
{
    (void)stage;
    return p->mirostat == 2;
}
