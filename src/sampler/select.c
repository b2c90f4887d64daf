// SPDX-License-Identifier: MIT
// The filters. Each keeps what stands above one threshold, a pair (score, number of ties), and
// finds it without sorting: scores become 32-bit keys in the same order, and the threshold is
// found bit by bit, with one pass over the candidates that adds counts or exact integer masses.
#include <math.h>
#include <string.h>

#include "base/exp.h"
#include "base/half.h"
#include "kernels/kernels.h"
#include "sampler/sampler.h"

// ------------------------------------------------------------------------------------------------
// Candidates

void tempera_candidates_weigh(struct tempera_candidates *c)
{
    if (!c->has_masses)
        tempera_kernels()->masses(c->scores, c->n, c->max, c->temperature, c->masses);
    c->has_masses = true;
}

tempera_u128 tempera_candidates_total(const struct tempera_candidates *c)
{
    tempera_u128 total = 0;
    for (size_t i = 0; i < c->n; i++)
        total += c->masses[i];
    return total;
}

// The maximum always stays, so max and masses remain valid.
void tempera_candidates_keep(struct tempera_candidates *c, float score, size_t n_ties)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++) {
        bool tie = c->scores[i] == score && n_ties > 0;
        if (!(c->scores[i] > score) && !tie)
            continue;
        n_ties -= tie;
        c->ids[kept] = c->ids[i];
        c->scores[kept] = c->scores[i];
        if (c->has_masses)
            c->masses[kept] = c->masses[i];
        kept++;
    }
    c->n = kept;
}

// ------------------------------------------------------------------------------------------------
// Keys

// Ascending with the score; -0 and +0 have one key, as they are equal.
static uint32_t key_of(float score)
{
    uint32_t bits = tempera_float_bits(score == 0 ? 0.0f : score);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static float score_of(uint32_t key)
{
    return tempera_bits_float(key >> 31 ? key & 0x7FFFFFFFu : ~key);
}

// Adds up `weights` (NULL: 1 each) of the candidates whose key is at least `key`.
static tempera_u128 sum_from(const struct tempera_candidates *c, const uint64_t *weights,
                             uint32_t key)
{
    tempera_u128 sum = 0;
    for (size_t i = 0; i < c->n; i++)
        if (key_of(c->scores[i]) >= key)
            sum += weights != NULL ? weights[i] : 1;
    return sum;
}

// The largest key whose sum reaches `target`: every larger one falls short.
static uint32_t threshold_key(const struct tempera_candidates *c, const uint64_t *weights,
                              tempera_u128 target)
{
    uint32_t key = 0;
    for (uint32_t bit = 1u << 31; bit != 0; bit >>= 1)
        if (sum_from(c, weights, key | bit) >= target)
            key |= bit;
    return key;
}

// ------------------------------------------------------------------------------------------------
// Filters

void tempera_select_top_k(struct tempera_candidates *c, size_t k)
{
    if (k == 0 || k >= c->n)
        return;
    uint32_t key = threshold_key(c, NULL, k);
    size_t above = key == UINT32_MAX ? 0 : (size_t)sum_from(c, NULL, key + 1);
    tempera_candidates_keep(c, score_of(key), k - above);
}

// max(1, ceil(P W) - floor(W / 2^24)), with P W exact: P is an integer times a power of two.
static tempera_u128 nucleus_target(float P, tempera_u128 W)
{
    uint32_t bits = tempera_float_bits(P), exponent = bits >> 23;
    uint32_t fraction = exponent == 0 ? bits & 0x7FFFFFu : (bits & 0x7FFFFFu) | 0x800000u;
    uint32_t shift = 150 - (exponent == 0 ? 1 : exponent); // P = fraction / 2^shift; 1 has 23
    tempera_u128 product = W * fraction;                   // below 2^(70 + 24)
    tempera_u128 target = 0;
    if (shift < 128)
        target = (product >> shift) + ((product & (((tempera_u128)1 << shift) - 1)) != 0);
    else
        target = product != 0;
    tempera_u128 slack = W >> 24;
    return target > slack + 1 ? target - slack : 1;
}

// Of the ties at `score`, how many have to stay for their masses to reach `missing`. Equal
// scores have equal masses.
static size_t ties_needed(const struct tempera_candidates *c, float score, tempera_u128 missing)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->scores[i] == score && c->masses[i] > 0)
            return (size_t)((missing + c->masses[i] - 1) / c->masses[i]);
    return 0;
}

void tempera_select_top_p(struct tempera_candidates *c, float top_p)
{
    if (top_p >= 1 || c->n == 0)
        return;
    tempera_candidates_weigh(c);
    tempera_u128 target = nucleus_target(top_p, tempera_candidates_total(c));
    uint32_t key = threshold_key(c, c->masses, target);
    tempera_u128 above = key == UINT32_MAX ? 0 : sum_from(c, c->masses, key + 1);
    float score = score_of(key);
    tempera_candidates_keep(c, score, ties_needed(c, score, target - above));
}

// p_i >= min_p p_max, in scores: z_i - max >= T ln(min_p), in double.
void tempera_select_min_p(struct tempera_candidates *c, float min_p)
{
    if (min_p <= 0)
        return;
    double least = c->temperature * tempera_log((double)min_p);
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++) {
        if ((double)c->scores[i] - (double)c->max < least)
            continue;
        c->ids[kept] = c->ids[i];
        c->scores[kept] = c->scores[i];
        if (c->has_masses)
            c->masses[kept] = c->masses[i];
        kept++;
    }
    c->n = kept;
}
