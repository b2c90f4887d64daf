// SPDX-License-Identifier: MIT
#include "sampler/row/ranking.h"

#include <math.h>
#include <string.h>

#include "sampler/row/score_key.h"

// ------------------------------------------------------------------------------------------------
// Keys

// Adding 0 makes the zeros one: -0 and +0 are the same score, and -0 - (+0) is -0. The bits of a
// positive double lie in the order of its values.
uint64_t tempera_ranking_key(const struct tempera_ranking *ranking, float score)
{
    if (!ranking->by_distance)
        return tempera_score_key(score + 0.0f);
    double x = tempera_gap(score, ranking->scale->max, ranking->inverse_T);
    double distance = (x < ranking->centre ? ranking->centre - x : x - ranking->centre) + 0.0;
    uint64_t bits;
    memcpy(&bits, &distance, sizeof bits);
    return ~bits;
}

// Gaps fall as scores rise, so the nearest to the centre is one of two neighbours.
struct tempera_ranking tempera_ranking_by_distance(const struct tempera_mass_scale *scale,
                                                   double centre)
{
    struct tempera_ranking ranking = {
        .scale = scale, .by_distance = true, .inverse_T = 1 / scale->T, .centre = centre};
    uint32_t low = tempera_score_key(-INFINITY), high = tempera_score_key(scale->max);
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (tempera_gap(tempera_key_score(middle), scale->max, ranking.inverse_T) > centre)
            low = middle;
        else
            high = middle;
    }
    bool is_low = tempera_ranking_key(&ranking, tempera_key_score(low)) >
                  tempera_ranking_key(&ranking, tempera_key_score(high));
    ranking.nearest = is_low ? low : high;
    return ranking;
}

// The last score key on the way from `inside` to `outside` that still reaches a key.
static uint32_t last_within(const struct tempera_ranking *ranking, uint64_t key, uint32_t inside,
                            uint32_t outside)
{
    while (inside + 1 != outside && outside + 1 != inside) {
        uint32_t middle = (uint32_t)(((uint64_t)inside + outside) / 2);
        if (tempera_ranking_key(ranking, tempera_key_score(middle)) >= key)
            inside = middle;
        else
            outside = middle;
    }
    return inside;
}

struct tempera_interval tempera_interval_of(const struct tempera_ranking *ranking, uint64_t key)
{
    if (!ranking->by_distance)
        return (struct tempera_interval){tempera_key_score((uint32_t)key), INFINITY};
    if (tempera_ranking_key(ranking, tempera_key_score(ranking->nearest)) < key)
        return (struct tempera_interval){INFINITY, -INFINITY};
    uint32_t least = tempera_score_key(-INFINITY), most = tempera_score_key(ranking->scale->max);
    uint32_t low = last_within(ranking, key, ranking->nearest, least);
    uint32_t high = last_within(ranking, key, ranking->nearest, most + 1);
    return (struct tempera_interval){tempera_key_score(low), tempera_key_score(high)};
}

void tempera_ranking_expect(struct tempera_ranking *ranking, float sooner, float later)
{
    ranking->likely[0] = tempera_ranking_key(ranking, sooner);
    ranking->likely[1] = tempera_ranking_key(ranking, later);
}

// ------------------------------------------------------------------------------------------------
// Weights

tempera_u128 tempera_weight_of(const struct tempera_ranking *ranking, const float *scores, size_t n)
{
    if (ranking->by_count)
        return n;
    tempera_u128 weight = 0;
    for (size_t i = 0; i < n; i += TEMPERA_MASSES_PER_SUM) {
        size_t length = n - i < TEMPERA_MASSES_PER_SUM ? n - i : TEMPERA_MASSES_PER_SUM;
        weight += tempera_scores_mass(ranking->scale, scores + i, length);
    }
    return weight;
}

size_t tempera_ties_needed(const struct tempera_ranking *ranking, float score, tempera_u128 missing)
{
    uint64_t weight = 1; // equal scores have equal masses
    if (!ranking->by_count)
        tempera_masses_compute(ranking->scale, &score, 1, &weight);
    return weight == 0 ? SIZE_MAX : (size_t)((missing + weight - 1) / weight);
}
