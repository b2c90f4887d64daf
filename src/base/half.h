// SPDX-License-Identifier: MIT
// 16-bit floats by integer arithmetic, the same bits on every machine: to nearest even, denormals
// kept, every NaN the canonical one.
#ifndef TEMPERA_BASE_HALF_H
#define TEMPERA_BASE_HALF_H

#include <stddef.h>
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

// The largest |x_i|, 0 for none; a NaN counts as larger than anything. By the bits, whose order is
// that of the magnitudes.
static inline float tempera_largest_magnitude(const float *x, size_t n)
{
    uint32_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = tempera_float_bits(x[i]) & 0x7FFFFFFFu;
        largest = bits > largest ? bits : largest;
    }
    return tempera_bits_float(largest);
}

// IEEE 754 binary16.
float tempera_f16_to_f32(uint16_t half);
uint16_t tempera_f32_to_f16(float value);

// The upper half of a binary32.
float tempera_bf16_to_f32(uint16_t half);
uint16_t tempera_f32_to_bf16(float value);

#endif
