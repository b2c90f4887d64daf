// SPDX-License-Identifier: MIT
// The sampler's masses: exponentials rounded to integers, whose sums are exact in any order. The
// mass of a score of -inf is 0.
#ifndef TEMPERA_KERNELS_MASSES_TMPL_H
#define TEMPERA_KERNELS_MASSES_TMPL_H

#include <math.h>
#include <string.h>

#include "kernels/pieces_tmpl.h"

static void masses(const float *z, size_t n, const struct tempera_exponent *how, uint64_t *w)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        v_store_u64(w + i, v_round(exp16(v_load(z + i), how, true)));
    if (i < n) {
        uint64_t last[16];
        f32x16 x = load_lanes(z, n, i, -INFINITY);
        v_store_u64(last, v_round(exp16(x, how, true)));
        memcpy(w + i, last, (n - i) * sizeof *w);
    }
}

ALWAYS_INLINE uint64_t mass_sum_loop(const float *z, size_t n, const struct tempera_exponent *how,
                                     bool shifts)
{
    u64x16 even = v_zero_u64(), odd = even;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        f32x16 a = exp16(v_load(z + i), how, shifts), b = exp16(v_load(z + i + 16), how, shifts);
        even = v_add_u64(even, v_round(a));
        odd = v_add_u64(odd, v_round(b));
    }
    for (; i < n; i += 16)
        even = v_add_u64(even, v_round(exp16(load_lanes(z, n, i, -INFINITY), how, shifts)));
    return v_sum_u64(v_add_u64(even, odd));
}

static uint64_t mass_sum(const float *z, size_t n, const struct tempera_exponent *how)
{
    return how->shift == 0 ? mass_sum_loop(z, n, how, false) : mass_sum_loop(z, n, how, true);
}

ALWAYS_INLINE uint64_t mass_sum_gather_loop(const float *z, size_t n,
                                            const struct tempera_exponent *how, int32_t first,
                                            float floor, float *out, int32_t *out_ids,
                                            size_t *n_kept, bool shifts)
{
    const f32x16 least = v_set(floor);
    u64x16 sum = v_zero_u64();
    size_t kept = 0;
    for (size_t i = 0; i < n; i += 16) {
        f32x16 x = load_lanes(z, n, i, -INFINITY);
        sum = v_add_u64(sum, v_round(exp16(x, how, shifts)));
        uint32_t bits = v_bits_of(v_less(x, least)) ^ 0xFFFF;
        v_compress_count(out_ids + kept, bits, first + (int32_t)i);
        v_compress(out + kept, bits, x);
        kept += (size_t)__builtin_popcount(bits);
    }
    *n_kept = kept;
    return v_sum_u64(sum);
}

static uint64_t mass_sum_gather(const float *z, size_t n, const struct tempera_exponent *how,
                                int32_t first, float floor, float *out, int32_t *out_ids,
                                size_t *n_kept)
{
    return how->shift == 0
               ? mass_sum_gather_loop(z, n, how, first, floor, out, out_ids, n_kept, false)
               : mass_sum_gather_loop(z, n, how, first, floor, out, out_ids, n_kept, true);
}

ALWAYS_INLINE void mass_gaps_loop(const float *z, size_t n, const struct tempera_exponent *how,
                                  float max, float inverse_T, uint64_t sums[2], bool shifts)
{
    const f32x16 m = v_set(max), factor = v_set(inverse_T), most = v_set(1024);
    u64x16 mass = v_zero_u64(), gap = mass;
    for (size_t i = 0; i < n; i += 16) {
        f32x16 score = load_lanes(z, n, i, -INFINITY), e = exp16(score, how, shifts);
        f32x16 x = v_min(v_mul(v_sub(m, score), factor), most);
        mass = v_add_u64(mass, v_round(e));
        gap = v_add_u64(gap, v_round(v_mul(e, x)));
    }
    sums[0] = v_sum_u64(mass);
    sums[1] = v_sum_u64(gap);
}

static void mass_gaps(const float *z, size_t n, const struct tempera_exponent *how, float max,
                      float inverse_T, uint64_t sums[2])
{
    if (how->shift == 0)
        mass_gaps_loop(z, n, how, max, inverse_T, sums, false);
    else
        mass_gaps_loop(z, n, how, max, inverse_T, sums, true);
}

// Denormal results take hundreds of cycles. So a small e is raised to one whose product with the
// unit and whose square are normal; the square still rounds to 0.
static uint64_t mass_squares(const float *z, size_t n, const struct tempera_exponent *how)
{
    const f32x16 unit = v_set(0x1p-26f), least = v_set(0x1p-34f);
    u64x16 sum = v_zero_u64();
    for (size_t i = 0; i < n; i += 16) {
        f32x16 e = v_mul(v_max(exp16(load_lanes(z, n, i, -INFINITY), how, true), least), unit);
        sum = v_add_u64(sum, v_round(v_mul(e, e)));
    }
    return v_sum_u64(sum);
}

#endif
