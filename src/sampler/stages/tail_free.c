// SPDX-License-Identifier: MIT
// Tail-free sampling: the tail begins where the curve of the sorted masses has done most of its
// bending. The only filter whose definition needs neighbours, so the only one that sorts all
// scores, whose order is that of the masses.
#include "sampler/row/row.h"

// |w_j - 2 w_(j+1) + w_(j+2)|, below 2^53.
static uint64_t bend(const uint64_t *w)
{
    uint64_t outer = w[0] + w[2], inner = 2 * w[1];
    return outer > inner ? outer - inner : inner - outer;
}

// Adds up bends until they are more than `most`, not before number `least`; returns the number of
// the last one, n if it never comes to that. *sum: of those added.
static size_t add_bends(const struct tempera_scale *scale, const float *sorted, size_t n,
                        tempera_u128 most, size_t least, tempera_u128 *sum)
{
    enum { BLOCK = 1024 };
    uint64_t w[BLOCK + 2];
    *sum = 0;
    for (size_t first = 0; first + 2 < n; first += BLOCK) {
        size_t length = n - first < BLOCK + 2 ? n - first : BLOCK + 2;
        tempera_scale_masses(scale, sorted + first, length, w);
        for (size_t j = 0; j + 2 < length; j++) {
            *sum += bend(w + j);
            if (*sum > most && first + j >= least)
                return first + j;
        }
    }
    return n;
}

void tempera_apply_tail_free(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.tail_free == 1 || c->n < 3)
        return;
    struct tempera_scale scale = tempera_scale_of(c);
    const float *sorted = tempera_sorted_scores(c->scores, c->n, c->masses);
    size_t least = stage->min_keep > 1 ? stage->min_keep : 1;
    tempera_u128 total, sum;
    add_bends(&scale, sorted, c->n, ~(tempera_u128)0, least, &total);
    tempera_u128 most = tempera_share_below(stage->u.tail_free, total);
    tempera_candidates_keep_first(c, add_bends(&scale, sorted, c->n, most, least, &sum));
}
