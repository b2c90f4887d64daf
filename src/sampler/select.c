// SPDX-License-Identifier: MIT
// Filters by rank: top-k and top-p keep a prefix of the order (score descending, id ascending), and
// find where it ends without sorting: by bisection over the 2^32 floats in their order, with one
// pass over the candidates for each half, adding up counts or exact integer masses. Whatever lies
// below a threshold that suffices can't stay, so it is dropped on the way and later passes are
// short.
#include <float.h>
#include <math.h>

#include "sampler/sampler.h"

// ------------------------------------------------------------------------------------------------
// Prefixes

// The candidates with at least some score.
struct share {
    size_t count;
    tempera_u128 weight; // the sum of their weights
};

static size_t count_from(const float *scores, size_t n, float score)
{
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += scores[i] >= score;
    return count;
}

// The sum without branches: 0 - 1 has all bits set. n is at most TEMPERA_MASSES_PER_SUM.
static uint64_t sum_from(const float *scores, const uint64_t *weights, size_t n, float score)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += weights[i] & (0 - (uint64_t)(scores[i] >= score));
    return sum;
}

// weights: the masses, or NULL for 1 each.
static struct share share_from(const struct tempera_candidates *c, const uint64_t *weights,
                               float score)
{
    struct share share = {count_from(c->scores, c->n, score), 0};
    if (weights == NULL) {
        share.weight = share.count;
        return share;
    }
    for (size_t i = 0; i < c->n; i += TEMPERA_MASSES_PER_SUM) {
        size_t n = c->n - i < TEMPERA_MASSES_PER_SUM ? c->n - i : TEMPERA_MASSES_PER_SUM;
        share.weight += sum_from(c->scores + i, weights + i, n, score);
    }
    return share;
}

// Of the ties at `score`, how many it takes for their weights to reach `missing`. Equal scores
// have equal weights.
static size_t ties_needed(const struct tempera_candidates *c, const uint64_t *weights, float score,
                          tempera_u128 missing)
{
    if (missing == 0)
        return 0;
    uint64_t weight = 1;
    for (size_t i = 0; weights != NULL && i < c->n; i++)
        if (c->scores[i] == score) {
            weight = weights[i];
            break;
        }
    return (size_t)((missing + weight - 1) / weight);
}

// Keeps the smallest prefix whose weight is at least `least`, which is in [1, the whole weight], of
// at least min_keep candidates, which is at most n.
static void keep_prefix(struct tempera_candidates *c, const uint64_t *weights, tempera_u128 least,
                        size_t min_keep)
{
    // What lies from `low` on suffices, what lies from `high` on is `above` and does not.
    uint32_t low = tempera_score_key(-FLT_MAX), high = tempera_score_key(INFINITY);
    struct share above = {0, 0};
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        struct share share = share_from(c, weights, tempera_key_score(middle));
        if (share.weight < least || share.count < min_keep) {
            high = middle;
            above = share;
            continue;
        }
        low = middle;
        if (share.count <= c->n / 2)
            tempera_candidates_keep_from(c, tempera_key_score(low));
    }
    float score = tempera_key_score(low);
    tempera_u128 missing = least > above.weight ? least - above.weight : 0;
    size_t n_ties = ties_needed(c, weights, score, missing);
    if (above.count + n_ties < min_keep)
        n_ties = min_keep - above.count;
    tempera_candidates_keep_ties(c, score, n_ties);
}

// ------------------------------------------------------------------------------------------------
// Filters

void tempera_keep_first(struct tempera_candidates *c, size_t k)
{
    if (k < c->n)
        keep_prefix(c, NULL, k, 1);
}

void tempera_apply_top_k(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    size_t k = (size_t)stage->u.top_k;
    if (k > 0)
        tempera_keep_first(c, k > stage->min_keep ? k : stage->min_keep);
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
    tempera_u128 W = tempera_candidates_weigh(c);
    size_t min_keep = stage->min_keep < c->n ? stage->min_keep : c->n;
    keep_prefix(c, c->masses, tempera_nucleus_weight(stage->u.top_p, W), min_keep);
}
