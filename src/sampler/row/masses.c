// SPDX-License-Identifier: MIT
// All sums are sums of integers, so they don't depend on the order of summation.
#include "sampler/row/masses.h"

#include "base/exp.h"
#include "kernels/kernels.h"
#include "kernels/rows_f64.h"
#include "kernels/scalars.h"

enum { SUM = TEMPERA_MASSES_PER_SUM };

struct tempera_mass_scale tempera_mass_scale_of(const struct tempera_candidates *c)
{
    struct tempera_temperature_params params = tempera_temperature_params_of(c->temperature);
    struct tempera_mass_scale scale = {.max = c->max, .T = c->temperature};
    scale.fits_f32 = params.fits_f32 && tempera_max_fits_f32(c->max);
    if (scale.fits_f32)
        scale.exponent = tempera_exponent_of(c->max, &params);
    tempera_masses_compute(&scale, &c->max, 1, &scale.largest);
    return scale;
}

void tempera_masses_compute(const struct tempera_mass_scale *scale, const float *z, size_t n,
                            uint64_t *masses)
{
    if (scale->fits_f32)
        tempera_kernels_active()->sampler.masses(z, n, &scale->exponent, masses);
    else
        tempera_f64_masses(z, n, scale->max, scale->T, masses);
}

// ------------------------------------------------------------------------------------------------
// Sums

static uint64_t sum_of(const uint64_t *w, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += w[i];
    return sum;
}

tempera_u128 tempera_masses_total(const uint64_t *masses, size_t n)
{
    tempera_u128 total = 0;
    for (size_t i = 0; i < n; i += SUM)
        total += sum_of(masses + i, n - i < SUM ? n - i : SUM);
    return total;
}

uint64_t tempera_scores_mass(const struct tempera_mass_scale *scale, const float *z, size_t n)
{
    if (scale->fits_f32)
        return tempera_kernels_active()->sampler.mass_sum(z, n, &scale->exponent);
    uint64_t w[SUM];
    tempera_f64_masses(z, n, scale->max, scale->T, w);
    return sum_of(w, n);
}

static tempera_u128 total_of(struct tempera_score_array s, const struct tempera_mass_scale *scale)
{
    tempera_u128 total = 0;
    for (size_t i = 0; i < s.n; i += SUM)
        total += tempera_scores_mass(scale, s.z + i, s.n - i < SUM ? s.n - i : SUM);
    return total;
}

tempera_u128 tempera_candidates_total_mass(struct tempera_candidates *c)
{
    struct tempera_score_array scores = tempera_candidates_scores(c);
    struct tempera_mass_scale scale = tempera_mass_scale_of(c);
    return total_of(scores, &scale);
}

tempera_u128 tempera_candidates_fill_masses(struct tempera_candidates *c)
{
    struct tempera_mass_scale scale = tempera_mass_scale_of(c);
    tempera_masses_compute(&scale, c->scores, c->n, c->masses);
    return tempera_masses_total(c->masses, c->n);
}

// ------------------------------------------------------------------------------------------------
// Moments

double tempera_nll_max_of(tempera_u128 mass, const struct tempera_mass_scale *scale)
{
    return tempera_log1p((double)(mass - scale->largest) / (double)scale->largest);
}

double tempera_candidates_nll_max(struct tempera_candidates *c)
{
    struct tempera_score_array scores = tempera_candidates_scores(c);
    struct tempera_mass_scale scale = tempera_mass_scale_of(c);
    return tempera_nll_max_of(total_of(scores, &scale), &scale);
}

// As the kernel does, in double. w x is below 2^51, since e^-x x is at most 1 / e.
static void mass_gap_sums_f64(const struct tempera_mass_scale *scale, const float *z, size_t n,
                              uint64_t sums[2])
{
    uint64_t w[SUM];
    tempera_f64_masses(z, n, scale->max, scale->T, w);
    sums[0] = sum_of(w, n);
    sums[1] = 0;
    for (size_t i = 0; i < n; i++)
        sums[1] += tempera_rounded((double)w[i] * tempera_gap(z[i], scale->max, 1 / scale->T));
}

struct tempera_mass_gap_sums tempera_scores_mass_gaps(const struct tempera_mass_scale *scale,
                                                      const float *z, size_t n)
{
    struct tempera_mass_gap_sums all = {0, 0};
    for (size_t i = 0; i < n; i += SUM) {
        size_t length = n - i < SUM ? n - i : SUM;
        uint64_t sums[2];
        if (scale->fits_f32)
            tempera_kernels_active()->sampler.mass_gaps(z + i, length, &scale->exponent, scale->max,
                                                        (float)(1 / scale->T), sums);
        else
            mass_gap_sums_f64(scale, z + i, length, sums);
        all.mass += sums[0];
        all.mass_gap += sums[1];
    }
    return all;
}

struct tempera_mass_moments tempera_candidates_moments(struct tempera_candidates *c)
{
    struct tempera_score_array s = tempera_candidates_scores(c);
    struct tempera_mass_scale scale = tempera_mass_scale_of(c);
    struct tempera_mass_gap_sums sums = tempera_scores_mass_gaps(&scale, s.z, s.n);
    double nll_max = tempera_nll_max_of(sums.mass, &scale);
    return (struct tempera_mass_moments){sums.mass, nll_max,
                                         (double)sums.mass_gap / (double)sums.mass};
}

static uint64_t mass_squared_f64(const struct tempera_mass_scale *scale, const float *z, size_t n)
{
    uint64_t w[SUM], sum = 0;
    tempera_f64_masses(z, n, scale->max, scale->T, w);
    for (size_t i = 0; i < n; i++)
        sum += tempera_rounded(((double)w[i] * 0x1p-26) * ((double)w[i] * 0x1p-26));
    return sum;
}

// With Q = sum of w^2 / 2^52: sum of p^2 / p_max = (2^52 Q / W^2) (W / w_max).
double tempera_candidates_sum_of_squares(struct tempera_candidates *c)
{
    struct tempera_score_array s = tempera_candidates_scores(c);
    struct tempera_mass_scale scale = tempera_mass_scale_of(c);
    tempera_u128 Q = 0;
    for (size_t i = 0; i < s.n; i += SUM) {
        size_t n = s.n - i < SUM ? s.n - i : SUM;
        Q += scale.fits_f32
                 ? tempera_kernels_active()->sampler.mass_squares(s.z + i, n, &scale.exponent)
                 : mass_squared_f64(&scale, s.z + i, n);
    }
    return ((double)Q * 0x1p52) / ((double)total_of(s, &scale) * (double)scale.largest);
}
