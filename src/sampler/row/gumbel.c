// SPDX-License-Identifier: MIT
// Gumbel-max as a race: of independent exponential variables e_i, e_i / w_i is smallest for token i
// with probability w_i / W. Each token has luck of its own, so what is removed, or added, changes
// nothing between the others; and the k first are k draws without replacement.
#include <math.h>
#include <string.h>

#include "base/exp.h"
#include "sampler/row/top_n.h"

// Where r is large, the logarithm of 1 - a is that of its series in g = a / (2 - a) <= 1/7, so
// that a keeps all 64 bits: it is small times that let rare tokens win.
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

// Of times ascending, ids ascending. Positive doubles lie in the order of their bits.
static tempera_u128 race_key(double time, int32_t id)
{
    uint64_t bits;
    memcpy(&bits, &time, sizeof bits);
    return ~((tempera_u128)bits << 32 | (uint32_t)id);
}

// No later time can be among the best.
static double time_to_beat(const struct tempera_top_n *best)
{
    if (best->count < best->capacity)
        return INFINITY;
    if (best->count == 0)
        return 0;
    uint64_t bits = (uint64_t)(~tempera_top_n_key(best, 0) >> 32);
    double time;
    memcpy(&time, &bits, sizeof time);
    return time;
}

// -ln u is 1 - u or more: nearly all tokens are out by that alone, no logarithm taken. Integers are
// signed since the others have a conversion with a branch on some processors.
static double least_noise(uint64_t r)
{
    return (double)(int64_t)(~r >> 1) * (0x1p-63 - 0x1p-93);
}

void tempera_gumbel_top_n(struct tempera_candidates *c, struct tempera_top_n *best)
{
    enum { BATCH = 256 };
    uint64_t r[BATCH];
    tempera_candidates_gather(c);
    tempera_candidates_fill_masses(c);
    const struct tempera_philox_input in =
        tempera_draw_input(c->row->seed, c->row->stream, c->step, TEMPERA_DRAW_NOISE);
    double most = time_to_beat(best);
    for (size_t first = 0; first < c->n; first += BATCH) {
        size_t n = c->n - first < BATCH ? c->n - first : BATCH;
        tempera_kernels_active()->sampler.random_bits(in.key, in.counter, c->ids + first, n, r);
        for (size_t i = 0; i < n; i++) {
            double w = (double)(int64_t)c->masses[first + i];
            if (w == 0 || least_noise(r[i]) > most * w)
                continue;
            tempera_top_n_offer(best, race_key(tempera_gumbel_noise(r[i]) / w, c->ids[first + i]));
            most = time_to_beat(best);
        }
    }
    tempera_top_n_sort(best);
}
