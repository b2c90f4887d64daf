// SPDX-License-Identifier: MIT
// Gumbel-max as a race: of independent exponential variables e_i, e_i / w_i is smallest for token i
// with probability w_i / W. Each token has luck of its own, so what is removed, or added, changes
// nothing between the others; and the k first are k draws without replacement.
#include <string.h>

#include "base/exp.h"
#include "sampler/best.h"

// Where r is large, the logarithm of 1 - a is that of its series in g = a / (2 - a) <= 1/7, so
// that a keeps all 64 bits: it is small times that let rare tokens win.
double tempera_race_noise(uint64_t r)
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
static tempera_u128 race_key(const struct tempera_candidates *c, size_t i)
{
    uint32_t id = (uint32_t)c->ids[i];
    uint64_t r = (uint64_t)tempera_candidates_luck(c, TEMPERA_DRAW_NOISE + id), bits;
    double time = tempera_race_noise(r) / (double)c->masses[i];
    memcpy(&bits, &time, sizeof bits);
    return ~((tempera_u128)bits << 32 | id);
}

void tempera_race(struct tempera_candidates *c, struct tempera_best *best)
{
    tempera_candidates_gather(c);
    tempera_candidates_fill_masses(c);
    for (size_t i = 0; i < c->n; i++)
        if (c->masses[i] > 0)
            tempera_best_offer(best, race_key(c, i));
    tempera_best_sort(best);
}
