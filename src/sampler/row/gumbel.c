// SPDX-License-Identifier: MIT
// Gumbel-max in its exponential form: of independent exponential variables e_i, e_i / w_i is
// smallest for token i with probability w_i / W. The variables belong to the tokens, so removing
// one changes nothing among the others. The k smallest are k draws without replacement.
#include "sampler/row/gumbel.h"

#include <math.h>
#include <string.h>

#include "base/exp.h"
#include "kernels/kernels.h"
#include "sampler/row/draw.h"
#include "sampler/row/masses.h"
#include "sampler/row/u128.h"

// For large r, ln(1 - a) is computed by its series in g = a / (2 - a) <= 1/7, so that a keeps all
// 64 bits: small times are the ones that let rare tokens win.
double tempera_gumbel_noise(uint64_t r)
{
    const uint64_t near_one = (uint64_t)3 << 62;
    if (r < near_one)
        return -tempera_log(((double)(r >> 11) + 0.5) * 0x1p-53);
    double a = ((double)(UINT64_MAX - r) + 0.5) * 0x1p-64, g = a / (2 - a), g2 = g * g;
    double series = 1.0 / 21;
    for (int n = 19; n >= 3; n -= 2)
        series = 1.0 / n + g2 * series;
    return 2 * g * (1 + g2 * series);
}

// Larger for smaller times, then for smaller ids. Positive doubles have the order of their bits.
static tempera_u128 time_key(double time, int32_t id)
{
    uint64_t bits;
    memcpy(&bits, &time, sizeof bits);
    return ~((tempera_u128)bits << 32 | (uint32_t)id);
}

// A larger time is not among the n smallest.
static double largest_time(const struct tempera_top_n *top)
{
    if (top->count < top->capacity)
        return INFINITY;
    if (top->count == 0)
        return 0;
    uint64_t bits = (uint64_t)(~tempera_top_n_key(top, 0) >> 32);
    double time;
    memcpy(&time, &bits, sizeof time);
    return time;
}

// -ln u >= 1 - u, which excludes nearly all tokens without a logarithm. Signed integers, since on
// some processors the conversion of unsigned ones has a branch.
static double least_noise(uint64_t r)
{
    return (double)(int64_t)(~r >> 1) * (0x1p-63 - 0x1p-93);
}

void tempera_gumbel_top_n(struct tempera_candidates *c, struct tempera_top_n *top)
{
    enum { BATCH = 256 };
    uint64_t r[BATCH];
    tempera_candidates_gather(c);
    tempera_candidates_fill_masses(c);
    const struct tempera_philox_input in =
        tempera_draw_input(c->row->seed, c->row->stream, c->step, TEMPERA_DRAW_NOISE);
    double most = largest_time(top);
    for (size_t first = 0; first < c->n; first += BATCH) {
        size_t n = c->n - first < BATCH ? c->n - first : BATCH;
        tempera_kernels_active()->sampler.random_bits(in.key, in.counter, c->ids + first, n, r);
        for (size_t i = 0; i < n; i++) {
            double w = (double)(int64_t)c->masses[first + i];
            if (w == 0 || least_noise(r[i]) > most * w)
                continue;
            tempera_top_n_offer(top, time_key(tempera_gumbel_noise(r[i]) / w, c->ids[first + i]));
            most = largest_time(top);
        }
    }
    tempera_top_n_sort(top);
}
