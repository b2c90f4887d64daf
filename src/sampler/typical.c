// SPDX-License-Identifier: MIT
// Locally typical sampling: a prefix of the order (distance of -ln p from the entropy ascending,
// score descending, id ascending). -ln p_i - H is x_i - X, x being the depth and X its mean: no
// logarithm is taken. As for top-p, a sample says where the prefix is likely to lie.
#include <math.h>

#include "sampler/sampler.h"

// Keeps the scores nearer than those at the end, those above `score`, and the first n_ties equal to
// it.
static void cut_at_end(struct tempera_candidates *c, struct tempera_interval nearer, float score,
                       size_t n_ties)
{
    const struct tempera_candidates all = *c;
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++) {
        float s = all.scores[i];
        tempera_candidates_move(all, i, kept);
        bool tie = (s == score) & (n_ties > 0);
        n_ties -= tie;
        kept += tie | (s > score) | ((s >= nearer.low) & (s <= nearer.high));
    }
    c->n = kept;
}

// At the end, where scores on both sides of the centre may be equally far from it, the order is by
// score, then by id.
static void keep_to(struct tempera_candidates *c, const struct tempera_ranking *ranking,
                    struct tempera_prefix_end end, tempera_u128 least)
{
    const struct tempera_ranking by_score = {.scale = ranking->scale};
    tempera_u128 missing = least - end.above;
    memcpy(c->own, end.scores, end.n * sizeof *c->own);
    struct tempera_prefix_end last =
        tempera_find_end(&by_score, c->own, end.n, missing, (float *)(void *)c->masses);
    float score = last.scores[0];
    size_t n_ties = tempera_ties_needed(ranking->scale, score, missing - last.above);
    if (tempera_depth(score, c->max, ranking->inverse_T) < ranking->centre)
        cut_at_end(c, tempera_interval_of(ranking, end.key + 1), score, n_ties);
    else // everything that comes later is lower
        tempera_candidates_keep_ties(c, score, n_ties);
}

// Keeps the prefix if it is among the gathered candidates, which are those from `floor` on: then it
// ends with one that is nearer to the centre than all others. Else returns false.
static bool keep_prefix(struct tempera_candidates *c, const struct tempera_ranking *ranking,
                        tempera_u128 least, float floor)
{
    struct tempera_prefix_end end =
        tempera_find_end(ranking, c->scores, c->n, least, (float *)(void *)c->masses);
    if (floor > -INFINITY) {
        float beyond = tempera_score_before(floor);
        bool is_later = tempera_depth(beyond, c->max, ranking->inverse_T) > ranking->centre &&
                        tempera_ranking_key(ranking, beyond) < end.key;
        tempera_u128 mass = end.above + tempera_weight_of(ranking, end.scores, end.n);
        if (!is_later || mass < least)
            return false;
    }
    struct tempera_interval within = tempera_interval_of(ranking, end.key);
    tempera_candidates_keep_within(c, within.low, within.high);
    if (end.n > 1)
        keep_to(c, ranking, end, least);
    return true;
}

// The maximum may go, so it is looked for again; until then depths and masses stay those of before.
void tempera_apply_typical(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.typical == 1)
        return;
    const struct tempera_candidates before = *c;
    struct tempera_scale scale = tempera_scale_of(c);
    struct tempera_moments moments = tempera_candidates_moments(c);
    tempera_u128 least = tempera_nucleus_weight(stage->u.typical, moments.W);
    struct tempera_ranking ranking = tempera_ranking_by_distance(&scale, moments.mean_depth);
    float floor = tempera_gather_likely(c, (double)(moments.W - least) / 3);
    if (c->n == before.n)
        floor = -INFINITY;
    if (!keep_prefix(c, &ranking, least, floor)) {
        *c = before;
        tempera_candidates_gather(c);
        keep_prefix(c, &ranking, least, -INFINITY);
    }
    tempera_candidates_find_max(c);
}
