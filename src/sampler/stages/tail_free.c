// SPDX-License-Identifier: MIT
// Tail-free sampling: the tail begins where most of the sum of the absolute second differences of
// the sorted masses lies before it. The only filter that needs all scores sorted.
#include <stddef.h>
#include <stdint.h>

#include "sampler/row/candidates.h"
#include "sampler/row/mass_fraction.h"
#include "sampler/row/masses.h"
#include "sampler/row/prefix.h"
#include "sampler/row/radix_sort.h"
#include "sampler/row/u128.h"
#include "sampler/stages/stages.h"

// |w_j - 2 w_(j+1) + w_(j+2)|, below 2^53.
static uint64_t second_difference(const uint64_t *w)
{
    uint64_t outer = w[0] + w[2], inner = 2 * w[1];
    return outer > inner ? outer - inner : inner - outer;
}

// Adds up second differences until the sum exceeds `most`, but not before number `least`. Returns
// the number of the last one, n if that doesn't happen. *sum: of those added.
static size_t add_second_differences(const struct tempera_mass_scale *scale, const float *sorted,
                                     size_t n, tempera_u128 most, size_t least, tempera_u128 *sum)
{
    enum { BLOCK = 1024 };
    uint64_t w[BLOCK + 2];
    *sum = 0;
    for (size_t first = 0; first + 2 < n; first += BLOCK) {
        size_t length = n - first < BLOCK + 2 ? n - first : BLOCK + 2;
        tempera_masses_compute(scale, sorted + first, length, w);
        for (size_t j = 0; j + 2 < length; j++) {
            *sum += second_difference(w + j);
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
    struct tempera_mass_scale scale = tempera_mass_scale_of(c);
    const float *sorted = tempera_sorted_scores(c->scores, c->n, c->masses);
    size_t least = stage->min_keep > 1 ? stage->min_keep : 1;
    tempera_u128 total, sum;
    add_second_differences(&scale, sorted, c->n, ~(tempera_u128)0, least, &total);
    tempera_u128 most = tempera_mass_fraction_floor(stage->u.tail_free, total);
    tempera_candidates_keep_first(c,
                                  add_second_differences(&scale, sorted, c->n, most, least, &sum));
}
