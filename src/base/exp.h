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

// exp(x) for x <= 0; 0 below -708, where the result would leave the normal numbers; NaN for NaN.
// Error below 1 ulp. x = k ln 2 + f with |f| <= 0.3466; exp(f) is its Taylor sum up to f^13 / 13!,
// whose rest is 0.04 ulp; 2^k goes in through the exponent. Branch-free, for the compiler to
// vectorise.
static inline double tempera_exp(double x)
{
    const double log2_e = 0x1.71547652b82fep+0;
    const double ln2_high = 0x1.62e42fefa0000p-1; // 35 bits: k * ln2_high is exact
    const double ln2_low = 0x1.cf79abc9e3b3ap-40;
    const double magic = 0x1.8p52; // its addition rounds to an integer, left in the low bits
    double clamped = x < -708.0 ? -708.0 : x;
    double shifted = clamped * log2_e + magic;
    double k = shifted - magic;
    double f = (clamped - k * ln2_high) - k * ln2_low;
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
    return x < -708.0 ? 0.0 : x == x ? result : x;
}

// ln(x) for normal x > 0; exactly 0 for 1. Error below 2 ulp.
double tempera_log(double x);

#endif
