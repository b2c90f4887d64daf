// SPDX-License-Identifier: MIT
// The vector vocabulary (see vec.h) in AVX-512 F, BW, DQ, VL.
#ifndef TEMPERA_SIMD_VEC_AVX512_H
#define TEMPERA_SIMD_VEC_AVX512_H

#include <immintrin.h>

typedef __m512 f32x16;
typedef __mmask16 m16;
typedef struct {
    __m512d low, high;
} f64x16;
typedef struct {
    __m512i low, high;
} u64x16;

static inline f32x16 v_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline f32x16 v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline f32x16 v_load_part(const float *p, size_t n, float fill)
{
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), (__mmask16)((1u << n) - 1), p);
}

static inline void v_store(float *p, f32x16 x)
{
    _mm512_storeu_ps(p, x);
}

static inline void v_stream(float *p, f32x16 x)
{
    _mm512_stream_ps(p, x);
}

static inline void v_stream_end(void)
{
    _mm_sfence();
}

static inline void v_store_part(float *p, size_t n, f32x16 x)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
}

static inline f32x16 v_add(f32x16 a, f32x16 b)
{
    return _mm512_add_ps(a, b);
}

static inline f32x16 v_sub(f32x16 a, f32x16 b)
{
    return _mm512_sub_ps(a, b);
}

static inline f32x16 v_mul(f32x16 a, f32x16 b)
{
    return _mm512_mul_ps(a, b);
}

static inline f32x16 v_div(f32x16 a, f32x16 b)
{
    return _mm512_div_ps(a, b);
}

static inline f32x16 v_fma(f32x16 a, f32x16 b, f32x16 c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline f32x16 v_max(f32x16 a, f32x16 b)
{
    return _mm512_max_ps(a, b);
}

static inline f32x16 v_min(f32x16 a, f32x16 b)
{
    return _mm512_min_ps(a, b);
}

static inline f32x16 v_add_exponent(f32x16 x, f32x16 shifted)
{
    __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x), exponent));
}

static inline f32x16 v_sub_bits(f32x16 a, f32x16 b)
{
    return _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}

static inline f32x16 v_magnitude(f32x16 x)
{
    return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), x);
}

static inline f32x16 v_copy_sign(f32x16 x, f32x16 sign)
{
    return _mm512_or_ps(x, _mm512_and_ps(_mm512_set1_ps(-0.0f), sign));
}

static inline m16 v_unordered(f32x16 a, f32x16 b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q);
}

static inline m16 v_less(f32x16 a, f32x16 b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

static inline m16 v_bits(uint32_t bits)
{
    return (m16)bits;
}

static inline uint32_t v_bits_of(m16 m)
{
    return m;
}

// Compressing to memory itself takes many steps on some processors.
static inline void v_compress(float *p, uint32_t bits, f32x16 x)
{
    _mm512_storeu_ps(p, _mm512_maskz_compress_ps((__mmask16)bits, x));
}

static inline void v_compress_ids(int32_t *p, uint32_t bits, const int32_t *ids)
{
    __m512i all = _mm512_loadu_si512(ids);
    _mm512_storeu_si512(p, _mm512_maskz_compress_epi32((__mmask16)bits, all));
}

static inline void v_compress_count(int32_t *p, uint32_t bits, int32_t first)
{
    __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i all = _mm512_add_epi32(_mm512_set1_epi32(first), lane);
    _mm512_storeu_si512(p, _mm512_maskz_compress_epi32((__mmask16)bits, all));
}

static inline m16 v_none(void)
{
    return 0;
}

static inline m16 v_either(m16 a, m16 b)
{
    return a | b;
}

static inline bool v_any(m16 m)
{
    return m != 0;
}

static inline f32x16 v_select(m16 m, f32x16 yes, f32x16 no)
{
    return _mm512_mask_blend_ps(m, no, yes);
}

static inline float v_max_lane(f32x16 x)
{
    return _mm512_reduce_max_ps(x); // of a maximum, the order can't matter
}

static inline float v_first(f32x16 x)
{
    return _mm512_cvtss_f32(x);
}

static inline f32x16 v_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

static inline void v_store_f16(uint16_t *p, f32x16 x)
{
    __m256i half = _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_storeu_si256((__m256i *)(void *)p, half);
}

static inline f32x16 v_load_bf16(const uint16_t *p)
{
    const __m512i places = _mm512_set_epi16(15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8,
                                            8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    __m512i x = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xAAAAAAAA, places, x));
}

static inline void v_store_bf16(uint16_t *p, f32x16 x)
{
    __m512i bits = _mm512_castps_si512(x);
    const __m512i one = _mm512_set1_epi32(1),
                  upper =
                      _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
                                       31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    __mmask16 is_odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x10000));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF));
    rounded = _mm512_mask_add_epi32(rounded, is_odd, rounded, one);
    __m256i half = _mm512_castsi512_si256(_mm512_permutexvar_epi16(upper, rounded));
    _mm256_storeu_si256((__m256i *)(void *)p, half);
}

static inline f64x16 v_zero64(void)
{
    return (f64x16){_mm512_setzero_pd(), _mm512_setzero_pd()};
}

static inline f64x16 v_set64(double x)
{
    return (f64x16){_mm512_set1_pd(x), _mm512_set1_pd(x)};
}

static inline f64x16 v_load64(const double *p)
{
    return (f64x16){_mm512_loadu_pd(p), _mm512_loadu_pd(p + 8)};
}

