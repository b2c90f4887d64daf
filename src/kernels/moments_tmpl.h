// SPDX-License-Identifier: MIT
// The sums that give the mean and the variance of a row's scores under its own softmax.
#ifndef TEMPERA_KERNELS_MOMENTS_TMPL_H
#define TEMPERA_KERNELS_MOMENTS_TMPL_H

#include <math.h>

#include "kernels/pieces_tmpl.h"

// e is summed as in exp_sum. The products e x are exact, e x x is of the rounded e x. x is taken as
// 0 for scores so far below the maximum that p is 0, as it may be infinite there.
static void moments(const float *z, size_t n, const struct tempera_exponent *how, float max,
                    float lowest, double sums[3][16])
{
    f64x16 sum = v_load64(sums[0]), first = v_load64(sums[1]), second = v_load64(sums[2]);
    f32x16 m = v_set(max), least = v_set(lowest);
    for (size_t i = 0; i < n; i += GROUP) {
        f32x16 e[4];
        for (size_t k = 0; k < 4; k++) {
            f32x16 score = load_lanes(z, n, i + 16 * k, -INFINITY);
            f32x16 x = v_sub(score, m);
            x = v_select(v_less(x, least), v_set(0), x);
            e[k] = exp16(score, how, true);
            first = v_add_products(first, e[k], x);
            second = v_add_products(second, v_mul(e[k], x), x);
        }
        sum = add_group(sum, e[0], e[1], e[2], e[3]);
    }
    v_store64(sums[0], sum);
    v_store64(sums[1], first);
    v_store64(sums[2], second);
}

#endif
