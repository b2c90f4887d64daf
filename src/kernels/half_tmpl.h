// SPDX-License-Identifier: MIT
// Long rows of f16 and bf16, whose exponentials have no place to lie as floats: they are taken
// twice, once for the sum and once on the way to the result. The same bits as with copies in f32.
#ifndef TEMPERA_KERNELS_HALF_TMPL_H
#define TEMPERA_KERNELS_HALF_TMPL_H

ALWAYS_INLINE f32x16 load_half(const uint16_t *p, bool is_f16)
{
    return is_f16 ? v_load_f16(p) : v_load_bf16(p);
}

ALWAYS_INLINE void store_half(uint16_t *p, f32x16 x, bool is_f16)
{
    if (is_f16)
        v_store_f16(p, x);
    else
        v_store_bf16(p, x);
}

// The last group of a row, with -inf for what is missing.
static inline void copy_tail(const uint16_t *z, size_t n, bool is_f16, uint16_t whole[GROUP])
{
    const uint16_t minus_infinity = is_f16 ? 0xFC00 : 0xFF80;
    for (size_t i = 0; i < GROUP; i++)
        whole[i] = i < n ? z[i] : minus_infinity;
}

ALWAYS_INLINE float max_half_of(const uint16_t *z, size_t n, bool is_f16, bool *has_nan)
{
    uint16_t whole[GROUP];
    f32x16 max[2] = {v_set(-INFINITY), v_set(-INFINITY)};
    m16 nan = v_none();
    for (size_t i = 0; i < n; i += GROUP) {
        const uint16_t *p = z + i;
        if (n - i < GROUP) {
            copy_tail(p, n - i, is_f16, whole);
            p = whole;
        }
        f32x16 a = load_half(p, is_f16), b = load_half(p + 16, is_f16);
        f32x16 c = load_half(p + 32, is_f16), d = load_half(p + 48, is_f16);
        nan = v_either(nan, v_either(v_unordered(a, b), v_unordered(c, d)));
        max[0] = v_max(max[0], v_max(a, b));
        max[1] = v_max(max[1], v_max(c, d));
    }
    *has_nan = v_any(nan);
    return v_max_lane(v_max(max[0], max[1])) + 0.0f; // -0 becomes +0
}

ALWAYS_INLINE void exp_sum_half_by(const uint16_t *z, size_t n, bool is_f16,
                                   const struct tempera_exponent *x, double lanes[16], bool shifts)
{
    uint16_t whole[GROUP];
    f64x16 sum = v_load64(lanes);
    for (size_t i = 0; i < n; i += GROUP) {
        const uint16_t *p = z + i;
        if (n - i < GROUP) {
            copy_tail(p, n - i, is_f16, whole);
            p = whole;
        }
        f32x16 e[4];
        for (size_t k = 0; k < 4; k++)
            e[k] = exp16(load_half(p + 16 * k, is_f16), x, shifts);
        sum = add_group(sum, e[0], e[1], e[2], e[3]);
    }
    v_store64(lanes, sum);
}

ALWAYS_INLINE void exp_sum_half_of(const uint16_t *z, size_t n, bool is_f16,
                                   const struct tempera_exponent *x, double lanes[16])
{
    if (x->shift == 0)
        exp_sum_half_by(z, n, is_f16, x, lanes, false);
    else
        exp_sum_half_by(z, n, is_f16, x, lanes, true);
}

// 64 results. out may be z.
ALWAYS_INLINE void softmax_group(const uint16_t *z, bool is_f16, const struct tempera_exponent *x,
                                 float high, float low, f32x16 least, uint16_t *out, bool shifts)
{
    f32x16 e[4];
    for (size_t k = 0; k < 4; k++)
        e[k] = exp16(load_half(z + 16 * k, is_f16), x, shifts);
    bool is_mixed = v_any(v_less(v_min(v_min(e[0], e[1]), v_min(e[2], e[3])), least));
    for (size_t k = 0; k < 4; k++) {
        f32x16 p = is_mixed ? scale_mixed16(e[k], high, low, least)
                            : v_fma(e[k], v_set(high), v_mul(e[k], v_set(low)));
        store_half(out + 16 * k, p, is_f16);
    }
}

ALWAYS_INLINE void softmax_half_by(const uint16_t *z, size_t n, bool is_f16,
                                   const struct tempera_exponent *x, float high, float low,
                                   uint16_t *out, bool shifts)
{
    uint16_t whole[GROUP];
    f32x16 least = least_plain(high);
    size_t i = 0;
    for (; i + GROUP <= n; i += GROUP)
        softmax_group(z + i, is_f16, x, high, low, least, out + i, shifts);
    if (i < n) {
        copy_tail(z + i, n - i, is_f16, whole);
        softmax_group(whole, is_f16, x, high, low, least, whole, shifts);
        memcpy(out + i, whole, (n - i) * sizeof *out);
    }
}

ALWAYS_INLINE void softmax_half_of(const uint16_t *z, size_t n, bool is_f16,
                                   const struct tempera_exponent *x, float high, float low,
                                   uint16_t *out)
{
    if (x->shift == 0)
        softmax_half_by(z, n, is_f16, x, high, low, out, false);
    else
        softmax_half_by(z, n, is_f16, x, high, low, out, true);
}

// ------------------------------------------------------------------------------------------------
// As the table has them

static float max_half(const uint16_t *z, size_t n, enum tempera_dtype dtype, bool *has_nan)
{
    return dtype == TEMPERA_F16 ? max_half_of(z, n, true, has_nan)
                                : max_half_of(z, n, false, has_nan);
}

static void exp_sum_half(const uint16_t *z, size_t n, enum tempera_dtype dtype,
                         const struct tempera_exponent *x, double lanes[16])
{
    if (dtype == TEMPERA_F16)
        exp_sum_half_of(z, n, true, x, lanes);
    else
        exp_sum_half_of(z, n, false, x, lanes);
}

static void softmax_half(const uint16_t *z, size_t n, enum tempera_dtype dtype,
                         const struct tempera_exponent *x, float high, float low, uint16_t *out)
{
    if (dtype == TEMPERA_F16)
        softmax_half_of(z, n, true, x, high, low, out);
    else
        softmax_half_of(z, n, false, x, high, low, out);
}

#endif
