// SPDX-License-Identifier: MIT
// Locally typical sampling: a prefix of the order (distance of -ln p from the entropy ascending,
// score descending, id ascending). -ln p_i - H is the gap minus the mean gap, so no logarithm is
// needed. As for top-p, an estimate says where the prefix is likely to end.
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sampler/row/candidates.h"
#include "sampler/row/mass_fraction.h"
#include "sampler/row/mass_histogram.h"
#include "sampler/row/masses.h"
#include "sampler/row/partition.h"
#include "sampler/row/ranking.h"
#include "sampler/row/score_key.h"
#include "sampler/row/u128.h"
#include "sampler/stages/stages.h"

// The last score that stays, and how many of its ties do.
struct last {
    float score;
    size_t n_ties;
};

static void remove_between(float *scores, size_t n, float above, float below)
{
    for (size_t i = 0; i < n; i++)
        scores[i] = scores[i] > above && scores[i] < below ? -INFINITY : scores[i];
}

// Keeps the scores in `nearer`, and those at the end up to `last`, which lies above the centre;
// `high` is the highest score at the end.
static void cut_at_end(struct tempera_candidates *c, struct tempera_interval nearer,
                       struct last last, float high)
{
    size_t cut = tempera_candidates_index_after_ties(c, last.score, last.n_ties);
    float low = nearer.low <= nearer.high ? nearer.low : -FLT_MAX;
    remove_between(c->scores, cut, nearer.high, last.score);
    remove_between(c->scores + cut, c->n - cut, nearer.high, tempera_score_after(last.score));
    tempera_candidates_keep_interval(c, low, high);
}

// Scores on both sides of the centre may be equally far from it: there the order is by score, then
// by id. at_end: scores[n], of which a weight of `missing` has to stay.
static struct last last_of(const struct tempera_ranking *ranking, const float *at_end, size_t n,
                           tempera_u128 missing, float *scratch)
{
    const struct tempera_ranking by_score = {.scale = ranking->scale,
                                             .by_count = ranking->by_count};
    struct tempera_prefix_end end = tempera_find_prefix_end(&by_score, at_end, n, missing, scratch);
    float score = end.scores[0];
    return (struct last){score, tempera_ties_needed(&by_score, score, missing - end.weight_above)};
}

static size_t count_within(const float *scores, size_t n, struct tempera_interval interval)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += (scores[i] >= interval.low) & (scores[i] <= interval.high);
    return count;
}

// Keeps the prefix if it lies among the gathered candidates, which are those from `floor` on: that
// is if it ends with one that is nearer to the centre than all others. Otherwise returns false.
static bool keep_prefix(struct tempera_candidates *c, const struct tempera_ranking *ranking,
                        tempera_u128 least, size_t min_keep, float floor)
{
    float *scratch = tempera_candidates_float_scratch(c);
    struct tempera_prefix_end end =
        tempera_find_prefix_end(ranking, c->scores, c->n, least, scratch);
    if (floor > -INFINITY) {
        float beyond = tempera_score_before(floor);
        bool is_later = tempera_gap(beyond, c->max, ranking->inverse_T) > ranking->centre &&
                        tempera_ranking_key(ranking, beyond) < end.key;
        tempera_u128 weight = end.weight_above + tempera_weight_of(ranking, end.scores, end.n);
        if (!is_later || weight < least)
            return false;
    }
    struct tempera_interval nearer = {INFINITY, -INFINITY}; // nothing, if at the centre
    if (end.key < UINT64_MAX)
        nearer = tempera_interval_of(ranking, end.key + 1);
    size_t n_nearer = min_keep > 1 ? count_within(c->scores, c->n, nearer) : 0;
    struct tempera_ranking counting = *ranking;
    counting.by_count = true;
    if (min_keep > 1 && n_nearer + end.n < min_keep)
        return keep_prefix(c, &counting, min_keep < c->n ? min_keep : c->n, 1, floor);
    // Nothing after this returns false, since the candidates are overwritten.
    memcpy(c->own, end.scores, end.n * sizeof *c->own);
    struct last last = last_of(ranking, c->own, end.n, least - end.weight_above, scratch);
    const struct tempera_interval higher = {tempera_score_after(last.score), INFINITY};
    if (min_keep > 1 && n_nearer + count_within(c->own, end.n, higher) + last.n_ties < min_keep)
        last = last_of(&counting, c->own, end.n, min_keep - n_nearer, scratch);
    struct tempera_interval within = tempera_interval_of(ranking, end.key);
    bool is_high = tempera_gap(last.score, c->max, ranking->inverse_T) < ranking->centre;
    if (last.n_ties < end.n && is_high) {
        cut_at_end(c, nearer, last, within.high);
        return true;
    }
    tempera_candidates_keep_interval(c, within.low, within.high);
    if (last.n_ties < end.n) // everything that comes later is lower
        tempera_candidates_keep_ties(c, last.score, last.n_ties);
    return true;
}

// Gathers the candidates from `floor` on, and keeps the prefix if it lies among them. Otherwise
// returns false, which doesn't happen at -infinity.
static bool keep_prefix_from(struct tempera_candidates *c, const struct tempera_ranking *ranking,
                             tempera_u128 least, size_t min_keep, float floor)
{
    size_t n = c->n;
    tempera_candidates_keep_from(c, floor);
    if (c->n == n)
        floor = -INFINITY;
    return (floor == -INFINITY || c->n >= min_keep) &&
           keep_prefix(c, ranking, least, min_keep, floor);
}

// The maximum may be removed, so it is looked for again; until then gaps and masses are those from
// before the stage.
void tempera_apply_typical(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.typical == 1)
        return;
    const struct tempera_candidates before = *c;
    const struct tempera_mass_scale scale = tempera_mass_scale_of(c);
    const struct tempera_mass_moments moments = tempera_candidates_moments(c);
    const double centre = moments.mean_gap;
    tempera_u128 least = tempera_nucleus_mass(stage->u.typical, moments.mass);
    const double tail = (double)(moments.mass - least);
    struct tempera_ranking ranking = tempera_ranking_by_distance(&scale, centre);
    struct tempera_mass_histogram estimate;
    float floor = -INFINITY;
    if (tempera_mass_histogram_of(c, &scale, &estimate)) {
        double sooner = tempera_mass_histogram_distance(&estimate, centre, 1.1 * tail).least;
        floor = tempera_mass_histogram_floor(&estimate, &scale, centre, 0.8 * tail);
        tempera_ranking_expect(&ranking, tempera_score_at(&scale, centre + sooner),
                               tempera_mass_histogram_floor(&estimate, &scale, centre, 0.9 * tail));
    }
    while (!keep_prefix_from(c, &ranking, least, stage->min_keep, floor)) {
        float second = tempera_mass_histogram_floor(&estimate, &scale, centre, 0.1 * tail);
        floor = second < floor ? second : -INFINITY;
        *c = before;
    }
    tempera_candidates_find_max(c);
}
