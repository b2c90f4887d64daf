// SPDX-License-Identifier: MIT
// The masses of scores, and what follows from them: total, entropy and its parts, sum of squares.
#ifndef TEMPERA_SAMPLER_ROW_MASSES_H
#define TEMPERA_SAMPLER_ROW_MASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "sampler/row/candidates.h"
#include "sampler/row/u128.h"

// How masses follow from scores, at the temperature so far.
struct tempera_mass_scale {
    float max;
    double T;
    bool fits_f32;
    struct tempera_exponent exponent; // if it fits
    uint64_t largest;                 // the mass of the maximum
};

struct tempera_mass_scale tempera_mass_scale_of(const struct tempera_candidates *c);

// ------------------------------------------------------------------------------------------------
// Of an array of scores

// masses[n] of the scores z[n].
void tempera_masses_compute(const struct tempera_mass_scale *scale, const float *z, size_t n,
                            uint64_t *masses);

tempera_u128 tempera_masses_total(const uint64_t *masses, size_t n);

// The sum of the masses of scores z[n]; n at most TEMPERA_MASSES_PER_SUM.
uint64_t tempera_scores_mass(const struct tempera_mass_scale *scale, const float *z, size_t n);

// Sums over scores.
struct tempera_mass_gap_sums {
    tempera_u128 mass;
    tempera_u128 mass_gap; // of mass times gap
};

struct tempera_mass_gap_sums tempera_scores_mass_gaps(const struct tempera_mass_scale *scale,
                                                      const float *z, size_t n);

// The gap of a score, how far it lies below the maximum in nats: x = (m - z) / T, at most 1024,
// where masses have long been 0.
static inline double tempera_gap(float score, float max, double inverse_T)
{
    double x = ((double)max - (double)score) * inverse_T;
    return x < 1024 ? x : 1024;
}

// The score with a gap, approximately.
static inline float tempera_score_at(const struct tempera_mass_scale *scale, double gap)
{
    return tempera_to_score((double)scale->max - gap * scale->T);
}

// ------------------------------------------------------------------------------------------------
// Of candidates

// The sum of the masses.
tempera_u128 tempera_candidates_total_mass(struct tempera_candidates *c);

// The same, of gathered candidates, whose masses it stores.
tempera_u128 tempera_candidates_fill_masses(struct tempera_candidates *c);

// -ln p of the maximum, where `mass` is the sum of the masses: ln(mass / largest), which stays
// accurate near 0.
double tempera_nll_max_of(tempera_u128 mass, const struct tempera_mass_scale *scale);

// The same of candidates.
double tempera_candidates_nll_max(struct tempera_candidates *c);

// The distribution in a few numbers. Its entropy is nll_max + mean_gap.
struct tempera_mass_moments {
    tempera_u128 mass;
    double nll_max;
    double mean_gap; // weighted by p
};

struct tempera_mass_moments tempera_candidates_moments(struct tempera_candidates *c);

// The sum of p^2, divided by p_max.
double tempera_candidates_sum_of_squares(struct tempera_candidates *c);

#endif
