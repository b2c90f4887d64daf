// SPDX-License-Identifier: MIT
// exp and log in double: plain additions and multiplications in a fixed order, so that gcc and
// clang on any machine give the same bits, which no libm promises.
#ifndef TEMPERA_BASE_EXP_H
#define TEMPERA_BASE_EXP_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "float and double arithmetic must be done in their own precision (no x87)"
#endif

// exp(x) for x in [-708, 0]. Error below 1 ulp. x = k ln 2 + f with |f| <= 0.3466; exp(f) is its
// Taylor sum up to f^13 / 13!, whose rest is 0.04 ulp; 2^k goes in through the exponent.
static inline double tempera_exp_within(double x)
{
    const double log2_e = 0x1.71547652b82fep+0;
    const double ln2_high = 0x1.62e42fefa0000p-1; // 35 bits: k * ln2_high is exact
    const double ln2_low = 0x1.cf79abc9e3b3ap-40;
    const double magic = 0x1.8p52; // its addition rounds to an integer, left in the low bits
    double shifted = x * log2_e + magic;
    double k = shifted - magic;
    double f = (x - k * ln2_high) - k * ln2_low;
    double f2 = f * f;
    // Even and odd halves side by side: two short chains instead of one long.
    double even = 1.0 / 479001600;
    even = even * f2 + 1.0 / 3628800;
    even = even * f2 + 1.0 / 40320;
    even = even * f2 + 1.0 / 720;
    even = even * f2 + 1.0 / 24;
    double odd = 1.0 / 6227020800.0;
    odd = odd * f2 + 1.0 / 39916800;
    odd = odd * f2 + 1.0 / 362880;
    odd = odd * f2 + 1.0 / 5040;
    odd = odd * f2 + 1.0 / 120;
    odd = odd * f2 + 1.0 / 6;
    // 1 + (f + (f^2/2 + (f^3 odd + f^4 even))): the large terms last.
    double tail = f2 * (0.5 + (f * odd + f2 * even));
    double fraction = 1.0 + (f + tail);
    uint64_t bits, exponent;
    memcpy(&exponent, &shifted, sizeof exponent);
    memcpy(&bits, &fraction, sizeof bits);
    bits += exponent << 52;
    double result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

// exp(x) for x <= 0; 0 below -708, where the result would leave the normal numbers; NaN for NaN.
// Branch-free, for the compiler to vectorise.
static inline double tempera_exp(double x)
{
    double result = tempera_exp_within(x < -708.0 ? -708.0 : x);
    return x < -708.0 ? 0.0 : x == x ? result : x;
}

// ln(x) for normal x > 0; exactly 0 for 1. Error below 2 ulp. x = 2^e m with m in [sqrt(1/2),
// sqrt(2)); ln m = 2 artanh(s) with s = (m - 1)/(m + 1), |s| <= 0.1716, a series in s^2 whose terms
// beyond s^21 / 21 are below 2^-59 of it. Branch-free, as exp.
static inline double tempera_log(double x)
{
    const double ln2_high = 0x1.62e42fefa0000p-1, ln2_low = 0x1.cf79abc9e3b3ap-40;
    const uint64_t sqrt_half = 0x3FE6A09E667F3BCDu, bias = 2048; // keeps e + bias above 0
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint64_t biased = (bits - sqrt_half + (bias << 52)) >> 52;
    uint64_t e_bits = biased | 0x4330000000000000u; // 2^52 + biased
    uint64_t m_bits = bits - ((biased - bias) << 52);
    double e, m;
    memcpy(&e, &e_bits, sizeof e);
    memcpy(&m, &m_bits, sizeof m);
    e -= 0x1p52 + 2048.0;
    double s = (m - 1.0) / (m + 1.0), s2 = s * s;
    double series = 1.0 / 21;
    series = series * s2 + 1.0 / 19;
    series = series * s2 + 1.0 / 17;
    series = series * s2 + 1.0 / 15;
    series = series * s2 + 1.0 / 13;
    series = series * s2 + 1.0 / 11;
    series = series * s2 + 1.0 / 9;
    series = series * s2 + 1.0 / 7;
    series = series * s2 + 1.0 / 5;
    series = series * s2 + 1.0 / 3;
    // m - 1 is exact; 2s = (m - 1) - s (m - 1) keeps its leading part exact as well.
    double d = m - 1.0;
    double ln_m = d - s * (d - 2.0 * s2 * series);
    return e * ln2_high + (ln_m + e * ln2_low);
}

// ln(1 + x) for x >= 0, to a few ulp for small x too: what rounding 1 + x does to the logarithm, it
// does to the factor as well (Kahan, in the HP-15C manual of 1982).
static inline double tempera_log1p(double x)
{
    double rounded = 1.0 + x;
    return rounded == 1.0 ? x : tempera_log(rounded) * (x / (rounded - 1.0));
}

#endif
