// SPDX-License-Identifier: MIT
// Pieces of a row: maximum, sum of exponentials, and the final maps of softmax and log-softmax.
// A last group of less than 64 is padded with -inf, and an element's lane is its index modulo 16:
// so a row's bits do not depend on how it is cut.
#ifndef TEMPERA_KERNELS_PIECES_TMPL_H
#define TEMPERA_KERNELS_PIECES_TMPL_H

#include <float.h>
#include <math.h>

#include "kernels/exp_tmpl.h"

enum { GROUP = 64 }; // elements that are summed in f32, two by two, before f64

// How many of the elements [at, at + 16) are below n.
static inline size_t lanes_left(size_t n, size_t at)
{
    return at >= n ? 0 : n - at < 16 ? n - at : 16;
}

static inline f32x16 load_lanes(const float *p, size_t n, size_t at, float fill)
{
    size_t left = lanes_left(n, at);
    return left == 16 ? v_load(p + at) : left == 0 ? v_set(fill) : v_load_part(p + at, left, fill);
}

static inline void store_lanes(float *p, size_t n, size_t at, f32x16 x)
{
    size_t left = lanes_left(n, at);
    if (left == 16)
        v_store(p + at, x);
    else if (left > 0)
        v_store_part(p + at, left, x);
}

// The maximum of each lane; adds the lanes that have a NaN to *nan.
static inline f32x16 max_lanes_of(const float *z, size_t n, m16 *nan)
{
    f32x16 a = v_set(-INFINITY), b = a, c = a, d = a;
    size_t i = 0;
    for (; i + GROUP <= n; i += GROUP) {
        f32x16 x = v_load(z + i), y = v_load(z + i + 16);
        f32x16 v = v_load(z + i + 32), w = v_load(z + i + 48);
        *nan = v_either(*nan, v_either(v_unordered(x, y), v_unordered(v, w)));
        a = v_max(a, x);
        b = v_max(b, y);
        c = v_max(c, v);
        d = v_max(d, w);
    }
    for (; i < n; i += 16) {
        f32x16 x = load_lanes(z, n, i, -INFINITY);
        *nan = v_either(*nan, v_unordered(x, x));
        a = v_max(a, x);
    }
    return v_max(v_max(a, b), v_max(c, d));
}

static inline float max_of(const float *z, size_t n, bool *has_nan)
{
    m16 nan = v_none();
    f32x16 max = max_lanes_of(z, n, &nan);
    *has_nan = v_any(nan);
    return v_max_lane(max) + 0.0f; // -0 becomes +0
}

// Pairs of vectors are added in f32, their sums in f64. So a sum of 262,144 terms is as exact as
// one of two. Chains of three or more in f32 would be cheaper, but three equal terms have no exact
// sum in f32, and k equal scores must give the correctly rounded 1/k.
static inline f64x16 add_group(f64x16 sum, f32x16 a, f32x16 b, f32x16 c, f32x16 d)
{
    return v_add64(sum, v_add64(v_widen(v_add(a, b)), v_widen(v_add(c, d))));
}

// Memory to prefetch while a row's exponentials are computed from a cache, when the memory bus is
// otherwise idle: with element i, the nbytes at next + i nbytes; none if next is NULL.
struct prefetch {
    const void *next;
    size_t nbytes;
};

// Into the second-level cache: the first one holds the current row, and the second one can have
// more lines in flight. The address is computed as an integer, as it may lie beyond the array: a
// prefetch never faults.
static inline void prefetch_group(struct prefetch p, size_t i)
{
    for (size_t k = i; k < i + GROUP; k += 16)
        __builtin_prefetch((const void *)((uintptr_t)p.next + k * p.nbytes), 0, 2);
}

// Adds e(z_i) to sum, and stores it unless e is NULL.
ALWAYS_INLINE f64x16 exp_sum_loop(const float *z, size_t n, const struct tempera_exponent *x,
                                  float *e, f64x16 sum, struct prefetch prefetch, bool shifts)
{
    size_t i = 0;
    for (; i + GROUP <= n; i += GROUP) {
        if (prefetch.next != NULL)
            prefetch_group(prefetch, i);
        f32x16 a = exp16(v_load(z + i), x, shifts), b = exp16(v_load(z + i + 16), x, shifts);
        f32x16 c = exp16(v_load(z + i + 32), x, shifts), d = exp16(v_load(z + i + 48), x, shifts);
        if (e != NULL) {
            v_store(e + i, a);
            v_store(e + i + 16, b);
            v_store(e + i + 32, c);
            v_store(e + i + 48, d);
        }
        sum = add_group(sum, a, b, c, d);
    }
    if (i < n) {
        f32x16 last[4];
        for (size_t k = 0; k < 4; k++) {
            last[k] = exp16(load_lanes(z, n, i + 16 * k, -INFINITY), x, shifts);
            if (e != NULL)
                store_lanes(e, n, i + 16 * k, last[k]);
        }
        sum = add_group(sum, last[0], last[1], last[2], last[3]);
    }
    return sum;
}

static inline f64x16 exp_sum_of(const float *z, size_t n, const struct tempera_exponent *x,
                                float *e, f64x16 sum, struct prefetch prefetch)
{
    return x->shift == 0 ? exp_sum_loop(z, n, x, e, sum, prefetch, false)
                         : exp_sum_loop(z, n, x, e, sum, prefetch, true);
}

