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

// The mass of the scores from `few` on.
static double mass_from(const struct tempera_candidates *c, float few)
{
    struct tempera_candidates top = *c;
    tempera_candidates_keep_from(&top, few);
    return (double)tempera_candidates_weigh(&top);
}

// Where scores are many, a sample knows their mass to some per cent; of the few that are larger
// than most blocks' maxima it knows nothing, so those are all taken. The sampled masses are added
// by how far they lie below the maximum, in sixteenths of a nat, until they stand for the tail.
struct tempera_likely tempera_likely_prefix(struct tempera_candidates *c, double tail, double W)
{
    float sample[SAMPLE] = {0};
    uint64_t masses[SAMPLE], sums[DEPTHS] = {0};
    if (c->whole == NULL || c->n_whole < SMALL)
        return (struct tempera_likely){-INFINITY, false};
    struct tempera_scores scores = tempera_candidates_scores(c);
    struct tempera_scale scale = tempera_scale_of(c);
    float few = tempera_candidates_largest_maximum(c, FEW);
    size_t n = take_sample(scores, sample);
    const float per_step = (float)(16 / scale.T); // any guess will do, so it may be inexact
    double each = (double)scores.n / (double)n, all = W > 0 ? W : mass_from(c, few), mass = 0;
    tempera_scale_masses(&scale, sample, n, masses);
    for (size_t i = 0; i < n; i++) {
        float depth = (scale.max - sample[i]) * per_step;
        size_t at = depth < DEPTHS - 1 ? (size_t)depth : DEPTHS - 1;
        sums[at] += sample[i] < few ? masses[i] : 0;
    }
    for (size_t i = 0; W == 0 && i < DEPTHS; i++)
        all += (double)sums[i] * each;
    size_t at = DEPTHS;
    while (at > 0 && mass <= tail * all)
        mass += (double)sums[--at] * each;
    float floor = (float)((double)scale.max - (double)(at + 1) / 16 * scale.T);
    return (struct tempera_likely){floor < few ? floor : few, floor < few};
}

// ------------------------------------------------------------------------------------------------
// Top-p

// Gathers the scores of a whole row from `floor` on in the pass that weighs them all: one pass over
// the row less, which shows in tempera-bench sampler where thousands stay (normal, top-p).
static tempera_u128 weigh_and_gather(struct tempera_candidates *c,
                                     const struct tempera_scale *scale, float floor)
{
    enum { SUM = TEMPERA_MASSES_PER_SUM };
    struct tempera_scores scores = tempera_candidates_scores(c);
    tempera_u128 W = 0;
    c->n = 0;
    for (size_t i = 0; i < scores.n; i += SUM) {
        size_t n = scores.n - i < SUM ? scores.n - i : SUM, n_kept;
        W += tempera_kernels()->mass_sum_gather(scores.z + i, n, &scale->exponent, (int32_t)i,
                                                floor, c->scores + c->n, c->ids + c->n, &n_kept);
        c->n += n_kept;
    }
    c->whole = NULL;
    return W;
}

// The row's mass; of its candidates, those are gathered that the prefix is likely to lie among.
// True if these are all.
static bool weigh(struct tempera_candidates *c, const struct tempera_scale *scale, double tail,
                  tempera_u128 *W)
{
    struct tempera_likely likely = tempera_likely_prefix(c, tail, 0);
    if (likely.are_many && scale->is_ordinary) {
        *W = weigh_and_gather(c, scale, likely.floor);
    } else {
        *W = tempera_candidates_weigh(c);
        tempera_candidates_keep_from(c, likely.floor);
    }
    return likely.floor == -INFINITY;
}

void tempera_apply_top_p(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.top_p == 1)
        return;
    const struct tempera_candidates before = *c;
    const struct tempera_scale scale = tempera_scale_of(c);
    const struct tempera_ranking by_score = {.scale = &scale, .ends_late = true};
    tempera_u128 W;
    bool is_all = weigh(c, &scale, 0.7 * (1 - (double)stage->u.top_p), &W);
    tempera_u128 least = tempera_nucleus_weight(stage->u.top_p, W);
    if (tempera_keep_prefix(c, &by_score, least, stage->min_keep) || is_all)
        return;
    *c = before;
    tempera_candidates_gather(c);
    tempera_keep_prefix(c, &by_score, least, stage->min_keep);
}
