// SPDX-License-Identifier: MIT
// Top-p: the smallest prefix of the order that has a share of the mass. A sample says on which
// tokens the share is likely to lie. One pass weighs the row and gathers these; if they suffice,
// the end is looked for among them. If not, among all.
#include <math.h>

#include "sampler/row/row.h"

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
        W += tempera_kernels_active()->sampler.mass_sum_gather(scores.z + i, n, &scale->exponent,
                                                               (int32_t)i, floor, c->scores + c->n,
                                                               c->ids + c->n, &n_kept);
        c->n += n_kept;
    }
    c->whole = NULL;
    return W;
}

// A pass that gathers pays where more than a few blocks have to be visited for it.
static bool reaches_many_blocks(const struct tempera_candidates *c, float floor)
{
    size_t blocks = tempera_candidates_n_blocks(c), n = 0;
    for (size_t b = 0; b < blocks; b++)
        n += c->maxima[b] >= floor;
    return n > blocks / 4;
}

// The row's mass; of its candidates, those from `floor` on are gathered.
static tempera_u128 weigh(struct tempera_candidates *c, const struct tempera_scale *scale,
                          float floor)
{
    if (floor > -INFINITY && scale->fits_f32 && reaches_many_blocks(c, floor))
        return weigh_and_gather(c, scale, floor);
    tempera_u128 W = tempera_candidates_weigh(c);
    tempera_candidates_keep_from(c, floor);
    return W;
}

// The score above which all but a part of `tail` is likely to lie.
static float floor_of(const struct tempera_mass_histogram *guess, const struct tempera_scale *scale,
                      double tail)
{
    return tempera_score_at(scale, tempera_mass_histogram_gap(guess, tail).most);
}

void tempera_apply_top_p(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.top_p == 1)
        return;
    const struct tempera_candidates before = *c;
    const struct tempera_scale scale = tempera_scale_of(c);
    struct tempera_ranking by_score = {.scale = &scale};
    struct tempera_mass_histogram guess;
    float floor = -INFINITY;
    bool is_guess = tempera_mass_histogram_of(c, &scale, &guess);
    if (is_guess)
        floor = floor_of(&guess, &scale, 0.8 * (1 - (double)stage->u.top_p) * guess.total);
    tempera_u128 W = weigh(c, &scale, floor), least = tempera_nucleus_weight(stage->u.top_p, W);
    const double tail = (double)(W - least);
    if (is_guess)
        tempera_ranking_expect(
            &by_score,
            tempera_score_at(&scale, tempera_mass_histogram_gap(&guess, 1.1 * tail).least),
            floor_of(&guess, &scale, 0.9 * tail));
    while (!tempera_keep_prefix(c, &by_score, least, stage->min_keep) && floor > -INFINITY) {
        float second = floor_of(&guess, &scale, 0.1 * tail);
        floor = second < floor ? second : -INFINITY;
        *c = before;
        tempera_candidates_keep_from(c, floor);
    }
}
