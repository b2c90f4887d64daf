// SPDX-License-Identifier: MIT
// What a cross-entropy needs beside a softmax's sums: the targets' sums and the gradient's map.
// Both are about target masses t = w (share q + floor), see struct tempera_mass.
#ifndef TEMPERA_KERNELS_LOSS_TMPL_H
#define TEMPERA_KERNELS_LOSS_TMPL_H

static inline f32x16 mass16(const struct tempera_mass *t, size_t n, size_t i)
{
    f32x16 mass = v_set(t->floor);
    if (t->probs != NULL)
        mass = v_fma(load_lanes(t->probs, n, i, 0), v_set(t->share), mass);
    if (t->weights != NULL)
        mass = v_mul(load_lanes(t->weights, n, i, 0), mass);
    return mass;
}

// Products of floats are exact in double, so both sums have the error of double additions. A score
// without mass counts 0, even one of -inf.
static void target_sums(const struct tempera_mass *t, const float *s, size_t n, double mass[16],
                        double scores[16])
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

// Where e is so small that a product with it may be a denormal, see scale_small16, that product is
// rounded by itself. With b = 0 the bits are those of `scale`, but that a masked score's e, which
// isn't quite 0, has gradient 0 under any factor.
static inline f32x16 gradient16(const struct tempera_loss_map *map, f32x16 e, f32x16 b,
                                f32x16 least)
{
    if (v_any(v_less(e, least))) {
        f32x16 product = scale_small16(e, map->high, map->low);
        return v_sub(v_select(v_less(v_set(map->nothing), e), product, v_set(0)), b);
    }
    f32x16 minus_b = v_sub(v_set(0), b);
    return v_fma(e, v_set(map->high), v_fma(e, v_set(map->low), minus_b));
}

static void loss_map(const struct tempera_loss_map *map, const float *e, const float *s, size_t n,
                     float *out)
{
    f32x16 least = v_set(0x1p-70f / (map->high < 0 ? -map->high : map->high));
    f32x16 cap = v_set(map->softcap), one = v_set(1);
    for (size_t i = 0; i < n; i += 16) {
        f32x16 b = mass16(&map->target, n, i);
        f32x16 g = gradient16(map, load_lanes(e, n, i, 0x1p51f), b, least);
        if (map->softcap != 0) { // |s| <= cap, so that u is at most 1
            f32x16 u = v_div(load_lanes(s, n, i, 0), cap);
            g = v_mul(g, v_mul(v_sub(one, u), v_add(one, u)));
        }
        store_lanes(out, n, i, g);
    }
}

// e of scores far below the maximum isn't quite 0, but their d is bounded, so that e d is as good
// as 0 next to the sum's e(max).
static void entropy_sum(const float *s, size_t n, float max, const struct tempera_heat *heat,
                        const struct tempera_exponent *x, double lanes[16])
{
    f64x16 sum = v_load64(lanes);
    f32x16 lowest = v_set(-(float)heat->reach);
    for (size_t i = 0; i < n; i += 16) {
        f32x16 score = load_lanes(s, n, i, -INFINITY);
        sum = v_add_products(sum, exp16(score, x), v_max(lowest, v_sub(score, v_set(max))));
    }
    v_store64(lanes, sum);
}

// The softcap may round the score beside the largest above it: no score leaves here above `most`.
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
