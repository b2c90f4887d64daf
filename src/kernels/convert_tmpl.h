// SPDX-License-Identifier: MIT
// From any type to f32, with masks and the other options that precede a softmax; and back from f32.
#ifndef TEMPERA_KERNELS_CONVERT_TMPL_H
#define TEMPERA_KERNELS_CONVERT_TMPL_H

#include <math.h>
#include <string.h>

#include "kernels/exp_tmpl.h"

// Elements [i, i + 16) as f32; only the first n of them are read, the others are 0.
static inline f32x16 load_any(const void *p, enum tempera_dtype dtype, size_t i, size_t n)
{
    if (dtype == TEMPERA_F32) {
        const float *floats = (const float *)p + i;
        return n < 16 ? v_load_part(floats, n, 0) : v_load(floats);
    }
    const uint16_t *halves = (const uint16_t *)p + i;
    uint16_t buffer[16] = {0};
    if (n < 16)
        halves = memcpy(buffer, halves, n * sizeof *halves);
    return dtype == TEMPERA_F16 ? v_load_f16(halves) : v_load_bf16(halves);
}

// c tanh(x / c). tanh y = s / (s + 2) with s = exp(2 y) - 1 = 2^k (2^f - 1) + (2^k - 1), which has
// no cancellation, since the polynomial gives 2^f - 1 before 1 is added. From y = 10 on, tanh is 1.
static inline f32x16 softcap16(f32x16 x, float cap)
{
    const float L_high = 0x1.715476p+1f, L_low = 0x1.4ae0bep-25f; // 2 log2(e)
    f32x16 y = v_div(x, v_set(cap)), a = v_min(v_set(10), v_magnitude(y)), magic = v_set(0x1.8p23f);
    f32x16 t = v_fma(a, v_set(L_high), magic);
    f32x16 f = v_fma(a, v_set(L_low), v_fma(a, v_set(L_high), v_sub(magic, t)));
    f32x16 rest = two_to_minus_one(f, 0x1.62e43p-1f); // ln 2
    f32x16 power = v_add_exponent(v_set(1), t);
    f32x16 s = v_fma(power, rest, v_sub(power, v_set(1)));
    f32x16 tanh = v_div(s, v_add(s, v_set(2)));
    return v_mul(v_set(cap), v_copy_sign(tanh, y));
}

// Scale, softcap, additive mask and mask, in this order.
static inline f32x16 prepare16(const struct tempera_prepare *how, f32x16 x, size_t at, size_t left)
{
    if (how->scale != 1)
        x = v_mul(x, v_set(how->scale));
    if (how->softcap != 0)
        x = softcap16(x, how->softcap);
    if (how->add != NULL)
        x = v_add(x, load_any(how->add, how->add_dtype, at, left));
    if (how->mask != NULL)
        x = v_select(v_bits(how->mask[at / 32] >> (at % 32) & 0xFFFF), x, v_set(-INFINITY));
    return x;
}

// Compiled once for each 16-bit type that is only converted, and once for everything else.
static inline void prepare_loop(const struct tempera_prepare *how, enum tempera_dtype dtype,
                                bool converts_only, const void *z, size_t first, size_t n, float *x)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        f32x16 v = load_any(z, dtype, first + i, 16);
        v_store(x + i, converts_only ? v : prepare16(how, v, first + i, 16));
    }
    if (i < n) {
        f32x16 v = load_any(z, dtype, first + i, n - i);
        v_store_part(x + i, n - i, converts_only ? v : prepare16(how, v, first + i, n - i));
    }
}

static void prepare(const struct tempera_prepare *how, const void *z, size_t first, size_t n,
                    float *x)
{
    bool converts_only =
        how->mask == NULL && how->add == NULL && how->scale == 1 && how->softcap == 0;
    if (how->dtype == TEMPERA_F16 && converts_only)
        prepare_loop(how, TEMPERA_F16, true, z, first, n, x);
    else if (how->dtype == TEMPERA_BF16 && converts_only)
        prepare_loop(how, TEMPERA_BF16, true, z, first, n, x);
    else
        prepare_loop(how, how->dtype, false, z, first, n, x);
}

static inline void narrow_loop(const float *x, size_t n, bool is_f16, uint16_t *out)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        if (is_f16)
            v_store_f16(out + i, v_load(x + i));
        else
            v_store_bf16(out + i, v_load(x + i));
    }
    if (i < n) {
        uint16_t buffer[16];
        f32x16 v = v_load_part(x + i, n - i, 0);
        if (is_f16)
            v_store_f16(buffer, v);
        else
            v_store_bf16(buffer, v);
        memcpy(out + i, buffer, (n - i) * sizeof *buffer);
    }
}

static void narrow(const float *x, size_t n, enum tempera_dtype dtype, void *out)
{
    if (dtype == TEMPERA_F16)
        narrow_loop(x, n, true, out);
    else if (dtype == TEMPERA_BF16)
        narrow_loop(x, n, false, out);
    else
        memmove(out, x, n * sizeof *x);
}

#endif
