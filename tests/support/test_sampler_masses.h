// SPDX-License-Identifier: MIT
// Masses and depths as docs/SAMPLING.md has them, for one score at a time: what the oracles stand
// on. fmaf of libm is exact, so that nothing of the library's kernels is in it.
#ifndef TEMPERA_TEST_SAMPLER_MASSES_H
#define TEMPERA_TEST_SAMPLER_MASSES_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/exp.h"

// Toward zero.
static float truncated(double x)
{
    float f = (float)x;
    return fabs((double)f) > fabs(x) ? nextafterf(f, 0) : f;
}

static bool is_ordinary(float max, double T)
{
    double L = 0x1.71547652b82fep+0 / T;
    return L >= 0x1p-100 && L <= 0x1p120 && max < 0x1p103f;
}

// The exponential that masses are made of: 2^51 exp((score - max) / T) with a relative error below
// 2^-23 that is the same for a whole row, or where f32 can't hold the row, in double.
static double exponential_of(float score, float max, double T)
{
    double L = 0x1.71547652b82fep+0 / T;
    if (!is_ordinary(max, T))
        return tempera_exp(((double)score - (double)max) / T) * 0x1p51;
    double at_max = (double)max * L;
    bool is_near = fabs(at_max) <= 512;
    float c = is_near ? 0 : max, L_high = truncated(L), L_low = (float)(L - (double)L_high);
    float magic = (float)(0x1.8p23 + 51 - (is_near ? rint(at_max) : 0));
    float lowest = (float)(((double)max - (double)c) - 152 / L);
    float d = fmaxf(lowest, score - c);
    float t = fmaf(d, L_high, magic);
    float f = fmaf(d, L_low, fmaf(d, L_high, magic - t));
    float r = fmaf(f, 0x1.366874p-13f, 0x1.5e1bbcp-10f);
    r = fmaf(r, f, 0x1.3b3d6cp-7f);
    r = fmaf(r, f, 0x1.c6b20cp-5f);
    r = fmaf(r, f, 0x1.ebfbc6p-3f);
    float power = 1 + fmaf(f, 0x1.62e42cp-1f, (f * f) * r);
    return ldexp((double)power, (int)((double)t - 0x1.8p23)); // the integer that t holds
}

static uint64_t mass_of(float score, float max, double T)
{
    return (uint64_t)rint(exponential_of(score, max, T));
}

__attribute__((unused)) static double depth_of(float score, float max, double T)
{
    return fmin(((double)max - (double)score) * (1 / T), 1024);
}

#endif
