// SPDX-License-Identifier: MIT
// The sampler's masses: exponentials rounded to integers, so that their sums are exact, in any
// order. Scores of -inf have none.
#ifndef TEMPERA_KERNELS_MASSES_TMPL_H
#define TEMPERA_KERNELS_MASSES_TMPL_H

static void masses(const float *z, size_t n, const struct tempera_exponent *how, uint64_t *w)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        v_store_u64(w + i, v_round64(v_widen(exp16(v_load(z + i), how))));
    if (i < n) {
        uint64_t last[16];
        f32x16 x = load_lanes(z, n, i, -INFINITY);
        v_store_u64(last, v_round64(v_widen(exp16(x, how))));
        memcpy(w + i, last, (n - i) * sizeof *w);
    }
}

static uint64_t mass_sum(const float *z, size_t n, const struct tempera_exponent *how)
{
    u64x16 sum = v_zero_u64();
    for (size_t i = 0; i < n; i += 16) {
        f32x16 x = load_lanes(z, n, i, -INFINITY);
        sum = v_add_u64(sum, v_round64(v_widen(exp16(x, how))));
    }
    return v_sum_u64(sum);
}

// The products are taken in double. Where w is 0, so are they: x is bounded.
static void mass_moments(const float *z, size_t n, const struct tempera_exponent *how, double max,
                         double inverse_T, uint64_t sums[3])
{
    const f64x16 integer = v_set64(0x1p52), most = v_set64(1024), unit = v_set64(0x1p-52);
    const f64x16 m = v_set64(max), factor = v_set64(inverse_T);
    u64x16 mass = v_zero_u64(), depth = mass, square = mass;
    for (size_t i = 0; i < n; i += 16) {
        f32x16 score = load_lanes(z, n, i, -INFINITY);
        f64x16 e = v_widen(exp16(score, how));
        f64x16 w = v_sub64(v_add64(e, integer), integer); // rounded
        f64x16 x = v_min64(v_mul64(v_sub64(m, v_widen(score)), factor), most);
        mass = v_add_u64(mass, v_round64(w));
        depth = v_add_u64(depth, v_round64(v_mul64(w, x)));
        square = v_add_u64(square, v_round64(v_mul64(v_mul64(w, w), unit)));
    }
    sums[0] = v_sum_u64(mass);
    sums[1] = v_sum_u64(depth);
    sums[2] = v_sum_u64(square);
}

#endif
