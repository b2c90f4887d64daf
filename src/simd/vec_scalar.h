// SPDX-License-Identifier: MIT
// The vector vocabulary (see vec.h) in plain C: sixteen floats and loops over them. Without an FMA
// instruction, a fused multiply-add is put together from double arithmetic.
#ifndef TEMPERA_SIMD_VEC_SCALAR_H
#define TEMPERA_SIMD_VEC_SCALAR_H

#include <string.h>

#include "base/half.h"

typedef struct {
    float lane[16];
} f32x16;
typedef struct {
    uint32_t lane[16]; // 1 or 0
} m16;
typedef struct {
    double lane[16];
} f64x16;
typedef struct {
    uint64_t lane[16];
} u64x16;

// result.lane[i] = expression for each lane i.
#define V_LANES(type, expression)                                                                  \
    type result;                                                                                   \
    for (int i = 0; i < 16; i++)                                                                   \
        result.lane[i] = (expression);                                                             \
    return result

// a * b + c, rounded once.
static inline float v_fma_lane(float a, float b, float c)
{
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return __builtin_fmaf(a, b, c);
#else
    // The product is exact in double. Of the sum, the rounding error decides the last bit (round to
    // odd): a double so rounded gives the right float (Boldo and Melquiond 2008).
    double product = (double)a * (double)b, sum = product + (double)c;
    double c_part = sum - product;
    double error = (product - (sum - c_part)) + ((double)c - c_part);
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    if (error != 0 && error == error && (bits & 1) == 0) {
        bool away = (error > 0) == (sum > 0);
        bits = away ? bits + 1 : bits - 1;
        memcpy(&sum, &bits, sizeof sum);
    }
    return (float)sum;
#endif
}

static inline f32x16 v_set(float x)
{
    V_LANES(f32x16, x);
}

static inline f32x16 v_load(const float *p)
{
    V_LANES(f32x16, p[i]);
}

static inline f32x16 v_load_part(const float *p, size_t n, float fill)
{
    V_LANES(f32x16, (size_t)i < n ? p[i] : fill);
}

static inline void v_store(float *p, f32x16 x)
{
    memcpy(p, x.lane, sizeof x.lane);
}

static inline void v_stream(float *p, f32x16 x)
{
    v_store(p, x);
}

static inline void v_stream_end(void)
{
}

static inline void v_store_part(float *p, size_t n, f32x16 x)
{
    memcpy(p, x.lane, n * sizeof *p);
}

static inline f32x16 v_add(f32x16 a, f32x16 b)
{
    V_LANES(f32x16, a.lane[i] + b.lane[i]);
}

static inline f32x16 v_sub(f32x16 a, f32x16 b)
{
    V_LANES(f32x16, a.lane[i] - b.lane[i]);
}

static inline f32x16 v_mul(f32x16 a, f32x16 b)
{
    V_LANES(f32x16, a.lane[i] * b.lane[i]);
}

static inline f32x16 v_div(f32x16 a, f32x16 b)
{
    V_LANES(f32x16, a.lane[i] / b.lane[i]);
}

static inline f32x16 v_fma(f32x16 a, f32x16 b, f32x16 c)
{
    V_LANES(f32x16, v_fma_lane(a.lane[i], b.lane[i], c.lane[i]));
}

static inline f32x16 v_max(f32x16 a, f32x16 b)
{
    V_LANES(f32x16, a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]);
}

static inline f32x16 v_min(f32x16 a, f32x16 b)
{
    V_LANES(f32x16, a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]);
}

static inline f32x16 v_add_exponent(f32x16 x, f32x16 shifted)
{
    V_LANES(f32x16, tempera_bits_float(tempera_float_bits(x.lane[i]) +
                                       (tempera_float_bits(shifted.lane[i]) << 23)));
}

static inline f32x16 v_sub_bits(f32x16 a, f32x16 b)
{
    V_LANES(f32x16,
            tempera_bits_float(tempera_float_bits(a.lane[i]) - tempera_float_bits(b.lane[i])));
}

static inline f32x16 v_magnitude(f32x16 x)
{
    V_LANES(f32x16, tempera_bits_float(tempera_float_bits(x.lane[i]) & 0x7FFFFFFFu));
}

static inline f32x16 v_copy_sign(f32x16 x, f32x16 sign)
{
    V_LANES(f32x16, tempera_bits_float(tempera_float_bits(x.lane[i]) |
                                       (tempera_float_bits(sign.lane[i]) & 0x80000000u)));
}