// e (high + low) where that may be a denormal. A multiplication with a denormal result takes
// hundreds of cycles on many processors, and masked rows are full of them. So q = 2^96 e (high +
// low) is computed, which is normal. Where q stands for a denormal, adding `grid` rounds it to a
// multiple of the smallest denormal; that multiple's number is the denormal's representation.
static inline f32x16 scale_small16(f32x16 e, float high, float low)
{
    f32x16 h = v_set(0x1p96f * (high < 0 ? -high : high));
    f32x16 l = v_set(0x1p96f * (low < 0 ? -low : low));
    f32x16 q = v_fma(e, h, v_mul(e, l)), grid = v_set(0x1p-30f);
    f32x16 small = v_sub_bits(v_add(q, grid), grid);
    f32x16 normal = v_sub_bits(q, v_set(0x1p-31f)); // whose representation is 96 << 23
    return v_copy_sign(v_select(v_less(q, v_set(0x1p-30f)), small, normal), v_set(high));
}

// From this e on, even e low is normal, and both ways give the same bits.
static inline f32x16 least_normal(float high)
{
    return v_set(0x1p-70f / (high < 0 ? -high : high));
}

// For vectors in which some e are below least. Both ways are computed and one is selected in each
// lane. Each clamps the lanes of the other first, so that none overflows or meets a denormal.
static inline f32x16 scale_mixed16(f32x16 e, float high, float low, f32x16 least)
{
    f32x16 large = v_max(e, least);
    f32x16 normal = v_fma(large, v_set(high), v_mul(large, v_set(low)));
    return v_select(v_less(e, least), scale_small16(v_min(e, least), high, low), normal);
}

static inline f32x16 scale16(f32x16 e, float high, float low, f32x16 least)
{
    if (v_any(v_less(e, least)))
        return scale_mixed16(e, high, low, least);
    return v_fma(e, v_set(high), v_mul(e, v_set(low)));
}

// stream: with a non-temporal store, see struct tempera_rows.
ALWAYS_INLINE void store_or_stream(float *p, f32x16 x, bool stream)
{
    if (stream)
        v_stream(p, x);
    else
        v_store(p, x);
}

ALWAYS_INLINE void scale_loop(const float *e, size_t n, float high, float low, float *out,
                              bool stream)
{
    f32x16 h = v_set(high), l = v_set(low), least = least_normal(high);
    size_t i = 0;
    for (; i + GROUP <= n; i += GROUP) {
        f32x16 a = v_load(e + i), b = v_load(e + i + 16);
        f32x16 c = v_load(e + i + 32), d = v_load(e + i + 48);
        if (v_any(v_less(v_min(v_min(a, b), v_min(c, d)), least))) {
            store_or_stream(out + i, scale_mixed16(a, high, low, least), stream);
            store_or_stream(out + i + 16, scale_mixed16(b, high, low, least), stream);
            store_or_stream(out + i + 32, scale_mixed16(c, high, low, least), stream);
            store_or_stream(out + i + 48, scale_mixed16(d, high, low, least), stream);
        } else {
            store_or_stream(out + i, v_fma(a, h, v_mul(a, l)), stream);
            store_or_stream(out + i + 16, v_fma(b, h, v_mul(b, l)), stream);
            store_or_stream(out + i + 32, v_fma(c, h, v_mul(c, l)), stream);
            store_or_stream(out + i + 48, v_fma(d, h, v_mul(d, l)), stream);
        }
    }
    for (; i < n; i += 16)
        store_lanes(out, n, i, scale16(load_lanes(e, n, i, 0x1p51f), high, low, least));
}

// log p = (d a_high - c_high) + (d a_low - c_low) with d = x - max; a = 1 / T and c = ln S as pairs
// of floats. d is bounded in the second product, since -inf times an a_low of 0 would be NaN.
static inline f32x16 log16(f32x16 x, f32x16 max, const float a[2], const float c[2])
{
    f32x16 d = v_sub(x, max), bounded = v_max(v_set(-FLT_MAX), d);
    f32x16 high = v_fma(d, v_set(a[0]), v_set(-c[0]));
    f32x16 low = v_fma(bounded, v_set(a[1]), v_set(-c[1]));
    return v_min(v_set(0), v_add(high, low));
}

ALWAYS_INLINE void log_map_loop(const float *z, size_t n, float max,
                                const struct tempera_temperature_params *params, double ln_S,
                                float *out, bool stream)
{
    const float *a = params->inverse_T;
    const float c[2] = {(float)ln_S, (float)(ln_S - (double)(float)ln_S)};
    f32x16 m = v_set(max);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        store_or_stream(out + i, log16(v_load(z + i), m, a, c), stream);
    if (i < n)
        v_store_part(out + i, n - i, log16(v_load_part(z + i, n - i, 0), m, a, c));
}

// ------------------------------------------------------------------------------------------------
// Members of the table

static double exp_one(float z, const struct tempera_exponent *x)
{
    return (double)v_first(exp16(v_set(z), x, true));
}

static float max_piece(const float *z, size_t n, bool *has_nan)
{
    return max_of(z, n, has_nan);
}

static void exp_sum_prefetch(const float *z, size_t n, const struct tempera_exponent *x, float *e,
                             const void *next, size_t nbytes, double lanes[16])
{
    const struct prefetch prefetch = {next, nbytes};
    v_store64(lanes, exp_sum_of(z, n, x, e, v_load64(lanes), prefetch));
}

static void exp_sum_piece(const float *z, size_t n, const struct tempera_exponent *x, float *e,
                          double lanes[16])
{
    const struct prefetch none = {NULL, 0};
    v_store64(lanes, exp_sum_of(z, n, x, e, v_load64(lanes), none));
}

static void scale_piece(const float *e, size_t n, float high, float low, float *out)
{
    scale_loop(e, n, high, low, out, false);
}

static void log_map_piece(const float *z, size_t n, float max,
                          const struct tempera_temperature_params *params, double ln_S, float *out)
{
    log_map_loop(z, n, max, params, ln_S, out, false);
}

#endif
