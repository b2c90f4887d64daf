// SPDX-License-Identifier: MIT
#include "base/half.h"

enum { F32_NAN = 0x7FC00000, F16_NAN = 0x7E00, BF16_NAN = 0x7FC0 };

// value >> shift, rounded to nearest even; 1 <= shift <= 31.
static uint32_t shift_to_nearest(uint32_t value, uint32_t shift)
{
    uint32_t kept = value >> shift;
    uint32_t rest = value & ((1u << shift) - 1), half = 1u << (shift - 1);
    return kept + (rest > half || (rest == half && (kept & 1)));
}

float tempera_f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 0x1F, fraction = half & 0x3FF;
    if (exponent == 0x1F)
        return tempera_bits_float(fraction != 0 ? F32_NAN : sign | 0x7F800000u);
    if (exponent == 0) {
        if (fraction == 0)
            return tempera_bits_float(sign);
        exponent = 1; // a denormal: shift until its leading bit is the hidden one
        while ((fraction & 0x400) == 0) {
            fraction <<= 1;
            exponent--;
        }
        fraction &= 0x3FF;
    }
    return tempera_bits_float(sign | ((exponent + (127 - 15)) << 23) | (fraction << 13));
}

uint16_t tempera_f32_to_f16(float value)
{
    uint32_t bits = tempera_float_bits(value);
    uint32_t sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u)
        return F16_NAN;
    if (magnitude >= 0x477FF000u) // from 65520 on: infinity
        return (uint16_t)(sign | 0x7C00);
    if (magnitude >= 0x38800000u) // from 2^-14 on: a normal half; a carry goes into the exponent
        return (uint16_t)(sign | shift_to_nearest(magnitude - ((127 - 15) << 23), 13));
    if (magnitude < 0x33000000u) // below 2^-25: zero
        return (uint16_t)sign;
    uint32_t fraction = (magnitude & 0x7FFFFFu) | 0x800000u;
    return (uint16_t)(sign | shift_to_nearest(fraction, 126 - (magnitude >> 23)));
}

float tempera_bf16_to_f32(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    return tempera_bits_float((bits & 0x7FFFFFFFu) > 0x7F800000u ? (uint32_t)F32_NAN : bits);
}

uint16_t tempera_f32_to_bf16(float value)
{
    uint32_t bits = tempera_float_bits(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
        return BF16_NAN;
    return (uint16_t)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}
