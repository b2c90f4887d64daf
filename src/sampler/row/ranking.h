// SPDX-License-Identifier: MIT
// Orders of scores, and how much a score weighs in one.
#ifndef TEMPERA_SAMPLER_ROW_RANKING_H
#define TEMPERA_SAMPLER_ROW_RANKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/row/masses.h"
#include "sampler/row/u128.h"

// An order of scores, the largest key first: by score, or by the distance of the gap from a centre,
// the nearest first.
struct tempera_ranking {
    const struct tempera_mass_scale *scale; // of the masses
    bool by_count;                          // each score weighs 1 instead of its mass
    uint64_t likely[2];                     // keys between which an end is likely; 0: unknown
    bool by_distance;                       // needs the scale and:
    double inverse_T, centre;
    uint32_t nearest; // the score key of the first of all floats
};

struct tempera_ranking tempera_ranking_by_distance(const struct tempera_mass_scale *scale,
                                                   double centre);

// The end of a prefix is likely to lie after the score `sooner` and before `later`.
void tempera_ranking_expect(struct tempera_ranking *ranking, float sooner, float later);

uint64_t tempera_ranking_key(const struct tempera_ranking *ranking, float score);

// The interval of the scores that come no later than those with this key.
struct tempera_interval {
    float low, high;
};

struct tempera_interval tempera_interval_of(const struct tempera_ranking *ranking, uint64_t key);

// The sum of the weights of scores[n].
tempera_u128 tempera_weight_of(const struct tempera_ranking *ranking, const float *scores,
                               size_t n);

// How many of equal scores are needed for their weights to reach `missing`, which isn't 0. SIZE_MAX
// if they have no weight.
size_t tempera_ties_needed(const struct tempera_ranking *ranking, float score,
                           tempera_u128 missing);

#endif
