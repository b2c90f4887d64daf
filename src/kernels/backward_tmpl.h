// SPDX-License-Identifier: MIT
// The softmax's backward pass: dz = p (dp - sum p dp) / T.
#ifndef TEMPERA_KERNELS_BACKWARD_TMPL_H
#define TEMPERA_KERNELS_BACKWARD_TMPL_H

#include <math.h>

#include "kernels/pieces_tmpl.h"

// Products of floats are exact in double, so the sum's only error is that of additions in double.
static float dot(const float *p, const float *dp, size_t n, double lanes[16])
{
    f64x16 sum = v_load64(lanes);
    f32x16 largest_p = v_set(0), largest = v_set(0);
    m16 nan = v_none();
    for (size_t i = 0; i < n; i += 16) {
        f32x16 a = load_lanes(p, n, i, 0), b = load_lanes(dp, n, i, 0);
        sum = v_add_products(sum, a, b);
        largest_p = v_max(largest_p, v_magnitude(a));
        largest = v_max(largest, v_magnitude(b));
        nan = v_either(nan, v_unordered(a, b));
    }
    v_store64(lanes, sum);
    largest = v_max(largest, v_mul(largest_p, v_set(0x1p98f)));
    return v_any(nan) ? NAN : v_max_lane(largest);
}

static inline f32x16 backward16(f32x16 p, f32x16 dp, const float s[2], const float a[2])
{
    f32x16 d = v_sub(v_sub(dp, v_set(s[0])), v_set(s[1])), g = v_mul(p, d);
    return v_fma(g, v_set(a[0]), v_mul(g, v_set(a[1])));
}

static void backward_map(const float *p, const float *dp, size_t n, double sum,
                         const struct tempera_temperature_params *params, float *out)
{
    const float *a = params->inverse_T;
    const float s[2] = {(float)sum, (float)(sum - (double)(float)sum)};
    for (size_t i = 0; i < n; i += 16)
        store_lanes(out, n, i, backward16(load_lanes(p, n, i, 0), load_lanes(dp, n, i, 0), s, a));
}

#endif
