// SPDX-License-Identifier: MIT
#include "base/exp.h"

// x = 2^e m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh(s) with s = (m - 1)/(m + 1), |s| <=
// 0.1716, a series in s^2 whose terms beyond s^21 / 21 are below 2^-59 of it.
double tempera_log(double x)
{
    const double ln2_high = 0x1.62e42fefa0000p-1, ln2_low = 0x1.cf79abc9e3b3ap-40;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint64_t sqrt_half = 0x3FE6A09E667F3BCDu;
    int64_t e = (int64_t)((bits - sqrt_half) >> 52);
    e = e >= 2048 ? e - 4096 : e; // a difference below 0 has its sign in the upper bits
    uint64_t m_bits = bits - ((uint64_t)e << 52);
    double m;
    memcpy(&m, &m_bits, sizeof m);
    double s = (m - 1.0) / (m + 1.0), s2 = s * s;
    double series = 1.0 / 21;
    for (int k = 19; k >= 3; k -= 2)
        series = series * s2 + 1.0 / (double)k;
    // m - 1 is exact; 2s = (m - 1) - s (m - 1) keeps its leading part exact as well.
    double d = m - 1.0;
    double ln_m = d - s * (d - 2.0 * s2 * series);
    return (double)e * ln2_high + (ln_m + (double)e * ln2_low);
}
