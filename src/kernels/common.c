// SPDX-License-Identifier: MIT
// What all tables share: the scalar arithmetic of a row, in double.
#include "base/exp.h"
#include "base/half.h"
#include "kernels/kernels.h"

static const double rounder = 0x1.8p52; // its addition rounds to an integer

// Toward zero; x positive or negative, no NaN.
static float truncated(double x)
{
    float f = (float)x;
    double excess = x < 0 ? x - (double)f : (double)f - x;
    return excess > 0 ? tempera_bits_float(tempera_float_bits(f) - 1) : f;
}

struct tempera_heat tempera_heat_of(double T)
{
    struct tempera_heat heat = {.T = T, .L = 0x1.71547652b82fep+0 / T};
    heat.is_ordinary = heat.L >= 0x1p-100 && heat.L <= 0x1p120;
    if (heat.is_ordinary) {
        heat.reach = 152 / heat.L;
        heat.L_high = truncated(heat.L);
        heat.L_low = (float)(heat.L - (double)heat.L_high);
        tempera_split_inverse(1, T, &heat.inverse_T[0], &heat.inverse_T[1]);
    }
    return heat;
}

size_t tempera_row_block(size_t n)
{
    size_t block = TEMPERA_ROW_BLOCK;
    while (n / 64 > block)
        block *= 2;
    return block;
}

bool tempera_max_is_ordinary(float max)
{
    return max > -INFINITY && max < 0x1p103f; // beyond, a difference of scores can overflow
}

struct tempera_exponent tempera_exponent_of(float max, const struct tempera_heat *heat)
{
    struct tempera_exponent x = {.L_high = heat->L_high, .L_low = heat->L_low};
    double m = (double)max, distance = m * heat->L, M = 0;
    if (distance >= -512 && distance <= 512)
        M = (distance + rounder) - rounder;
    else
        x.shift = max; // x - shift is exact for all scores near the maximum (Sterbenz)
    x.magic = (float)(0x1.8p23 + 51 - M);
    x.lowest = (float)((m - (double)x.shift) - heat->reach);
    return x;
}

void tempera_split_inverse(double factor, double sum, float *high, float *low)
{
    double inverse = factor / sum;
    *high = truncated(inverse);
    *low = (float)(inverse - (double)*high);
}

double tempera_ln_sum(const struct tempera_row_sum *sum)
{
    return tempera_log(sum->sum / sum->e_max);
}

void tempera_masses(const float *z, size_t n, float max, double T, uint64_t *w)
{
    const double largest = 0x1p51, magic = 0x1p52; // adding it rounds and leaves the integer
    for (size_t i = 0; i < n; i++) {
        double shifted = tempera_exp(((double)z[i] - (double)max) / T) * largest + magic;
        uint64_t bits;
        memcpy(&bits, &shifted, sizeof bits);
        w[i] = bits & 0xFFFFFFFFFFFFFu;
    }
}
