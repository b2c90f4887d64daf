// SPDX-License-Identifier: MIT
// The sampler's scans of a row: maxima of blocks, selection by thresholds, sums of deviations. No
// exponentials.
#ifndef TEMPERA_KERNELS_SCAN_TMPL_H
#define TEMPERA_KERNELS_SCAN_TMPL_H

#include <float.h>
#include <math.h>

#include "kernels/pieces_tmpl.h"

// Finds scores that are not finite by adding up 0 times each score, which is NaN for them.
static float block_maxima(const float *z, size_t n, float *maxima, bool *is_finite)
{
    const f32x16 zero = v_set(0);
    f32x16 max = v_set(-INFINITY), zeros[4] = {zero, zero, zero, zero};
    size_t i = 0, block = 0;
    for (; i + TEMPERA_MAXIMA_BLOCK <= n; i += TEMPERA_MAXIMA_BLOCK) {
        f32x16 largest[4];
        for (size_t k = 0; k < 4; k++) {
            f32x16 a = v_load(z + i + 16 * k), b = v_load(z + i + 64 + 16 * k);
            zeros[k] = v_fma(a, zero, v_fma(b, zero, zeros[k]));
            largest[k] = v_max(a, b);
        }
        f32x16 all = v_max(v_max(largest[0], largest[1]), v_max(largest[2], largest[3]));
        max = v_max(max, all);
        maxima[block++] = v_max_lane(all);
    }
    if (i < n) {
        f32x16 all = v_set(-INFINITY);
        for (; i < n; i += 16) {
            f32x16 x = load_lanes(z, n, i, z[n - 1]);
            zeros[0] = v_fma(x, zero, zeros[0]);
            all = v_max(all, x);
        }
        max = v_max(max, all);
        maxima[block] = v_max_lane(all);
    }
    f32x16 sum = v_add(v_add(zeros[0], zeros[1]), v_add(zeros[2], zeros[3]));
    *is_finite = !v_any(v_unordered(sum, sum));
    return v_max_lane(max) + 0.0f; // -0 becomes +0
}

// Appends the lanes of x that have a bit of 1, and their ids. Returns how many.
ALWAYS_INLINE size_t append_lanes(f32x16 x, uint32_t bits, const int32_t *ids, size_t i,
                                  int32_t first, float *out, int32_t *out_ids)
{
    if (ids != NULL)
        v_compress_ids(out_ids, bits, ids + i);
    else if (out_ids != NULL)
        v_compress_count(out_ids, bits, first + (int32_t)i);
    v_compress(out, bits, x);
    return (size_t)__builtin_popcount(bits);
}

// Four vectors a branch: whether a single one has a score to keep is often hard to predict.
static size_t gather(const float *z, const int32_t *ids, size_t n, int32_t first, float floor,
                     float ceiling, float *out, int32_t *out_ids)
{
    const f32x16 least = v_set(floor), most = v_set(ceiling);
    size_t kept = 0, i = 0;
    for (; i + 64 <= n; i += 64) {
        f32x16 x[4];
        uint32_t bits[4];
        for (size_t k = 0; k < 4; k++) {
            x[k] = v_load(z + i + 16 * k);
            bits[k] = v_bits_of(v_either(v_less(x[k], least), v_less(most, x[k]))) ^ 0xFFFF;
        }
        if ((bits[0] | bits[1] | bits[2] | bits[3]) == 0)
            continue;
        for (size_t k = 0; k < 4; k++)
            kept += append_lanes(x[k], bits[k], ids, i + 16 * k, first, out + kept,
                                 out_ids == NULL ? NULL : out_ids + kept);
    }
    for (; i < n; i += 16) {
        f32x16 x = load_lanes(z, n, i, 0);
        uint32_t bits = v_bits_of(v_either(v_less(x, least), v_less(most, x))) ^ 0xFFFF;
        if (n - i < 16)
            bits &= ((uint32_t)1 << (n - i)) - 1;
        kept += append_lanes(x, bits, ids, i, first, out + kept,
                             out_ids == NULL ? NULL : out_ids + kept);
    }
    return kept;
}

static void deviation(const float *z, size_t n, float max, double sums[16], double squares[16])
{
    const f32x16 lowest = v_set(-FLT_MAX), m = v_set(max);
    const f64x16 m64 = v_set64((double)max);
    f64x16 sum = v_load64(sums), square = v_load64(squares);
    for (size_t i = 0; i < n; i += 16) {
        f32x16 x = load_lanes(z, n, i, -INFINITY);
        x = v_select(v_less(x, lowest), m, x);
        f64x16 d = v_sub64(m64, v_widen(x));
        sum = v_add64(sum, d);
        square = v_add64(square, v_mul64(d, d));
    }
    v_store64(sums, sum);
    v_store64(squares, square);
}

#endif
