// SPDX-License-Identifier: MIT
// Top-p: the smallest prefix of the order that has a share of the mass. One pass knows the row's
// mass. A sample of it then says on which tokens the share is likely to lie; they are gathered and
// weighed, and if they suffice, the end is looked for among them. If not, among all.

#include <math.h>

#include "sampler/sampler.h"

// ------------------------------------------------------------------------------------------------
// Shares of a mass

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

// ------------------------------------------------------------------------------------------------
// The guess

enum { SAMPLE = 2048, STEP = 16, DEPTHS = 512, SMALL = 4 * SAMPLE, FEW = 64 };

// A vector's worth of scores here and there, SAMPLE at most; returns how many.
static size_t take_sample(struct tempera_scores scores, float sample[SAMPLE])
{
    size_t n = 0, distance = (scores.n / (SAMPLE / STEP) + STEP) / STEP * STEP;
    for (size_t i = 0; i + STEP <= scores.n && n < SAMPLE; i += distance, n += STEP)
        memcpy(sample + n, scores.z + i, STEP * sizeof *sample);
    return n;
}

// The sampled masses are added by how far they lie below the maximum, in sixteenths of a nat, until
// they stand for the tail. Where scores are many, a sample knows their mass to some per cent; of
// the few that are larger than most blocks' maxima it knows nothing, so those are all taken.
float tempera_gather_likely(struct tempera_candidates *c, double tail)
{
    float sample[SAMPLE] = {0};
    uint64_t masses[SAMPLE], sums[DEPTHS] = {0};
    if (c->whole == NULL || c->n_whole < SMALL) {
        tempera_candidates_gather(c);
        return -INFINITY;
    }
    struct tempera_scores scores = tempera_candidates_scores(c);
    struct tempera_scale scale = tempera_scale_of(c);
    float few = tempera_candidates_largest_maximum(c, FEW);
    size_t n = take_sample(scores, sample);
    const float per_step = (float)(16 / scale.T); // any guess will do, so it may be inexact
    tempera_scale_masses(&scale, sample, n, masses);
    for (size_t i = 0; i < n; i++) {
        float depth = (scale.max - sample[i]) * per_step;
        size_t at = depth < DEPTHS - 1 ? (size_t)depth : DEPTHS - 1;
        sums[at] += sample[i] < few ? masses[i] : 0;
    }
    double each = (double)scores.n / (double)n, mass = 0;
    size_t at = DEPTHS;
    while (at > 0 && mass <= tail)
        mass += (double)sums[--at] * each;
    float floor = (float)((double)scale.max - (double)(at + 1) / 16 * scale.T);
    floor = floor < few ? floor : few;
    tempera_candidates_keep_from(c, floor);
    return floor;
}

// ------------------------------------------------------------------------------------------------
// Top-p

void tempera_apply_top_p(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.top_p == 1)
        return;
    const struct tempera_candidates before = *c;
    const struct tempera_scale scale = tempera_scale_of(c);
    const struct tempera_ranking by_score = {.scale = &scale, .ends_late = true};
    tempera_u128 W = tempera_candidates_weigh(c);
    tempera_u128 least = tempera_nucleus_weight(stage->u.top_p, W);
    float floor = tempera_gather_likely(c, 0.7 * (double)(W - least));
    if (tempera_keep_prefix(c, &by_score, least, stage->min_keep) || floor == -INFINITY)
        return;
    *c = before;
    tempera_candidates_gather(c);
    tempera_keep_prefix(c, &by_score, least, stage->min_keep);
}
