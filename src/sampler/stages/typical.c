// SPDX-License-Identifier: MIT
// Locally typical sampling: a prefix of the order (distance of -ln p from the entropy ascending,
// score descending, id ascending). -ln p_i - H is x_i - X, x being the depth and X its mean: no
// logarithm is taken. As for top-p, a sample says where the prefix is likely to lie.
#include <float.h>
#include <math.h>

#include "sampler/row/row.h"

// Of those at the end, the last score that stays, and how many of its ties do.
struct last {
    float score;
    size_t n_ties;
};

static void remove_between(float *scores, size_t n, float above, float below)
{
    for (size_t i = 0; i < n; i++)
        scores[i] = scores[i] > above && scores[i] < below ? -INFINITY : scores[i];
}

// Keeps the scores nearer than those at the end, and from there up to `high`, where the last one
// lies on the upper side.
static void cut_at_end(struct tempera_candidates *c, struct tempera_interval nearer,
                       struct last last, float high)
{
    size_t cut = tempera_candidates_place_behind(c, last.score, last.n_ties);
    float low = nearer.low <= nearer.high ? nearer.low : -FLT_MAX;
    remove_between(c->scores, cut, nearer.high, last.score);
    remove_between(c->scores + cut, c->n - cut, nearer.high, tempera_score_after(last.score));
    tempera_candidates_keep_within(c, low, high);
}

// At the end, where scores on both sides of the centre may be equally far from it, the order is by
// score, then by id. at_end: scores[n], of which `missing` has to stay.
static struct last last_of(const struct tempera_ranking *ranking, const float *at_end, size_t n,
                           tempera_u128 missing, float *scratch)
{
    const struct tempera_ranking by_score = {.scale = ranking->scale, .counts = ranking->counts};
    struct tempera_prefix_end end = tempera_find_end(&by_score, at_end, n, missing, scratch);
    float score = end.scores[0];
    return (struct last){score, tempera_ties_needed(&by_score, score, missing - end.above)};
}

static size_t count_within(const float *scores, size_t n, struct tempera_interval interval)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += (scores[i] >= interval.low) & (scores[i] <= interval.high);
    return count;
}

// Keeps the prefix if it is among the gathered candidates, which are those from `floor` on: then it
// ends with one that is nearer to the centre than all others. Else returns false.
static bool keep_prefix(struct tempera_candidates *c, const struct tempera_ranking *ranking,
                        tempera_u128 least, size_t min_keep, float floor)
{
    float *scratch = (float *)(void *)c->masses;
    struct tempera_prefix_end end = tempera_find_end(ranking, c->scores, c->n, least, scratch);
    if (floor > -INFINITY) {
        float beyond = tempera_score_before(floor);
        bool is_later = tempera_gap(beyond, c->max, ranking->inverse_T) > ranking->centre &&
                        tempera_ranking_key(ranking, beyond) < end.key;
        tempera_u128 weight = end.above + tempera_weight_of(ranking, end.scores, end.n);
        if (!is_later || weight < least)
            return false;
    }
    struct tempera_interval nearer = {INFINITY, -INFINITY}; // nothing, if at the centre
    if (end.key < UINT64_MAX)
        nearer = tempera_interval_of(ranking, end.key + 1);
    size_t n_nearer = min_keep > 1 ? count_within(c->scores, c->n, nearer) : 0;
    struct tempera_ranking by_count = *ranking;
    by_count.counts = true;
    if (min_keep > 1 && n_nearer + end.n < min_keep)
        return keep_prefix(c, &by_count, min_keep < c->n ? min_keep : c->n, 1, floor);
    // From here on it can't fail, which it mustn't: the row itself may be what is overwritten.
    memcpy(c->own, end.scores, end.n * sizeof *c->own);
    struct last last = last_of(ranking, c->own, end.n, least - end.above, scratch);
    const struct tempera_interval higher = {tempera_score_after(last.score), INFINITY};
    if (min_keep > 1 && n_nearer + count_within(c->own, end.n, higher) + last.n_ties < min_keep)
        last = last_of(&by_count, c->own, end.n, min_keep - n_nearer, scratch);
    struct tempera_interval within = tempera_interval_of(ranking, end.key);
    bool is_high = tempera_gap(last.score, c->max, ranking->inverse_T) < ranking->centre;
    if (last.n_ties < end.n && is_high) {
        cut_at_end(c, nearer, last, within.high);
        return true;
    }
    tempera_candidates_keep_within(c, within.low, within.high);
    if (last.n_ties < end.n) // everything that comes later is lower
        tempera_candidates_keep_ties(c, last.score, last.n_ties);
    return true;
}

// Gathers the candidates from `floor` on, and keeps the prefix if it is among them. Else returns
// false; not at -infinity.
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

// The score above which all but a part of `tail` is likely to lie, by distance from X.
static float floor_of(const struct tempera_mass_histogram *guess, const struct tempera_scale *scale,
                      double X, double tail)
{
    return tempera_score_at(scale, X + tempera_mass_histogram_distance(guess, X, tail).most);
}

// The maximum may go, so it is looked for again; until then depths and masses stay those of before.
void tempera_apply_typical(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.typical == 1)
        return;
    const struct tempera_candidates before = *c;
    const struct tempera_scale scale = tempera_scale_of(c);
    struct tempera_mass_moments moments = tempera_candidates_moments(c);
    tempera_u128 least = tempera_nucleus_weight(stage->u.typical, moments.W);
    struct tempera_ranking ranking = tempera_ranking_by_distance(&scale, moments.mean_gap);
    struct tempera_mass_histogram guess;
    float floor = -INFINITY;
    const double tail = (double)(moments.W - least), X = moments.mean_gap;
    if (tempera_mass_histogram_of(c, &scale, &guess)) {
        double sooner = tempera_mass_histogram_distance(&guess, X, 1.1 * tail).least;
        double later = tempera_mass_histogram_distance(&guess, X, 0.9 * tail).most;
        floor = floor_of(&guess, &scale, X, 0.8 * tail);
        tempera_ranking_expect(&ranking, tempera_score_at(&scale, X + sooner),
                               tempera_score_at(&scale, X + later));
    }
    while (!keep_prefix_from(c, &ranking, least, stage->min_keep, floor)) {
        float second = floor_of(&guess, &scale, X, 0.1 * tail);
        floor = second < floor ? second : -INFINITY;
        *c = before;
    }
    tempera_candidates_find_max(c);
}
