// SPDX-License-Identifier: MIT
// The vector vocabulary (see vec.h) in AVX2, FMA and F16C: two registers for 16 lanes.
#ifndef TEMPERA_SIMD_VEC_AVX2_H
#define TEMPERA_SIMD_VEC_AVX2_H

#include <immintrin.h>

typedef struct {
    __m256 low, high;
} f32x16;
typedef struct {
    __m256 low, high; // all bits of a lane, or none
} m16;
typedef struct {
    __m256d part[4];
} f64x16;
typedef struct {
    __m256i part[4];
} u64x16;

static inline f32x16 v_set(float x)
{
    return (f32x16){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

static inline f32x16 v_load(const float *p)
{
    return (f32x16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

// All ones in lanes [0, n) of the eight from `first` on.
static inline __m256i v_lanes_below(size_t n, int first)
{
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n - first), lane);
}

static inline f32x16 v_load_part(const float *p, size_t n, float fill)
{
    __m256i low = v_lanes_below(n, 0), high = v_lanes_below(n, 8);
    __m256 f = _mm256_set1_ps(fill);
    return (f32x16){
        _mm256_blendv_ps(f, _mm256_maskload_ps(p, low), _mm256_castsi256_ps(low)),
        _mm256_blendv_ps(f, _mm256_maskload_ps(p + 8, high), _mm256_castsi256_ps(high))};
}

static inline void v_store(float *p, f32x16 x)
{
    _mm256_storeu_ps(p, x.low);
    _mm256_storeu_ps(p + 8, x.high);
}

static inline void v_stream(float *p, f32x16 x)
{
    _mm256_stream_ps(p, x.low);
    _mm256_stream_ps(p + 8, x.high);
}

static inline void v_stream_end(void)
{
    _mm_sfence();
}

static inline void v_store_part(float *p, size_t n, f32x16 x)
{
    _mm256_maskstore_ps(p, v_lanes_below(n, 0), x.low);
    _mm256_maskstore_ps(p + 8, v_lanes_below(n, 8), x.high);
}

static inline f32x16 v_add(f32x16 a, f32x16 b)
{
    return (f32x16){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}

static inline f32x16 v_sub(f32x16 a, f32x16 b)
{
    return (f32x16){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}

static inline f32x16 v_mul(f32x16 a, f32x16 b)
{
    return (f32x16){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}

static inline f32x16 v_div(f32x16 a, f32x16 b)
{
    return (f32x16){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}

static inline f32x16 v_fma(f32x16 a, f32x16 b, f32x16 c)
{
    return (f32x16){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

static inline f32x16 v_max(f32x16 a, f32x16 b)
{
    return (f32x16){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}

static inline f32x16 v_min(f32x16 a, f32x16 b)
{
    return (f32x16){_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}

static inline __m256 v_add_exponent_half(__m256 x, __m256 shifted)
{
    __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), exponent));
}

static inline f32x16 v_add_exponent(f32x16 x, f32x16 shifted)
{
    return (f32x16){v_add_exponent_half(x.low, shifted.low),
                    v_add_exponent_half(x.high, shifted.high)};
}

static inline __m256 v_sub_bits_half(__m256 a, __m256 b)
{
    return _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
}

static inline f32x16 v_sub_bits(f32x16 a, f32x16 b)
{
    return (f32x16){v_sub_bits_half(a.low, b.low), v_sub_bits_half(a.high, b.high)};
}

static inline f32x16 v_magnitude(f32x16 x)
{
    __m256 sign = _mm256_set1_ps(-0.0f);
    return (f32x16){_mm256_andnot_ps(sign, x.low), _mm256_andnot_ps(sign, x.high)};
}

static inline f32x16 v_copy_sign(f32x16 x, f32x16 sign)
{
    __m256 bit = _mm256_set1_ps(-0.0f);
    return (f32x16){_mm256_or_ps(x.low, _mm256_and_ps(bit, sign.low)),
                    _mm256_or_ps(x.high, _mm256_and_ps(bit, sign.high))};
}

static inline m16 v_unordered(f32x16 a, f32x16 b)
{
    return (m16){_mm256_cmp_ps(a.low, b.low, _CMP_UNORD_Q),
                 _mm256_cmp_ps(a.high, b.high, _CMP_UNORD_Q)};
}

static inline m16 v_less(f32x16 a, f32x16 b)
{
    return (m16){_mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ),
                 _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ)};
}

static inline m16 v_bits(uint32_t bits)
{
    __m256i all = _mm256_set1_epi32((int)bits);
    __m256i low = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128), high = _mm256_slli_epi32(low, 8);
    return (m16){_mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(all, low), low)),
                 _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(all, high), high))};
}

static inline uint32_t v_bits_of(m16 m)
{
    return (uint32_t)_mm256_movemask_ps(m.low) | (uint32_t)_mm256_movemask_ps(m.high) << 8;
}

static inline m16 v_none(void)
{
    return (m16){_mm256_setzero_ps(), _mm256_setzero_ps()};
}

static inline m16 v_either(m16 a, m16 b)
{
    return (m16){_mm256_or_ps(a.low, b.low), _mm256_or_ps(a.high, b.high)};
}

static inline bool v_any(m16 m)
{
    return _mm256_movemask_ps(_mm256_or_ps(m.low, m.high)) != 0;
}

static inline f32x16 v_select(m16 m, f32x16 yes, f32x16 no)
{
    return (f32x16){_mm256_blendv_ps(no.low, yes.low, m.low),
                    _mm256_blendv_ps(no.high, yes.high, m.high)};
}

