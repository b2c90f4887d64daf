// SPDX-License-Identifier: MIT
// What a cross-entropy needs besides a softmax's sums: sums over the targets, and the gradient. The
// mass of a target is t = w (fraction q + floor): struct tempera_target_mass.
#ifndef TEMPERA_KERNELS_LOSS_TMPL_H
#define TEMPERA_KERNELS_LOSS_TMPL_H

#include <math.h>

#include "kernels/convert_tmpl.h"
#include "kernels/pieces_tmpl.h"

static inline f32x16 mass16(const struct tempera_target_mass *t, size_t n, size_t i)
{
    f32x16 mass = v_set(t->floor);
    if (t->probs != NULL)
        mass = v_fma(load_lanes(t->probs, n, i, 0), v_set(t->fraction), mass);
    if (t->weights != NULL)
        mass = v_mul(load_lanes(t->weights, n, i, 0), mass);
    return mass;
}

// For smoothing: the sum of w (s - max). No term is positive, so sums of four in f32 have an error
// of an ulp or two of the total. Without weights, a score of -inf makes the sum -inf.
static void distance_sum(const float *weights, const float *s, size_t n, float max,
                         double lanes[16])
{
    f64x16 sum = v_load64(lanes);
    f32x16 m = v_set(max), zero = v_set(0);
    for (size_t i = 0; i < n; i += GROUP) {
        f32x16 group[4];
        for (size_t k = 0; k < 4; k++) {
            f32x16 d = v_sub(load_lanes(s, n, i + 16 * k, max), m);
            if (weights != NULL) {
                f32x16 w = load_lanes(weights, n, i + 16 * k, 0);
                d = v_mul(w, v_select(v_less(zero, w), d, zero));
            }
            group[k] = d;
        }
        sum = v_add64(sum, v_widen(v_add(v_add(group[0], group[1]), v_add(group[2], group[3]))));
    }
    v_store64(lanes, sum);
}

// Products of floats are exact in double, so the sums' only error is that of additions in double. A
// score without mass counts 0, even one of -inf.
static void target_sums(const struct tempera_target_mass *t, const float *s, size_t n,
                        double mass[16], double scores[16])
{
    f64x16 mass_sum = v_load64(mass), score_sum = v_load64(scores);
    f32x16 zero = v_set(0);
    for (size_t i = 0; i < n; i += 16) {
        f32x16 m = mass16(t, n, i);
        if (n - i < 16)
            m = v_select(v_bits((1u << (n - i)) - 1), m, zero);
        f32x16 score = v_select(v_less(zero, v_magnitude(m)), load_lanes(s, n, i, 0), zero);
        mass_sum = v_add64(mass_sum, v_widen(m));
        score_sum = v_add_products(score_sum, m, score);
    }
    v_store64(mass, mass_sum);
    v_store64(scores, score_sum);
}

// An e below this needs gradient_small16: its products may be denormal, or its score is masked, and
// then e is small but not 0.
static inline f32x16 least_direct(const struct tempera_loss_map *map)
{
    return v_max(least_normal(map->high), v_set(2 * map->e_masked));
}

// The product is rounded before b is subtracted. With b = 0 the bits are those of `scale`, except
// that a masked score's gradient is 0 under any factor.
static inline f32x16 gradient_small16(const struct tempera_loss_map *map, f32x16 e, f32x16 b)
{
    f32x16 product = scale_mixed16(e, map->high, map->low, least_normal(map->high));
    return v_sub(v_select(v_less(v_set(map->e_masked), e), product, v_set(0)), b);
}

// The softcap's slope 1 - (s / c)^2; exactly 0 at the cap.
static inline f32x16 cap_slope16(const struct tempera_loss_map *map, f32x16 s)
{
    f32x16 one = v_set(1), u = v_mul(s, v_set(1 / map->softcap));
    f32x16 slope = v_mul(v_sub(one, u), v_add(one, u));
    return v_select(v_less(v_magnitude(s), v_set(map->softcap)), slope, v_set(0));
}

// All targets have the same mass and there is no softcap, as with label smoothing.
static inline void gradient_uniform(const struct tempera_loss_map *map, const float *e, size_t n,
                                    float *out)
{
    f32x16 least = least_direct(map);
    f32x16 high = v_set(map->high), low = v_set(map->low), b = v_set(map->target.floor);
    for (size_t i = 0; i < n; i += 16) {
        f32x16 x = load_lanes(e, n, i, 0x1p51f);
        if (v_any(v_less(x, least)))
            x = gradient_small16(map, x, b);
        else
            x = v_fma(x, high, v_fma(x, low, v_sub(v_set(0), b)));
        store_lanes(out, n, i, x);
    }
}

static inline void gradient_any(const struct tempera_loss_map *map, const float *e, const float *s,
                                size_t n, float *out)
{
    f32x16 least = least_direct(map);
    f32x16 high = v_set(map->high), low = v_set(map->low);
    for (size_t i = 0; i < n; i += 16) {
        f32x16 x = load_lanes(e, n, i, 0x1p51f), b = mass16(&map->target, n, i);
        if (v_any(v_less(x, least)))
            x = gradient_small16(map, x, b);
        else
            x = v_fma(x, high, v_fma(x, low, v_sub(v_set(0), b)));
        if (map->softcap != 0)
            x = v_mul(x, cap_slope16(map, load_lanes(s, n, i, 0)));
        store_lanes(out, n, i, x);
    }
}

static void loss_gradient(const struct tempera_loss_map *map, const float *e, const float *s,
                          size_t n, float *out)
{
    if (map->target.probs == NULL && map->target.weights == NULL && map->softcap == 0)
        gradient_uniform(map, e, n, out);
    else
        gradient_any(map, e, s, n, out);
}

// e of scores far below the maximum is not quite 0, but d is bounded for them, so e d is negligible
// beside the sum, which is at least e(max).
static void entropy_sum(const float *s, size_t n, float max,
                        const struct tempera_temperature_params *params,
                        const struct tempera_exponent *x, double lanes[16])
{
    f64x16 sum = v_load64(lanes);
    f32x16 lowest = v_set(-(float)params->underflow_distance);
    for (size_t i = 0; i < n; i += 16) {
        f32x16 score = load_lanes(s, n, i, -INFINITY);
        sum = v_add_products(sum, exp16(score, x, true), v_max(lowest, v_sub(score, v_set(max))));
    }
    v_store64(lanes, sum);
}

// Rounding in the softcap may lift a score above the softcap of the largest, which is `most`.
static void softcap_below(const struct tempera_prepare *how, const void *z, size_t first, size_t n,
                          float most, float *s)
{
    for (size_t i = 0; i < n; i += 16) {
        size_t left = lanes_left(n, i);
        f32x16 x = softcap16(load_any(z, how->dtype, first + i, left), how->softcap);
        store_lanes(s, n, i, v_min(x, v_set(most)));
    }
}

#endif
