// SPDX-License-Identifier: MIT
// Filters that keep what has at least some probability. The comparison is made in scores, where
// masses have no rounding: p_i >= theta is z_i - m >= T ln(theta / p_max).
#include <math.h>

#include "base/exp.h"
#include "kernels/kernels.h"
#include "sampler/sampler.h"

static size_t n_within(const struct tempera_candidates *c, double least)
{
    size_t count = 0;
    for (size_t i = 0; i < c->n; i++)
        count += (double)c->scores[i] - (double)c->max >= least;
    return count;
}

void tempera_keep_within(struct tempera_candidates *c, const struct tempera_stage *stage, double l)
{
    double least = l < 0 ? c->temperature * l : 0, max = (double)c->max;
    if (stage->min_keep > 1 && n_within(c, least) < stage->min_keep) {
        tempera_keep_first(c, stage->min_keep);
        return;
    }
    const struct tempera_candidates all = *c;
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++) {
        float s = all.scores[i];
        tempera_candidates_move(all, i, kept);
        kept += (double)s - max >= least;
    }
    c->n = kept;
}

// p_i >= min_p p_max.
void tempera_apply_min_p(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.min_p > 0)
        tempera_keep_within(c, stage, tempera_log((double)stage->u.min_p));
}

// p_i >= epsilon.
void tempera_apply_epsilon(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.epsilon == 0)
        return;
    double lambda = tempera_candidates_lambda(c);
    tempera_keep_within(c, stage,
                        (tempera_log((double)stage->u.epsilon) + lambda) - TEMPERA_LOG_SLACK);
}

// p_i >= min(epsilon, sqrt(epsilon) exp(-H)).
void tempera_apply_eta(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.eta == 0)
        return;
    double lambda = tempera_candidates_lambda(c);
    double entropy = lambda + tempera_candidates_mean_depth(c);
    double ln_epsilon = tempera_log((double)stage->u.eta), relative = ln_epsilon / 2 - entropy;
    double ln_eta = relative < ln_epsilon ? relative : ln_epsilon;
    tempera_keep_within(c, stage, (ln_eta + lambda) - TEMPERA_LOG_SLACK);
}

// p_i >= a p_max^2.
void tempera_apply_top_a(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.top_a == 0)
        return;
    double lambda = tempera_candidates_lambda(c);
    tempera_keep_within(c, stage,
                        (tempera_log((double)stage->u.top_a) - lambda) - TEMPERA_LOG_SLACK);
}

// p_i >= sum of p^2. That is at most p_max, and equal to it where all p are equal.
void tempera_apply_p_less(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    tempera_keep_within(c, stage,
                        tempera_log(tempera_candidates_sum_of_squares(c)) - TEMPERA_LOG_SLACK);
}

// The variance of the scores. Sums of distances from the maximum, in the lanes of the kernels: a
// token's lane follows from its id, so that what was removed or banned changes no order.
static double variance(const struct tempera_candidates *c)
{
    double sums[16] = {0}, squares[16] = {0};
    for (size_t i = 0; i < c->n; i++) {
        double d = (double)c->max - (double)c->scores[i];
        size_t lane = (size_t)c->ids[i] % 16;
        sums[lane] += d;
        squares[lane] += d * d;
    }
    double n = (double)c->n, sum = tempera_sum_lanes(sums), square = tempera_sum_lanes(squares);
    double result = (square - sum * sum / n) / n;
    return result > 0 ? result : 0;
}

static size_t n_nearer(const struct tempera_candidates *c, double square)
{
    size_t count = 0;
    for (size_t i = 0; i < c->n; i++) {
        double d = (double)c->max - (double)c->scores[i];
        count += d * d <= square;
    }
    return count;
}

// z_i >= m - s sigma, by squares: no root is needed.
void tempera_apply_top_n_sigma(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.top_n_sigma == INFINITY)
        return;
    double s = (double)stage->u.top_n_sigma, max = (double)c->max;
    double most = s * s * variance(c);
    if (stage->min_keep > 1 && n_nearer(c, most) < stage->min_keep) {
        tempera_keep_first(c, stage->min_keep);
        return;
    }
    const struct tempera_candidates all = *c;
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++) {
        double d = max - (double)all.scores[i];
        tempera_candidates_move(all, i, kept);
        kept += d * d <= most;
    }
    c->n = kept;
}
