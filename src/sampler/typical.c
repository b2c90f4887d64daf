// SPDX-License-Identifier: MIT
// Locally typical sampling: a prefix of the order (distance of -ln p from the entropy ascending,
// score descending, id ascending). -ln p_i - H is x_i - X, x being the depth and X its mean: no
// logarithm is taken.
#include <math.h>

#include "sampler/sampler.h"

// What stays: all with keys above `key`; of those at it, scores above `score` and the first n_ties
// equal to it.
struct end {
    uint64_t key;
    float score;
    size_t n_ties;
};

// Among those at the same distance, on either side of the centre, the order is by score.
static struct end find_end(const struct tempera_ranking *ranking, tempera_u128 least)
{
    struct tempera_key_range range = {0, UINT64_MAX, 0};
    tempera_find_end(ranking, &range, least);
    struct end end = {.key = range.low, .score = INFINITY};
    for (tempera_u128 mass = range.above; mass < least;) {
        float next = -INFINITY;
        uint64_t weight = 0;
        size_t count = 0;
        for (size_t i = 0; i < ranking->n; i++) {
            float s = ranking->scores[i];
            if (s >= end.score || s < next || tempera_ranking_key(ranking, s) != range.low)
                continue;
            count = s == next ? count + 1 : 1;
            next = s;
            weight = ranking->weights[i];
        }
        end.score = next;
        end.n_ties = (size_t)((least - mass + weight - 1) / weight);
        end.n_ties = end.n_ties < count ? end.n_ties : count;
        mass += (tempera_u128)weight * end.n_ties;
    }
    return end;
}

static void keep_to(struct tempera_candidates *c, const struct tempera_ranking *ranking,
                    struct end end)
{
    const struct tempera_candidates all = *c;
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++) {
        float s = all.scores[i];
        uint64_t key = tempera_ranking_key(ranking, s);
        tempera_candidates_move(all, i, kept);
        bool tie = key == end.key && s == end.score && end.n_ties > 0;
        end.n_ties -= tie;
        kept += tie || key > end.key || (key == end.key && s > end.score);
    }
    c->n = kept;
}

// The maximum may go, so the candidates are settled; until then depths and masses stay those of
// before.
void tempera_apply_typical(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.typical == 1)
        return;
    double mean_depth = tempera_candidates_moments(c).mean_depth;
    tempera_candidates_gather(c);
    tempera_u128 W = tempera_candidates_fill_masses(c);
    const struct tempera_ranking by_surprise = {.scores = c->scores,
                                                .weights = c->masses,
                                                .n = c->n,
                                                .by_distance = true,
                                                .max = c->max,
                                                .inverse_T = 1 / c->temperature,
                                                .centre = mean_depth};
    struct end end = find_end(&by_surprise, tempera_nucleus_weight(stage->u.typical, W));
    keep_to(c, &by_surprise, end);
    tempera_candidates_settle(c);
}
