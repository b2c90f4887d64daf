// SPDX-License-Identifier: MIT
// The vector vocabulary (see vec.h) in AArch64 Advanced SIMD: four registers for 16 lanes.
#ifndef TEMPERA_SIMD_VEC_NEON_H
#define TEMPERA_SIMD_VEC_NEON_H

#include <arm_neon.h>
#include <string.h>

typedef struct {
    float32x4_t part[4];
} f32x16;
typedef struct {
    uint32x4_t part[4]; // all bits of a lane, or none
} m16;
typedef struct {
    float64x2_t part[8];
} f64x16;
typedef struct {
    uint64x2_t part[8];
} u64x16;

// result.part[i] = expression for each quarter i.
#define V_QUARTERS(type, expression)                                                               \
    type result;                                                                                   \
    for (int i = 0; i < 4; i++)                                                                    \
        result.part[i] = (expression);                                                             \
    return result

static inline f32x16 v_set(float x)
{
    V_QUARTERS(f32x16, vdupq_n_f32(x));
}

static inline f32x16 v_load(const float *p)
{
    V_QUARTERS(f32x16, vld1q_f32(p + 4 * i));
}

static inline f32x16 v_load_part(const float *p, size_t n, float fill)
{
    float whole[16];
    for (size_t i = 0; i < 16; i++)
        whole[i] = i < n ? p[i] : fill;
    return v_load(whole);
}

static inline void v_store(float *p, f32x16 x)
{
    for (int i = 0; i < 4; i++)
        vst1q_f32(p + 4 * i, x.part[i]);
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
    float whole[16];
    v_store(whole, x);
    memcpy(p, whole, n * sizeof *p);
}

static inline f32x16 v_add(f32x16 a, f32x16 b)
{
    V_QUARTERS(f32x16, vaddq_f32(a.part[i], b.part[i]));
}

static inline f32x16 v_sub(f32x16 a, f32x16 b)
{
    V_QUARTERS(f32x16, vsubq_f32(a.part[i], b.part[i]));
}

static inline f32x16 v_mul(f32x16 a, f32x16 b)
{
    V_QUARTERS(f32x16, vmulq_f32(a.part[i], b.part[i]));
}

static inline f32x16 v_div(f32x16 a, f32x16 b)
{
    V_QUARTERS(f32x16, vdivq_f32(a.part[i], b.part[i]));
}

static inline f32x16 v_fma(f32x16 a, f32x16 b, f32x16 c)
{
    V_QUARTERS(f32x16, vfmaq_f32(c.part[i], a.part[i], b.part[i]));
}

static inline f32x16 v_max(f32x16 a, f32x16 b)
{
    V_QUARTERS(f32x16, vbslq_f32(vcgtq_f32(a.part[i], b.part[i]), a.part[i], b.part[i]));
}

static inline f32x16 v_min(f32x16 a, f32x16 b)
{
    V_QUARTERS(f32x16, vbslq_f32(vcltq_f32(a.part[i], b.part[i]), a.part[i], b.part[i]));
}

static inline f32x16 v_add_exponent(f32x16 x, f32x16 shifted)
{
    V_QUARTERS(f32x16, vreinterpretq_f32_u32(
                           vaddq_u32(vreinterpretq_u32_f32(x.part[i]),
                                     vshlq_n_u32(vreinterpretq_u32_f32(shifted.part[i]), 23))));
}

static inline f32x16 v_sub_bits(f32x16 a, f32x16 b)
{
    V_QUARTERS(f32x16, vreinterpretq_f32_u32(vsubq_u32(vreinterpretq_u32_f32(a.part[i]),
                                                       vreinterpretq_u32_f32(b.part[i]))));
}

static inline f32x16 v_magnitude(f32x16 x)
{
    V_QUARTERS(f32x16, vabsq_f32(x.part[i]));
}

static inline f32x16 v_copy_sign(f32x16 x, f32x16 sign)
{
    uint32x4_t bit = vdupq_n_u32(0x80000000u);
    V_QUARTERS(f32x16, vreinterpretq_f32_u32(
                           vorrq_u32(vreinterpretq_u32_f32(x.part[i]),
                                     vandq_u32(bit, vreinterpretq_u32_f32(sign.part[i])))));
}

static inline m16 v_unordered(f32x16 a, f32x16 b)
{
    V_QUARTERS(m16, vmvnq_u32(vandq_u32(vceqq_f32(a.part[i], a.part[i]),
                                        vceqq_f32(b.part[i], b.part[i]))));
}

static inline m16 v_less(f32x16 a, f32x16 b)
{
    V_QUARTERS(m16, vcltq_f32(a.part[i], b.part[i]));
}

static inline m16 v_bits(uint32_t bits)
{
    static const uint32_t powers[4] = {1, 2, 4, 8};
    uint32x4_t each = vld1q_u32(powers);
    V_QUARTERS(m16, vtstq_u32(vdupq_n_u32(bits >> (4 * i)), each));
}

static inline uint32_t v_bits_of(m16 m)
{
    static const uint32_t powers[4] = {1, 2, 4, 8};
    uint32x4_t each = vld1q_u32(powers);
    uint32_t bits = 0;
    for (int i = 0; i < 4; i++)
        bits |= vaddvq_u32(vandq_u32(m.part[i], each)) << (4 * i);
    return bits;
}

