// SPDX-License-Identifier: MIT
// Filters by rank: top-k and top-p keep a prefix of the order (score descending, id ascending), and
// find where it ends without sorting. Counts, or exact integer masses, are added up by a few
// leading bits of the scores; then the same within the bits where the end must lie.
#include <float.h>
#include <math.h>
#include <string.h>

#include "sampler/sampler.h"

// ------------------------------------------------------------------------------------------------
// Where a prefix ends

enum { BUCKETS_LOG2 = 9, BUCKETS = 1 << BUCKETS_LOG2 };

// Narrows a range to the keys that occur in it.
static void shrink(const struct tempera_ranking *ranking, struct tempera_key_range *range)
{
    uint64_t low = UINT64_MAX, high = 0, width = range->high - range->low;
    for (size_t i = 0; i < ranking->n; i++) {
        uint64_t key = tempera_ranking_key(ranking, ranking->scores[i]);
        if (key - range->low > width)
            continue;
        low = key < low ? key : low;
        high = key > high ? key : high;
    }
    range->low = low;
    range->high = high;
}

// The part of a range, one of BUCKETS at most, in which the weights from above reach `least`.
static void descend(const struct tempera_ranking *ranking, struct tempera_key_range *range,
                    tempera_u128 least)
{
    tempera_u128 sums[BUCKETS];
    uint64_t width = range->high - range->low;
    uint32_t shift = 0;
    while (width >> shift >= BUCKETS)
        shift++;
    memset(sums, 0, ((size_t)(width >> shift) + 1) * sizeof *sums);
    for (size_t i = 0; i < ranking->n; i++) {
        uint64_t at = tempera_ranking_key(ranking, ranking->scores[i]) - range->low;
        if (at <= width)
            sums[at >> shift] += ranking->weights == NULL ? 1 : ranking->weights[i];
    }
    uint64_t bucket = width >> shift;
    for (; range->above + sums[bucket] < least; bucket--)
        range->above += sums[bucket];
    uint64_t low = range->low + (bucket << shift), high = low + ((uint64_t)1 << shift) - 1;
    range->low = low;
    range->high = high < range->high ? high : range->high;
}

void tempera_find_end(const struct tempera_ranking *ranking, struct tempera_key_range *range,
                      tempera_u128 least)
{
    shrink(ranking, range);
    while (range->low < range->high) {
        descend(ranking, range, least);
        shrink(ranking, range);
    }
}

// Of equal scores, which have equal weights, so many are needed.
static size_t ties_needed(const struct tempera_ranking *ranking, float score, tempera_u128 missing)
{
    uint64_t weight = 1;
    for (size_t i = 0; ranking->weights != NULL && i < ranking->n; i++)
        if (ranking->scores[i] == score) {
            weight = ranking->weights[i];
            break;
        }
    return (size_t)((missing + weight - 1) / weight);
}

void tempera_keep_prefix(struct tempera_candidates *c, const uint64_t *weights, tempera_u128 least)
{
    const struct tempera_ranking by_score = {.scores = c->scores, .weights = weights, .n = c->n};
    struct tempera_key_range range = {0, UINT32_MAX, 0};
    tempera_find_end(&by_score, &range, least);
    float score = tempera_key_score((uint32_t)range.low);
    tempera_candidates_keep_ties(c, score, ties_needed(&by_score, score, least - range.above));
}

float tempera_kth_largest(const float *values, size_t n, size_t k)
{
    // At least k reach `low`, fewer reach `high`.
    uint32_t low = tempera_score_key(-INFINITY), high = tempera_score_key(INFINITY) + 1;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2, count = 0;
        float score = tempera_key_score(middle);
        for (size_t i = 0; i < n; i++)
            count += values[i] >= score;
        if (count < k)
            high = middle;
        else
            low = middle;
    }
    return tempera_key_score(low);
}

// ------------------------------------------------------------------------------------------------
// Filters

void tempera_apply_top_k(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.top_k > 0)
        tempera_candidates_keep_first(c, (size_t)stage->u.top_k);
}

// P = fraction / 2^shift, with a fraction below 2^24.
static uint32_t fraction_of(float P, uint32_t *shift)
{
    uint32_t bits = tempera_float_bits(P), exponent = bits >> 23, fraction = bits & 0x7FFFFFu;
    if (exponent == 0)
        exponent = 1; // denormal
    else
        fraction |= 0x800000u;
    *shift = 150 - exponent;
    return fraction;
}

tempera_u128 tempera_share_below(float P, tempera_u128 W)
{
    uint32_t shift;
    tempera_u128 product = W * fraction_of(P, &shift);
    return shift < 128 ? product >> shift : 0;
}

tempera_u128 tempera_share_above(float P, tempera_u128 W)
{
    uint32_t shift;
    tempera_u128 product = W * fraction_of(P, &shift);
    if (product == 0)
        return 0;
    return shift < 128 ? ((product - 1) >> shift) + 1 : 1;
}

// The slack undoes the rounding of P: the float 0.8f is above 0.8, and without it 801 of 1000 equal
// tokens would stay.
tempera_u128 tempera_nucleus_weight(float P, tempera_u128 W)
{
    tempera_u128 weight = tempera_share_above(P, W), slack = W >> 24;
    return weight > slack ? weight - slack : 1;
}

void tempera_apply_top_p(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.top_p == 1)
        return;
    tempera_candidates_gather(c);
    tempera_u128 W = tempera_candidates_fill_masses(c);
    tempera_keep_prefix(c, c->masses, tempera_nucleus_weight(stage->u.top_p, W));
}
