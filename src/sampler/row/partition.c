// SPDX-License-Identifier: MIT
// Where a prefix of an order ends, without sorting: scores are parted by a pivot, what comes no
// later than it is weighed, exactly, and the side on which the end lies is parted again. Every step
// is a kernel's pass over what is left.
#include <math.h>

#include "sampler/row/row.h"

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

// Depths fall as scores rise, so the nearest to the centre is one of two neighbours.
struct tempera_ranking tempera_ranking_by_distance(const struct tempera_scale *scale, double centre)
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

// ------------------------------------------------------------------------------------------------
// Parting

void tempera_ranking_expect(struct tempera_ranking *ranking, float sooner, float later)
{
    ranking->likely[0] = tempera_ranking_key(ranking, sooner);
    ranking->likely[1] = tempera_ranking_key(ranking, later);
}

// What is known to be likely, then the median of a few scores. Rows that defeat it for long have
// their range of keys halved.
uint64_t tempera_pivot_of(const struct tempera_ranking *ranking,
                          const struct tempera_partition *part, unsigned round)
{
    enum { FEW = 15, PATIENCE = 24 };
    if (round < 2 && ranking->likely[round] > part->low && ranking->likely[round] <= part->high)
        return ranking->likely[round];
    if (round >= PATIENCE)
        return part->low + (part->high - part->low) / 2 + 1;
    uint64_t keys[FEW];
    size_t n = part->n < FEW ? part->n : FEW;
    for (size_t i = 0; i < n; i++) {
        uint64_t key = tempera_ranking_key(ranking, part->scores[i * (part->n / n)]);
        size_t at = i;
        for (; at > 0 && keys[at - 1] < key; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
    return keys[n / 2] > part->low ? keys[n / 2] : part->low + 1;
}

tempera_u128 tempera_weight_of(const struct tempera_ranking *ranking, const float *scores, size_t n)
{
    if (ranking->counts)
        return n;
    tempera_u128 weight = 0;
    for (size_t i = 0; i < n; i += TEMPERA_MASSES_PER_SUM) {
        size_t length = n - i < TEMPERA_MASSES_PER_SUM ? n - i : TEMPERA_MASSES_PER_SUM;
        weight += tempera_scale_sum(ranking->scale, scores + i, length);
    }
    return weight;
}

static size_t take_inside(const struct tempera_partition *part, struct tempera_interval interval,
                          float *out)
{
    return tempera_kernels_active()->sampler.gather(part->scores, NULL, part->n, 0, interval.low,
                                                    interval.high, out, NULL);
}

static size_t take_outside(const struct tempera_partition *part, struct tempera_interval interval,
                           float *out)
{
    const struct tempera_interval below = {-INFINITY, tempera_score_before(interval.low)};
    const struct tempera_interval above = {tempera_score_after(interval.high), INFINITY};
    size_t n = take_inside(part, below, out);
    return interval.high < INFINITY ? n + take_inside(part, above, out + n) : n;
}

struct tempera_prefix_end tempera_find_end(const struct tempera_ranking *ranking,
                                           const float *scores, size_t n, tempera_u128 least,
                                           float *scratch)
{
    struct tempera_partition part = {scores, n, 0, UINT64_MAX};
    if (!ranking->by_distance) {
        part.low = tempera_score_key(-INFINITY);
        part.high = tempera_score_key(INFINITY);
    }
    float *next = scratch, *other = scratch + TEMPERA_PADDED(n);
    tempera_u128 above = 0;
    for (unsigned round = 0; part.low < part.high; round++) {
        uint64_t pivot = tempera_pivot_of(ranking, &part, round);
        struct tempera_interval interval = tempera_interval_of(ranking, pivot);
        size_t n_next = take_inside(&part, interval, next);
        if (n_next == part.n) {
            part.low = pivot;
            continue;
        }
        tempera_u128 weight = tempera_weight_of(ranking, next, n_next);
        if (above + weight >= least) {
            part.low = pivot;
        } else {
            part.high = pivot - 1;
            if (n_next == 0)
                continue;
            above += weight;
            n_next = take_outside(&part, interval, next);
        }
        part.scores = next;
        part.n = n_next;
        next = other;
        other = (float *)(uintptr_t)part.scores;
    }
    return (struct tempera_prefix_end){part.low, part.scores, part.n, above};
}

// ------------------------------------------------------------------------------------------------
// Top-k

size_t tempera_ties_needed(const struct tempera_ranking *ranking, float score, tempera_u128 missing)
{
    uint64_t weight = 1; // equal scores have equal masses
    if (!ranking->counts)
        tempera_scale_masses(ranking->scale, &score, 1, &weight);
    return weight == 0 ? SIZE_MAX : (size_t)((missing + weight - 1) / weight);
}

static size_t count_above(const struct tempera_candidates *c, float score)
{
    size_t count = 0;
    for (size_t i = 0; i < c->n; i++)
        count += c->scores[i] > score;
    return count;
}

bool tempera_keep_prefix(struct tempera_candidates *c, const struct tempera_ranking *by_score,
                         tempera_u128 least, size_t min_keep)
{
    struct tempera_prefix_end end =
        tempera_find_end(by_score, c->scores, c->n, least, (float *)(void *)c->masses);
    float score = end.scores[0];
    size_t n_ties = tempera_ties_needed(by_score, score, least - end.above);
    if (n_ties > end.n)
        return false;
    if (min_keep > 1 && count_above(c, score) + n_ties < min_keep) {
        tempera_candidates_keep_first(c, min_keep);
        return c->n >= min_keep;
    }
    if (n_ties == end.n)
        tempera_candidates_keep_from(c, score);
    else
        tempera_candidates_keep_ties(c, score, n_ties);
    return true;
}

float tempera_candidates_largest_maximum(const struct tempera_candidates *c, size_t k)
{
    const struct tempera_ranking by_score = {.counts = true};
    float *scratch = (float *)(void *)c->masses;
    if (k == 1)
        return c->max;
    size_t n_blocks = tempera_candidates_n_blocks(c);
    if (k > n_blocks)
        return -INFINITY;
    return tempera_find_end(&by_score, c->maxima, n_blocks, k, scratch).scores[0];
}

void tempera_candidates_keep_first(struct tempera_candidates *c, size_t k)
{
    const struct tempera_ranking by_score = {.counts = true};
    if (k < c->n && c->whole != NULL)
        tempera_candidates_gather_from(c, tempera_candidates_largest_maximum(c, k), k);
    if (k < c->n)
        tempera_keep_prefix(c, &by_score, k, 1);
}

void tempera_apply_top_k(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    size_t k = (size_t)stage->u.top_k;
    if (k > 0)
        tempera_candidates_keep_first(c, k > stage->min_keep ? k : stage->min_keep);
}
