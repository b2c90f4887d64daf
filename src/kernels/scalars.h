// SPDX-License-Identifier: MIT
// The scalar arithmetic of a row, in double, the same for all tables. Mostly inline, since for
// short rows a call costs as much as the work; double has the same bits in every translation unit.
#ifndef TEMPERA_KERNELS_SCALARS_H
#define TEMPERA_KERNELS_SCALARS_H

#include <math.h>
#include <string.h>

#include "base/half.h"
#include "kernels/kernels.h"

// To the nearest integer, ties to even, for x in [0, 2^52): adding 2^52 leaves it in the lower
// bits.
static inline uint64_t tempera_rounded(double x)
{
    double shifted = x + 0x1p52;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return bits & 0xFFFFFFFFFFFFFu;
}

// Elements of a block of a row of n: TEMPERA_ROW_BLOCK, doubled until there are at most 65 blocks.
static inline size_t tempera_row_block(size_t n)
{
    size_t block = TEMPERA_ROW_BLOCK;
    while (n / 64 > block)
        block *= 2;
    return block;
}

// Whether a row with this maximum can be an f32 row. From 2^103 on, a difference of scores can
// overflow.
static inline bool tempera_max_fits_f32(float max)
{
    return max > -INFINITY && max < 0x1p103f;
}

static inline struct tempera_exponent
tempera_exponent_of(float max, const struct tempera_temperature_params *params)
{
    struct tempera_exponent x = {.L_high = params->L_high, .L_low = params->L_low};
    double m = (double)max, distance = m * params->L, M = 0;
    if (distance >= -512 && distance <= 512)
        M = (distance + 0x1.8p52) - 0x1.8p52; // rounded to an integer
    else
        x.shift = max; // x - shift is exact for all scores near the maximum (Sterbenz)
    x.magic = (float)(0x1.8p23 + 51 - M);
    x.lowest = (float)((m - (double)x.shift) - params->underflow_distance);
    return x;
}

// factor / sum as two floats: high is rounded toward zero, low is the rest.
static inline void tempera_split_inverse(double factor, double sum, float *high, float *low)
{
    double inverse = factor / sum;
    *high = tempera_truncated(inverse);
    *low = (float)(inverse - (double)*high);
}

struct tempera_temperature_params tempera_temperature_params_of(double T);

// The fixed tree in which 16 lanes are added; they are changed.
double tempera_sum_lanes(double lanes[16]);

// ln of the sum of exp((x_i - max) / T)
double tempera_ln_sum(const struct tempera_row_sum *sum);

#endif