static inline float v_max_lane(f32x16 x)
{
    __m256 eight = _mm256_max_ps(x.low, x.high);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline float v_first(f32x16 x)
{
    return _mm256_cvtss_f32(x.low);
}

static inline __m128i v_load_eight(const uint16_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline void v_store_eight(uint16_t *p, __m128i x)
{
    _mm_storeu_si128((__m128i *)(void *)p, x);
}

static inline f32x16 v_load_f16(const uint16_t *p)
{
    return (f32x16){_mm256_cvtph_ps(v_load_eight(p)), _mm256_cvtph_ps(v_load_eight(p + 8))};
}

static inline void v_store_f16(uint16_t *p, f32x16 x)
{
    v_store_eight(p, _mm256_cvtps_ph(x.low, _MM_FROUND_TO_NEAREST_INT));
    v_store_eight(p + 8, _mm256_cvtps_ph(x.high, _MM_FROUND_TO_NEAREST_INT));
}

static inline __m256 v_bf16_to_f32(__m128i half)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

static inline f32x16 v_load_bf16(const uint16_t *p)
{
    return (f32x16){v_bf16_to_f32(v_load_eight(p)), v_bf16_to_f32(v_load_eight(p + 8))};
}

static inline __m256i v_round_to_bf16(__m256 x)
{
    __m256i bits = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    bits = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
    return _mm256_srli_epi32(bits, 16);
}

static inline void v_store_bf16(uint16_t *p, f32x16 x)
{
    __m256i mixed = _mm256_packus_epi32(v_round_to_bf16(x.low), v_round_to_bf16(x.high));
    __m256i half = _mm256_permute4x64_epi64(mixed, 0xD8); // pack works within 128 bits
    _mm256_storeu_si256((__m256i *)(void *)p, half);
}

static inline f64x16 v_zero64(void)
{
    __m256d zero = _mm256_setzero_pd();
    return (f64x16){{zero, zero, zero, zero}};
}

static inline f64x16 v_set64(double x)
{
    __m256d all = _mm256_set1_pd(x);
    return (f64x16){{all, all, all, all}};
}

static inline f64x16 v_load64(const double *p)
{
    return (f64x16){{_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4), _mm256_loadu_pd(p + 8),
                     _mm256_loadu_pd(p + 12)}};
}

static inline void v_store64(double *p, f64x16 x)
{
    for (int i = 0; i < 4; i++)
        _mm256_storeu_pd(p + 4 * i, x.part[i]);
}

static inline f64x16 v_widen(f32x16 x)
{
    return (f64x16){{_mm256_cvtps_pd(_mm256_castps256_ps128(x.low)),
                     _mm256_cvtps_pd(_mm256_extractf128_ps(x.low, 1)),
                     _mm256_cvtps_pd(_mm256_castps256_ps128(x.high)),
                     _mm256_cvtps_pd(_mm256_extractf128_ps(x.high, 1))}};
}

static inline f64x16 v_add64(f64x16 a, f64x16 b)
{
    for (int i = 0; i < 4; i++)
        a.part[i] = _mm256_add_pd(a.part[i], b.part[i]);
    return a;
}

static inline f64x16 v_sub64(f64x16 a, f64x16 b)
{
    for (int i = 0; i < 4; i++)
        a.part[i] = _mm256_sub_pd(a.part[i], b.part[i]);
    return a;
}

static inline f64x16 v_mul64(f64x16 a, f64x16 b)
{
    for (int i = 0; i < 4; i++)
        a.part[i] = _mm256_mul_pd(a.part[i], b.part[i]);
    return a;
}

// Adding 2^52 rounds, and leaves the integer in the lower bits.
static inline u64x16 v_round64(f64x16 x)
{
    u64x16 result;
    for (int i = 0; i < 4; i++) {
        __m256d shifted = _mm256_add_pd(x.part[i], _mm256_set1_pd(0x1p52));
        result.part[i] =
            _mm256_and_si256(_mm256_castpd_si256(shifted), _mm256_set1_epi64x(0xFFFFFFFFFFFFF));
    }
    return result;
}

static inline u64x16 v_round(f32x16 x)
{
    return v_round64(v_widen(x));
}

static inline u64x16 v_zero_u64(void)
{
    __m256i zero = _mm256_setzero_si256();
    return (u64x16){{zero, zero, zero, zero}};
}

static inline u64x16 v_add_u64(u64x16 a, u64x16 b)
{
    for (int i = 0; i < 4; i++)
        a.part[i] = _mm256_add_epi64(a.part[i], b.part[i]);
    return a;
}

static inline void v_store_u64(uint64_t *p, u64x16 x)
{
    for (int i = 0; i < 4; i++)
        _mm256_storeu_si256((__m256i *)(void *)(p + 4 * i), x.part[i]);
}

static inline uint64_t v_sum_u64(u64x16 x)
{
    uint64_t lanes[16], sum = 0;
    v_store_u64(lanes, x);
    for (int i = 0; i < 16; i++)
        sum += lanes[i];
    return sum;
}

static inline f64x16 v_add_products(f64x16 s, f32x16 a, f32x16 b)
{
    f64x16 x = v_widen(a), y = v_widen(b);
    for (int i = 0; i < 4; i++)
        s.part[i] = _mm256_fmadd_pd(x.part[i], y.part[i], s.part[i]);
    return s;
}

static inline double v_sum64(f64x16 x)
{
    __m256d low = _mm256_add_pd(x.part[0], x.part[2]), high = _mm256_add_pd(x.part[1], x.part[3]);
    __m256d four = _mm256_add_pd(low, high);
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

#endif
