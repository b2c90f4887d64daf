// SPDX-License-Identifier: MIT
// Rows of f16 and bf16, converted in registers. The same bits as with copies in f32.
#ifndef TEMPERA_KERNELS_ROWS_16BIT_TMPL_H
#define TEMPERA_KERNELS_ROWS_16BIT_TMPL_H

#include <string.h>

#include "base/half.h"
#include "kernels/pieces_tmpl.h"

ALWAYS_INLINE f32x16 load_16bit(const uint16_t *p, bool is_f16)
{
    return is_f16 ? v_load_f16(p) : v_load_bf16(p);
}

ALWAYS_INLINE void store_16bit(uint16_t *p, f32x16 x, bool is_f16)
{
    if (is_f16)
        v_store_f16(p, x);
    else
        v_store_bf16(p, x);
}

// A last group of n < 64 elements, padded with -inf.
static inline void copy_tail(const uint16_t *z, size_t n, bool is_f16, uint16_t buffer[GROUP])
{
    const uint16_t minus_infinity = is_f16 ? 0xFC00 : 0xFF80;
    for (size_t i = 0; i < GROUP; i++)
        buffer[i] = i < n ? z[i] : minus_infinity;
}

ALWAYS_INLINE void exp_sum_16bit_loop(const uint16_t *z, size_t n, bool is_f16,
                                      const struct tempera_exponent *x, float *e, double lanes[16],
                                      bool shifts)
{
    uint16_t buffer[GROUP];
    f64x16 sum = v_load64(lanes);
    for (size_t i = 0; i < n; i += GROUP) {
        const uint16_t *p = z + i;
        f32x16 group[4];
        if (n - i < GROUP) {
            copy_tail(p, n - i, is_f16, buffer);
            p = buffer;
        }
        for (size_t k = 0; k < 4; k++) {
            group[k] = exp16(load_16bit(p + 16 * k, is_f16), x, shifts);
            v_store(e + i + 16 * k, group[k]);
        }
        sum = add_group(sum, group[0], group[1], group[2], group[3]);
    }
    v_store64(lanes, sum);
}

ALWAYS_INLINE void exp_sum_16bit_of(const uint16_t *z, size_t n, bool is_f16,
                                    const struct tempera_exponent *x, float *e, double lanes[16])
{
    if (x->shift == 0)
        exp_sum_16bit_loop(z, n, is_f16, x, e, lanes, false);
    else
        exp_sum_16bit_loop(z, n, is_f16, x, e, lanes, true);
}

// 64 products e (high + low).
ALWAYS_INLINE void scale_group(const f32x16 e[4], bool is_f16, float high, float low, f32x16 least,
                               uint16_t *out)
{
    bool is_mixed = v_any(v_less(v_min(v_min(e[0], e[1]), v_min(e[2], e[3])), least));
    for (size_t k = 0; k < 4; k++) {
        f32x16 p = is_mixed ? scale_mixed16(e[k], high, low, least)
                            : v_fma(e[k], v_set(high), v_mul(e[k], v_set(low)));
        store_16bit(out + 16 * k, p, is_f16);
    }
}

ALWAYS_INLINE void scale_16bit_of(const float *e, size_t n, bool is_f16, float high, float low,
                                  uint16_t *out)
{
    f32x16 least = least_normal(high);
    for (size_t i = 0; i < n; i += GROUP) {
        uint16_t buffer[GROUP];
        bool is_full = n - i >= GROUP;
        const f32x16 group[4] = {v_load(e + i), v_load(e + i + 16), v_load(e + i + 32),
                                 v_load(e + i + 48)};
        scale_group(group, is_f16, high, low, least, is_full ? out + i : buffer);
        if (!is_full)
            memcpy(out + i, buffer, (n - i) * sizeof *out);
    }
}

// 64 results. out may be z.
ALWAYS_INLINE void softmax_group(const uint16_t *z, bool is_f16, const struct tempera_exponent *x,
                                 float high, float low, f32x16 least, uint16_t *out, bool shifts)
{
    f32x16 e[4];
    for (size_t k = 0; k < 4; k++)
        e[k] = exp16(load_16bit(z + 16 * k, is_f16), x, shifts);
    scale_group(e, is_f16, high, low, least, out);
}

