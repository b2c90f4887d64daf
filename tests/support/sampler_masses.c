// SPDX-License-Identifier: MIT
#include "sampler_masses.h"

#include <math.h>

#include "base/exp.h"

// Toward zero.
static float truncated(double x)
{
    float f = (float)x;
    return fabs((double)f) > fabs(x) ? nextafterf(f, 0) : f;
}

bool is_f32_row(float max, double T)
{
    double L = 0x1.71547652b82fep+0 / T;
    return L >= 0x1p-100 && L <= 0x1p120 && max < 0x1p103f;
}

double exponential_of(float score, float max, double T)
{
    double L = 0x1.71547652b82fep+0 / T;
    if (!is_f32_row(max, T))
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

uint64_t mass_of(float score, float max, double T)
{
    return (uint64_t)rint(exponential_of(score, max, T));
}

double gap_of(float score, float max, double T)
{
    return fmin(((double)max - (double)score) * (1 / T), 1024);
}
