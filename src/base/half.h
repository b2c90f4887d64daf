// SPDX-License-Identifier: MIT
// 16-bit floats by integer arithmetic, the same bits on every machine: to nearest even, denormals
// kept, every NaN the canonical one.
#ifndef TEMPERA_BASE_HALF_H
#define TEMPERA_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t tempera_float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float tempera_bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// To a float, toward zero; x no NaN.
static inline float tempera_truncated(double x)
{
    float f = (float)x;
    double excess = x < 0 ? x - (double)f : (double)f - x;
    return excess > 0 ? tempera_bits_float(tempera_float_bits(f) - 1) : f;
}

// IEEE 754 binary16.
float tempera_f16_to_f32(uint16_t half);
uint16_t tempera_f32_to_f16(float value);

// The upper half of a binary32.
float tempera_bf16_to_f32(uint16_t half);
uint16_t tempera_f32_to_bf16(float value);

#endif
