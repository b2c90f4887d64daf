// SPDX-License-Identifier: MIT
// Locally typical sampling: a prefix of the order (distance of -ln p from the entropy ascending,
// score descending, id ascending). -ln p_i - H is x_i - X, x being the depth and X its mean: no
// logarithm is taken. As for top-p, a sample says where the prefix is likely to lie.
#include <math.h>

#include "sampler/sampler.h"

// Of scores from `floor` on, keeps those nearer to the centre than all that were left out. True if
// there are `least` of mass, so that the prefix is among them.
static bool keep_near(struct tempera_candidates *c, const struct tempera_ranking *ranking,
                      float floor, tempera_u128 least)
{
    float beyond = tempera_score_before(floor);
    if (tempera_depth(beyond, ranking->scale->max, ranking->inverse_T) <= ranking->centre)
        return false;
    uint64_t key = tempera_ranking_key(ranking, beyond) + 1;
    struct tempera_interval near = tempera_interval_of(ranking, key);
    tempera_candidates_keep_within(c, near.low, near.high);
    return c->n > 0 && tempera_weight_of(ranking, c->scores, c->n) >= least;
}

// Of candidates at the end or before it, drops what is at the end but comes after the first n_ties
// with a score.
static void cut_at_end(struct tempera_candidates *c, const struct tempera_ranking *ranking,
                       uint64_t end, float score, size_t n_ties)
{
    const struct tempera_candidates all = *c;
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++) {
        float s = all.scores[i];
        tempera_candidates_move(all, i, kept);
        bool tie = s == score && n_ties > 0;
        n_ties -= tie;
        kept += tie || s > score || tempera_ranking_key(ranking, s) > end;
    }
    c->n = kept;
}

// Where a prefix is cut: what has this key, but comes after the first n_ties with a score, goes,
// and whatever comes later.
struct cut {
    uint64_t key;
    float score;
    size_t n_ties;
    bool is_clean; // nothing has to go but what has a smaller key
};

// Scores on both sides of the centre may be equally far from it: there the order is by score, then
// by id.
static struct cut find_cut(struct tempera_candidates *c, const struct tempera_ranking *ranking,
                           tempera_u128 least)
{
    float *room = (float *)(void *)c->masses;
    const struct tempera_scale *weights = ranking->counts ? NULL : ranking->scale;
    const struct tempera_ranking by_score = {.scale = weights};
    struct tempera_prefix_end end = tempera_find_end(ranking, c->scores, c->n, least, room);
    if (end.n == 1)
        return (struct cut){end.key, end.scores[0], 1, true};
    tempera_u128 missing = least - end.above;
    memcpy(c->own, end.scores, end.n * sizeof *c->own);
    struct tempera_prefix_end last = tempera_find_end(&by_score, c->own, end.n, missing, room);
    float score = last.scores[0];
    size_t n_ties = tempera_ties_needed(weights, score, missing - last.above);
    return (struct cut){end.key, score, n_ties, false};
}

static size_t n_before(const struct tempera_candidates *c, const struct tempera_ranking *ranking,
                       struct cut cut)
{
    size_t count = cut.n_ties;
    for (size_t i = 0; i < c->n; i++) {
        uint64_t key = tempera_ranking_key(ranking, c->scores[i]);
        count += key > cut.key || (key == cut.key && c->scores[i] > cut.score);
    }
    return count;
}

static void keep_before(struct tempera_candidates *c, const struct tempera_ranking *ranking,
                        struct cut cut)
{
    struct tempera_interval within = tempera_interval_of(ranking, cut.key);
    tempera_candidates_keep_within(c, within.low, within.high);
    if (cut.is_clean)
        return;
    if (tempera_depth(cut.score, c->max, ranking->inverse_T) < ranking->centre)
        cut_at_end(c, ranking, cut.key, cut.score, cut.n_ties);
    else // everything that comes later is lower
        tempera_candidates_keep_ties(c, cut.score, cut.n_ties);
}

// The maximum may go, so the candidates are settled; until then depths and masses stay those of
// before.
void tempera_apply_typical(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.typical == 1)
        return;
    const struct tempera_candidates before = *c;
    struct tempera_scale scale = tempera_scale_of(c);
    struct tempera_moments moments = tempera_candidates_moments(c);
    tempera_u128 least = tempera_nucleus_weight(stage->u.typical, moments.W);
    struct tempera_ranking ranking = tempera_ranking_by_distance(&scale, moments.mean_depth);
    float floor = -INFINITY;
    if (stage->min_keep > 1)
        tempera_candidates_gather(c); // the likely ones may be too few
    else
        floor = tempera_gather_likely(c, (double)(moments.W - least) / 3);
    if (floor > -INFINITY && !keep_near(c, &ranking, floor, least)) {
        *c = before;
        tempera_candidates_gather(c);
    }
    size_t min_keep = stage->min_keep < c->n ? stage->min_keep : c->n;
    struct cut cut = find_cut(c, &ranking, least);
    if (min_keep > 1 && n_before(c, &ranking, cut) < min_keep) {
        ranking.counts = true;
        cut = find_cut(c, &ranking, min_keep);
    }
    keep_before(c, &ranking, cut);
    tempera_candidates_settle(c);
}