static inline void v_store64(double *p, f64x16 x)
{
    _mm512_storeu_pd(p, x.low);
    _mm512_storeu_pd(p + 8, x.high);
}

static inline f64x16 v_widen(f32x16 x)
{
    return (f64x16){_mm512_cvtps_pd(_mm512_castps512_ps256(x)),
                    _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1))};
}

static inline f64x16 v_add64(f64x16 a, f64x16 b)
{
    return (f64x16){_mm512_add_pd(a.low, b.low), _mm512_add_pd(a.high, b.high)};
}

static inline f64x16 v_sub64(f64x16 a, f64x16 b)
{
    return (f64x16){_mm512_sub_pd(a.low, b.low), _mm512_sub_pd(a.high, b.high)};
}

static inline f64x16 v_mul64(f64x16 a, f64x16 b)
{
    return (f64x16){_mm512_mul_pd(a.low, b.low), _mm512_mul_pd(a.high, b.high)};
}

static inline f64x16 v_div64(f64x16 a, f64x16 b)
{
    return (f64x16){_mm512_div_pd(a.low, b.low), _mm512_div_pd(a.high, b.high)};
}

static inline f32x16 v_join(__m256 low, __m256 high)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}

static inline f32x16 v_narrow(f64x16 x)
{
    return v_join(_mm512_cvtpd_ps(x.low), _mm512_cvtpd_ps(x.high));
}

static inline f32x16 v_truncate(f64x16 x)
{
    enum { TO_ZERO = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC };
    return v_join(_mm512_cvt_roundpd_ps(x.low, TO_ZERO), _mm512_cvt_roundpd_ps(x.high, TO_ZERO));
}

static inline u64x16 v_round64(f64x16 x)
{
    return (u64x16){_mm512_cvtpd_epi64(x.low), _mm512_cvtpd_epi64(x.high)};
}

static inline u64x16 v_round(f32x16 x)
{
    return (u64x16){_mm512_cvtps_epi64(_mm512_castps512_ps256(x)),
                    _mm512_cvtps_epi64(_mm512_extractf32x8_ps(x, 1))};
}

static inline u64x16 v_zero_u64(void)
{
    return (u64x16){_mm512_setzero_si512(), _mm512_setzero_si512()};
}

static inline u64x16 v_add_u64(u64x16 a, u64x16 b)
{
    return (u64x16){_mm512_add_epi64(a.low, b.low), _mm512_add_epi64(a.high, b.high)};
}

static inline void v_store_u64(uint64_t *p, u64x16 x)
{
    _mm512_storeu_si512(p, x.low);
    _mm512_storeu_si512(p + 8, x.high);
}

static inline uint64_t v_sum_u64(u64x16 x)
{
    __m512i eight = _mm512_add_epi64(x.low, x.high);
    __m256i four =
        _mm256_add_epi64(_mm512_castsi512_si256(eight), _mm512_extracti64x4_epi64(eight, 1));
    __m128i two = _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
    return (uint64_t)_mm_extract_epi64(_mm_add_epi64(two, _mm_unpackhi_epi64(two, two)), 0);
}

static inline f64x16 v_add_products(f64x16 s, f32x16 a, f32x16 b)
{
    f64x16 x = v_widen(a), y = v_widen(b);
    return (f64x16){_mm512_fmadd_pd(x.low, y.low, s.low), _mm512_fmadd_pd(x.high, y.high, s.high)};
}

static inline double v_sum64(f64x16 x)
{
    __m512d eight = _mm512_add_pd(x.low, x.high);
    __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

// Reductions of sixteen vectors, by halves of two of them side by side: 3 instructions a vector
// instead of 9. Result: the vectors' halves, those of a in the lower one.
static inline f32x16 v_max_halves(f32x16 a, f32x16 b)
{
    return _mm512_max_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
}

// Quarters of four vectors.
static inline f32x16 v_max_quarters(const f32x16 *v)
{
    f32x16 ab = v_max_halves(v[0], v[4]), cd = v_max_halves(v[8], v[12]);
    return _mm512_max_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xDD));
}

static inline f32x16 v_max_of_each(const f32x16 v[16])
{
    f32x16 a = v_max_quarters(v), b = v_max_quarters(v + 1);
    f32x16 c = v_max_quarters(v + 2), d = v_max_quarters(v + 3);
    __m512d ab =
        _mm512_castps_pd(_mm512_max_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)));
    __m512d cd =
        _mm512_castps_pd(_mm512_max_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d)));
    return _mm512_max_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)),
                         _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
}

static inline __m512d v_sum_halves(f64x16 x, f64x16 y)
{
    __m512d a = _mm512_add_pd(x.low, x.high), b = _mm512_add_pd(y.low, y.high);
    return _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x44), _mm512_shuffle_f64x2(a, b, 0xEE));
}

static inline __m512d v_sum_quarters(const f64x16 *v)
{
    __m512d ab = v_sum_halves(v[0], v[2]), cd = v_sum_halves(v[4], v[6]);
    return _mm512_add_pd(_mm512_shuffle_f64x2(ab, cd, 0x88), _mm512_shuffle_f64x2(ab, cd, 0xDD));
}

static inline __m512d v_sum_of_eight(const f64x16 *v)
{
    __m512d a = v_sum_quarters(v), b = v_sum_quarters(v + 1);
    return _mm512_add_pd(_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
}

static inline f64x16 v_sum64_of_each(const f64x16 v[16])
{
    return (f64x16){v_sum_of_eight(v), v_sum_of_eight(v + 8)};
}

#endif
