// SPDX-License-Identifier: MIT
// Filters that keep what has at least some probability. They compare scores, where masses have no
// rounding: p_i >= theta is z_i - m >= T ln(theta / p_max).
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/exp.h"
#include "kernels/kernels.h"
#include "kernels/scalars.h"
#include "sampler/row/candidates.h"
#include "sampler/row/masses.h"
#include "sampler/row/prefix.h"
#include "sampler/row/score_key.h"
#include "sampler/stages/stages.h"
#include "sampler/stages/thresholds.h"

static size_t count_from(struct tempera_candidates *c, float score)
{
    struct tempera_score_array scores = tempera_candidates_scores(c);
    size_t count = 0;
    for (size_t i = 0; i < scores.n; i++)
        count += scores.z[i] >= score;
    return count;
}

// Keeps the scores for which a condition holds. It has to hold for the maximum, and for every score
// above one for which it does, so there is a lowest one, found by bisection over all floats.
static void keep_while(struct tempera_candidates *c, const struct tempera_stage *stage,
                       bool (*holds)(double difference, double bound), double bound)
{
    // It holds for high, not for low.
    uint32_t low = tempera_score_key(-INFINITY), high = tempera_score_key(c->max);
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (holds((double)c->max - (double)tempera_key_score(middle), bound))
            high = middle;
        else
            low = middle;
    }
    float score = tempera_key_score(high);
    if (stage->min_keep > 1 && count_from(c, score) < stage->min_keep)
        tempera_candidates_keep_first(c, stage->min_keep);
    else
        tempera_candidates_drop_below(c, score);
}

static bool is_within(double difference, double bound)
{
    return difference <= bound;
}

static bool square_is_within(double difference, double bound)
{
    return difference * difference <= bound;
}

void tempera_keep_above_threshold(struct tempera_candidates *c, const struct tempera_stage *stage,
                                  double log_ratio)
{
    keep_while(c, stage, is_within, log_ratio < 0 ? -(c->temperature * log_ratio) : 0);
}

// p_i >= min_p p_max.
void tempera_apply_min_p(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.min_p > 0)
        tempera_keep_above_threshold(c, stage, tempera_log((double)stage->u.min_p));
}

// p_i >= epsilon.
void tempera_apply_epsilon(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.epsilon == 0)
        return;
    double nll_max = tempera_candidates_nll_max(c);
    tempera_keep_above_threshold(
        c, stage, (tempera_log((double)stage->u.epsilon) + nll_max) - TEMPERA_LOG_SLACK);
}

// p_i >= min(epsilon, sqrt(epsilon) exp(-H)).
void tempera_apply_eta(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.eta == 0)
        return;
    struct tempera_mass_moments moments = tempera_candidates_moments(c);
    double nll_max = moments.nll_max, entropy = nll_max + moments.mean_gap;
    double ln_epsilon = tempera_log((double)stage->u.eta), relative = ln_epsilon / 2 - entropy;
    double ln_eta = relative < ln_epsilon ? relative : ln_epsilon;
    tempera_keep_above_threshold(c, stage, (ln_eta + nll_max) - TEMPERA_LOG_SLACK);
}

// p_i >= a p_max^2.
void tempera_apply_top_a(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.top_a == 0)
        return;
    double nll_max = tempera_candidates_nll_max(c);
    tempera_keep_above_threshold(
        c, stage, (tempera_log((double)stage->u.top_a) - nll_max) - TEMPERA_LOG_SLACK);
}

// p_i >= sum of p^2. That is at most p_max, and equal to it where all p are equal.
void tempera_apply_p_less(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    tempera_keep_above_threshold(
        c, stage, tempera_log(tempera_candidates_sum_of_squares(c)) - TEMPERA_LOG_SLACK);
}

// The variance of the scores, from differences to the maximum, summed in the lanes of the kernels:
// a token's lane follows from its id, so removing tokens doesn't change the order of the others.
static double variance(struct tempera_candidates *c)
{
    double sums[16] = {0}, squares[16] = {0};
    if (c->whole != NULL) {
        struct tempera_score_array scores = tempera_candidates_scores(c);
        tempera_kernels_active()->sampler.deviation(scores.z, scores.n, c->max, sums, squares);
    }
    for (size_t i = 0; c->whole == NULL && i < c->n; i++) {
        double d = (double)c->max - (double)c->scores[i];
        size_t lane = (size_t)c->ids[i] % 16;
        sums[lane] += d;
        squares[lane] += d * d;
    }
    double n = (double)c->n, sum = tempera_sum_lanes(sums), square = tempera_sum_lanes(squares);
    double result = (square - sum * sum / n) / n;
    return result > 0 ? result : 0;
}

// m - z_i <= s sigma, by squares: no root is needed.
void tempera_apply_top_n_sigma(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.top_n_sigma == INFINITY)
        return;
    double s = (double)stage->u.top_n_sigma;
    keep_while(c, stage, square_is_within, s * s * variance(c));
}