static inline m16 v_unordered(f32x16 a, f32x16 b)
{
    V_LANES(m16, a.lane[i] != a.lane[i] || b.lane[i] != b.lane[i]);
}

static inline m16 v_less(f32x16 a, f32x16 b)
{
    V_LANES(m16, a.lane[i] < b.lane[i]);
}

static inline m16 v_bits(uint32_t bits)
{
    V_LANES(m16, bits >> i & 1);
}

static inline uint32_t v_bits_of(m16 m)
{
    uint32_t bits = 0;
    for (int i = 0; i < 16; i++)
        bits |= m.lane[i] << i;
    return bits;
}

static inline m16 v_none(void)
{
    V_LANES(m16, 0);
}

static inline m16 v_either(m16 a, m16 b)
{
    V_LANES(m16, a.lane[i] | b.lane[i]);
}

static inline bool v_any(m16 m)
{
    uint32_t any = 0;
    for (int i = 0; i < 16; i++)
        any |= m.lane[i];
    return any != 0;
}

static inline f32x16 v_select(m16 m, f32x16 yes, f32x16 no)
{
    V_LANES(f32x16, m.lane[i] ? yes.lane[i] : no.lane[i]);
}

static inline float v_max_lane(f32x16 x)
{
    float max = x.lane[0];
    for (int i = 1; i < 16; i++)
        max = x.lane[i] > max ? x.lane[i] : max;
    return max;
}

static inline float v_first(f32x16 x)
{
    return x.lane[0];
}

static inline f32x16 v_load_f16(const uint16_t *p)
{
    V_LANES(f32x16, tempera_f16_to_f32(p[i]));
}

static inline void v_store_f16(uint16_t *p, f32x16 x)
{
    for (int i = 0; i < 16; i++)
        p[i] = tempera_f32_to_f16(x.lane[i]);
}

static inline f32x16 v_load_bf16(const uint16_t *p)
{
    V_LANES(f32x16, tempera_bits_float((uint32_t)p[i] << 16));
}

static inline void v_store_bf16(uint16_t *p, f32x16 x)
{
    for (int i = 0; i < 16; i++)
        p[i] = tempera_f32_to_bf16(x.lane[i]);
}

static inline f64x16 v_zero64(void)
{
    V_LANES(f64x16, 0);
}

static inline f64x16 v_set64(double x)
{
    V_LANES(f64x16, x);
}

static inline f64x16 v_load64(const double *p)
{
    V_LANES(f64x16, p[i]);
}

static inline void v_store64(double *p, f64x16 x)
{
    memcpy(p, x.lane, sizeof x.lane);
}

static inline f64x16 v_widen(f32x16 x)
{
    V_LANES(f64x16, (double)x.lane[i]);
}

static inline f64x16 v_add64(f64x16 a, f64x16 b)
{
    V_LANES(f64x16, a.lane[i] + b.lane[i]);
}

static inline f64x16 v_sub64(f64x16 a, f64x16 b)
{
    V_LANES(f64x16, a.lane[i] - b.lane[i]);
}

static inline f64x16 v_mul64(f64x16 a, f64x16 b)
{
    V_LANES(f64x16, a.lane[i] * b.lane[i]);
}

static inline uint64_t v_round64_lane(double x)
{
    double shifted = x + 0x1p52; // rounds, and leaves the integer in the lower bits
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return bits & 0xFFFFFFFFFFFFFu;
}

static inline u64x16 v_round64(f64x16 x)
{
    V_LANES(u64x16, v_round64_lane(x.lane[i]));
}

static inline u64x16 v_round(f32x16 x)
{
    return v_round64(v_widen(x));
}

static inline u64x16 v_zero_u64(void)
{
    V_LANES(u64x16, 0);
}

static inline u64x16 v_add_u64(u64x16 a, u64x16 b)
{
    V_LANES(u64x16, a.lane[i] + b.lane[i]);
}

static inline void v_store_u64(uint64_t *p, u64x16 x)
{
    memcpy(p, x.lane, sizeof x.lane);
}

static inline uint64_t v_sum_u64(u64x16 x)
{
    uint64_t sum = 0;
    for (int i = 0; i < 16; i++)
        sum += x.lane[i];
    return sum;
}

static inline f64x16 v_add_products(f64x16 s, f32x16 a, f32x16 b)
{
    V_LANES(f64x16, s.lane[i] + (double)a.lane[i] * (double)b.lane[i]);
}

static inline double v_sum64(f64x16 x)
{
    for (int width = 8; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            x.lane[i] += x.lane[i + width];
    return x.lane[0];
}

#endif
