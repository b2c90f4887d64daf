// SPDX-License-Identifier: MIT
// Tail-free sampling: the tail begins where the curve of the sorted masses has done most of its
// bending. The only filter whose definition needs neighbours, so the only one that sorts: the
// masses, in their own place, since they can be computed again.
#include "sampler/sampler.h"

// ------------------------------------------------------------------------------------------------
// Heapsort, descending: no memory, and no row that makes it slow

static void sift_down(uint64_t *heap, size_t n, size_t at)
{
    uint64_t value = heap[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (value <= heap[child])
            break;
        heap[at] = heap[child];
    }
    heap[at] = value;
}

static void sort_descending(uint64_t *masses, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(masses, n, i);
    for (size_t last = n; last-- > 1;) {
        uint64_t smallest = masses[0];
        masses[0] = masses[last];
        masses[last] = smallest;
        sift_down(masses, last, 0);
    }
}

// ------------------------------------------------------------------------------------------------
// The filter

// |w_j - 2 w_(j+1) + w_(j+2)|, below 2^52.
static uint64_t bend(const uint64_t *w)
{
    uint64_t outer = w[0] + w[2], inner = 2 * w[1];
    return outer > inner ? outer - inner : inner - outer;
}

// How many stay of n >= 3 sorted masses.
static size_t n_before_tail(const uint64_t *w, size_t n, float share)
{
    tempera_u128 total = 0, sum = 0;
    for (size_t j = 0; j + 2 < n; j++)
        total += bend(w + j);
    tempera_u128 most = tempera_share_below(share, total);
    for (size_t j = 0; j + 2 < n; j++) {
        sum += bend(w + j);
        if (sum > most && j > 0)
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
    tempera_candidates_keep_first(c, n_before_tail(c->masses, c->n, stage->u.tail_free));
}