static inline m16 v_none(void)
{
    V_QUARTERS(m16, vdupq_n_u32(0));
}

static inline m16 v_either(m16 a, m16 b)
{
    V_QUARTERS(m16, vorrq_u32(a.part[i], b.part[i]));
}

static inline bool v_any(m16 m)
{
    return vmaxvq_u32(
               vorrq_u32(vorrq_u32(m.part[0], m.part[1]), vorrq_u32(m.part[2], m.part[3]))) != 0;
}

static inline f32x16 v_select(m16 m, f32x16 yes, f32x16 no)
{
    V_QUARTERS(f32x16, vbslq_f32(m.part[i], yes.part[i], no.part[i]));
}

static inline float v_max_lane(f32x16 x)
{
    float32x4_t two = vmaxq_f32(x.part[0], x.part[1]), more = vmaxq_f32(x.part[2], x.part[3]);
    return vmaxvq_f32(vmaxq_f32(two, more));
}

static inline float v_first(f32x16 x)
{
    return vgetq_lane_f32(x.part[0], 0);
}

static inline f32x16 v_load_f16(const uint16_t *p)
{
    V_QUARTERS(f32x16, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))));
}

static inline void v_store_f16(uint16_t *p, f32x16 x)
{
    for (int i = 0; i < 4; i++)
        vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(x.part[i])));
}

static inline f32x16 v_load_bf16(const uint16_t *p)
{
    V_QUARTERS(f32x16, vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)));
}

static inline void v_store_bf16(uint16_t *p, f32x16 x)
{
    for (int i = 0; i < 4; i++) {
        uint32x4_t bits = vreinterpretq_u32_f32(x.part[i]);
        uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
        bits = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7FFF)), odd);
        vst1_u16(p + 4 * i, vshrn_n_u32(bits, 16));
    }
}

static inline f64x16 v_zero64(void)
{
    f64x16 result;
    for (int i = 0; i < 8; i++)
        result.part[i] = vdupq_n_f64(0);
    return result;
}

static inline f64x16 v_set64(double x)
{
    f64x16 result;
    for (int i = 0; i < 8; i++)
        result.part[i] = vdupq_n_f64(x);
    return result;
}

static inline f64x16 v_load64(const double *p)
{
    f64x16 result;
    for (int i = 0; i < 8; i++)
        result.part[i] = vld1q_f64(p + 2 * i);
    return result;
}

static inline void v_store64(double *p, f64x16 x)
{
    for (int i = 0; i < 8; i++)
        vst1q_f64(p + 2 * i, x.part[i]);
}

static inline f64x16 v_widen(f32x16 x)
{
    f64x16 result;
    for (int i = 0; i < 4; i++) {
        result.part[2 * i] = vcvt_f64_f32(vget_low_f32(x.part[i]));
        result.part[2 * i + 1] = vcvt_high_f64_f32(x.part[i]);
    }
    return result;
}

static inline f64x16 v_add64(f64x16 a, f64x16 b)
{
    for (int i = 0; i < 8; i++)
        a.part[i] = vaddq_f64(a.part[i], b.part[i]);
    return a;
}

static inline f64x16 v_sub64(f64x16 a, f64x16 b)
{
    for (int i = 0; i < 8; i++)
        a.part[i] = vsubq_f64(a.part[i], b.part[i]);
    return a;
}

static inline f64x16 v_mul64(f64x16 a, f64x16 b)
{
    for (int i = 0; i < 8; i++)
        a.part[i] = vmulq_f64(a.part[i], b.part[i]);
    return a;
}

static inline u64x16 v_round64(f64x16 x)
{
    u64x16 result;
    for (int i = 0; i < 8; i++)
        result.part[i] = vcvtnq_u64_f64(x.part[i]);
    return result;
}

static inline u64x16 v_round(f32x16 x)
{
    return v_round64(v_widen(x));
}

static inline u64x16 v_zero_u64(void)
{
    u64x16 result;
    for (int i = 0; i < 8; i++)
        result.part[i] = vdupq_n_u64(0);
    return result;
}

static inline u64x16 v_add_u64(u64x16 a, u64x16 b)
{
    for (int i = 0; i < 8; i++)
        a.part[i] = vaddq_u64(a.part[i], b.part[i]);
    return a;
}

static inline void v_store_u64(uint64_t *p, u64x16 x)
{
    for (int i = 0; i < 8; i++)
        vst1q_u64(p + 2 * i, x.part[i]);
}

static inline uint64_t v_sum_u64(u64x16 x)
{
    uint64_t sum = 0;
    for (int i = 0; i < 8; i++)
        sum += vaddvq_u64(x.part[i]);
    return sum;
}

static inline f64x16 v_add_products(f64x16 s, f32x16 a, f32x16 b)
{
    f64x16 x = v_widen(a), y = v_widen(b);
    for (int i = 0; i < 8; i++)
        s.part[i] = vfmaq_f64(s.part[i], x.part[i], y.part[i]);
    return s;
}

static inline double v_sum64(f64x16 x)
{
    for (int width = 4; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            x.part[i] = vaddq_f64(x.part[i], x.part[i + width]);
    return vgetq_lane_f64(x.part[0], 0) + vgetq_lane_f64(x.part[0], 1);
}

#endif
