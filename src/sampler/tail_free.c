// SPDX-License-Identifier: MIT
// Tail-free sampling: the tail begins where the curve of the sorted masses has done most of its
// bending. The only filter whose definition needs neighbours, so the only one that sorts: the
// masses, in their own place, since they can be computed again.
#include "sampler/heap.h"
#include "sampler/sampler.h"

static void sort_descending(uint64_t *masses, size_t n)
{
    tempera_heap_build(masses, n);
    for (size_t last = n; last-- > 1;)
        masses[last] = tempera_heap_pop(masses, last + 1);
}

// |w_j - 2 w_(j+1) + w_(j+2)|, below 2^52.
static uint64_t bend(const uint64_t *w)
{
    uint64_t outer = w[0] + w[2], inner = 2 * w[1];
    return outer > inner ? outer - inner : inner - outer;
}

// How many stay of n >= 3 sorted masses, of which `least` >= 1 have to.
static size_t n_before_tail(const uint64_t *w, size_t n, float share, size_t least)
{
    tempera_u128 total = 0, sum = 0;
    for (size_t j = 0; j + 2 < n; j++)
        total += bend(w + j);
    tempera_u128 most = tempera_share_below(share, total);
    for (size_t j = 0; j + 2 < n; j++) {
        sum += bend(w + j);
        if (sum > most && j >= least)
            return j;
    }
    return n;
}

void tempera_apply_tail_free(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.tail_free == 1 || c->n < 3)
        return;
    tempera_candidates_fill_masses(c);
    sort_descending(c->masses, c->n);
    size_t least = stage->min_keep > 1 ? stage->min_keep : 1;
    tempera_candidates_keep_first(c, n_before_tail(c->masses, c->n, stage->u.tail_free, least));
}