ALWAYS_INLINE void softmax_16bit_loop(const uint16_t *z, size_t n, bool is_f16,
                                      const struct tempera_exponent *x, float high, float low,
                                      uint16_t *out, bool shifts)
{
    uint16_t buffer[GROUP];
    f32x16 least = least_normal(high);
    size_t i = 0;
    for (; i + GROUP <= n; i += GROUP)
        softmax_group(z + i, is_f16, x, high, low, least, out + i, shifts);
    if (i < n) {
        copy_tail(z + i, n - i, is_f16, buffer);
        softmax_group(buffer, is_f16, x, high, low, least, buffer, shifts);
        memcpy(out + i, buffer, (n - i) * sizeof *out);
    }
}

ALWAYS_INLINE void softmax_16bit_of(const uint16_t *z, size_t n, bool is_f16,
                                    const struct tempera_exponent *x, float high, float low,
                                    uint16_t *out)
{
    if (x->shift == 0)
        softmax_16bit_loop(z, n, is_f16, x, high, low, out, false);
    else
        softmax_16bit_loop(z, n, is_f16, x, high, low, out, true);
}

ALWAYS_INLINE void log_map_16bit_of(const uint16_t *z, size_t n, bool is_f16, float max,
                                    const struct tempera_temperature_params *params, double ln_S,
                                    uint16_t *out)
{
    const float c[2] = {(float)ln_S, (float)(ln_S - (double)(float)ln_S)};
    const f32x16 m = v_set(max);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        store_16bit(out + i, log16(load_16bit(z + i, is_f16), m, params->inverse_T, c), is_f16);
    if (i < n) {
        uint16_t buffer[GROUP];
        copy_tail(z + i, n - i, is_f16, buffer);
        store_16bit(buffer, log16(load_16bit(buffer, is_f16), m, params->inverse_T, c), is_f16);
        memcpy(out + i, buffer, (n - i) * sizeof *out);
    }
}

// ------------------------------------------------------------------------------------------------
// Members of the table

// The bits, read as integers, are in the scores' order once those of negative scores are inverted;
// NaNs lie beyond the infinities. So the maximum needs no conversion.
static float max_16bit(const uint16_t *z, size_t n, enum tempera_dtype dtype, bool *has_nan)
{
    const bool is_f16 = dtype == TEMPERA_F16;
    const int16_t infinity = is_f16 ? 0x7C00 : 0x7F80;
    int16_t most = INT16_MIN, least = INT16_MAX;
    for (size_t i = 0; i < n; i++) {
        int16_t x = (int16_t)z[i], key = (int16_t)(x < 0 ? x ^ 0x7FFF : x);
        most = key > most ? key : most;
        least = key < least ? key : least;
    }
    *has_nan = most > infinity || least < ~infinity;
    uint16_t bits = (uint16_t)(most < 0 ? most ^ 0x7FFF : most);
    return (is_f16 ? tempera_f16_to_f32(bits) : tempera_bf16_to_f32(bits)) + 0.0f; // no -0
}

static void exp_sum_16bit(const uint16_t *z, size_t n, enum tempera_dtype dtype,
                          const struct tempera_exponent *x, float *e, double lanes[16])
{
    if (dtype == TEMPERA_F16)
        exp_sum_16bit_of(z, n, true, x, e, lanes);
    else
        exp_sum_16bit_of(z, n, false, x, e, lanes);
}

static void scale_16bit(const float *e, size_t n, enum tempera_dtype dtype, float high, float low,
                        uint16_t *out)
{
    if (dtype == TEMPERA_F16)
        scale_16bit_of(e, n, true, high, low, out);
    else
        scale_16bit_of(e, n, false, high, low, out);
}

static void softmax_16bit(const uint16_t *z, size_t n, enum tempera_dtype dtype,
                          const struct tempera_exponent *x, float high, float low, uint16_t *out)
{
    if (dtype == TEMPERA_F16)
        softmax_16bit_of(z, n, true, x, high, low, out);
    else
        softmax_16bit_of(z, n, false, x, high, low, out);
}

static void log_map_16bit(const uint16_t *z, size_t n, enum tempera_dtype dtype, float max,
                          const struct tempera_temperature_params *params, double ln_S,
                          uint16_t *out)
{
    if (dtype == TEMPERA_F16)
        log_map_16bit_of(z, n, true, max, params, ln_S, out);
    else
        log_map_16bit_of(z, n, false, max, params, ln_S, out);
}

#endif
