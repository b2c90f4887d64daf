// SPDX-License-Identifier: MIT
// Masses, and what follows from them: the entropy and its parts, the sum of squares. All are sums
// of integers, so that they don't depend on the order of summation.
#include <string.h>

#include "base/exp.h"
#include "kernels/kernels.h"
#include "sampler/sampler.h"

tempera_u128 tempera_masses_total(const uint64_t *masses, size_t n)
{
    tempera_u128 total = 0;
    for (size_t i = 0; i < n;) {
        size_t end = n - i < TEMPERA_MASSES_PER_SUM ? n : i + TEMPERA_MASSES_PER_SUM;
        uint64_t sum = 0;
        for (; i < end; i++)
            sum += masses[i];
        total += sum;
    }
    return total;
}

tempera_u128 tempera_candidates_weigh(struct tempera_candidates *c)
{
    if (!c->has_masses)
        tempera_masses(c->scores, c->n, c->max, c->temperature, c->masses);
    c->has_masses = true;
    return tempera_masses_total(c->masses, c->n);
}

// To the nearest integer, ties to even, for x in [0, 2^52).
static uint64_t rounded(double x)
{
    uint64_t bits;
    double shifted = x + 0x1p52;
    memcpy(&bits, &shifted, sizeof bits);
    return bits & 0xFFFFFFFFFFFFFu;
}

// The maximum has a mass of 2^51, so p_max is 2^51 / W.
double tempera_candidates_lambda(struct tempera_candidates *c)
{
    return tempera_log((double)tempera_candidates_weigh(c) * 0x1p-51);
}

// w x is below 2^51: e^-x x is at most 1 / e.
uint64_t tempera_candidates_weighted_depth(const struct tempera_candidates *c, size_t i)
{
    return rounded((double)c->masses[i] * tempera_candidates_depth(c, i));
}

double tempera_candidates_mean_depth(struct tempera_candidates *c)
{
    tempera_u128 W = tempera_candidates_weigh(c), sum = 0;
    for (size_t i = 0; i < c->n; i++)
        sum += tempera_candidates_weighted_depth(c, i);
    return (double)sum / (double)W;
}

// Q = sum of w^2 / 2^52; sum p^2 / p_max = (2^52 Q / W^2) (W / 2^51).
double tempera_candidates_sum_of_squares(struct tempera_candidates *c)
{
    tempera_u128 W = tempera_candidates_weigh(c), sum = 0;
    for (size_t i = 0; i < c->n; i++) {
        double w = (double)c->masses[i];
        sum += rounded(w * w * 0x1p-52);
    }
    return 2 * (double)sum / (double)W;
}
