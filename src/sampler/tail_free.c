// SPDX-License-Identifier: MIT
// Tail-free sampling: the tail begins where the curve of the sorted masses has done most of its
// bending. The only filter whose definition needs neighbours, so the only one that sorts: the
// scores, whose order is that of the masses, by their bits.
#include "sampler/sampler.h"

// ------------------------------------------------------------------------------------------------
// Sorting

enum { DIGIT = 11, VALUES = 1 << DIGIT };

// From keys[n] to out[n], by one digit, those with equal ones in their order.
static void sort_by_digit(const uint32_t *keys, size_t n, unsigned shift, uint32_t *out)
{
    size_t places[VALUES] = {0}, place = 0;
    for (size_t i = 0; i < n; i++)
        places[keys[i] >> shift & (VALUES - 1)]++;
    for (size_t v = 0; v < VALUES; v++) {
        size_t count = places[v];
        places[v] = place;
        place += count;
    }
    for (size_t i = 0; i < n; i++)
        out[places[keys[i] >> shift & (VALUES - 1)]++] = keys[i];
}

// The scores of gathered candidates, descending, in the room of the masses.
static const float *sorted_scores(struct tempera_candidates *c)
{
    uint32_t *keys = (uint32_t *)(void *)c->masses, *other = keys + TEMPERA_ROOM(c->n);
    for (size_t i = 0; i < c->n; i++)
        keys[i] = ~tempera_score_key(c->scores[i]);
    sort_by_digit(keys, c->n, 0, other);
    sort_by_digit(other, c->n, DIGIT, keys);
    sort_by_digit(keys, c->n, 2 * DIGIT, other);
    float *sorted = (float *)(void *)keys;
    for (size_t i = 0; i < c->n; i++)
        sorted[i] = tempera_key_score(~other[i]);
    return sorted;
}

// ------------------------------------------------------------------------------------------------
// The filter

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
    const float *sorted = sorted_scores(c);
    size_t least = stage->min_keep > 1 ? stage->min_keep : 1;
    tempera_u128 total, sum;
    add_bends(&scale, sorted, c->n, ~(tempera_u128)0, least, &total);
    tempera_u128 most = tempera_share_below(stage->u.tail_free, total);
    tempera_candidates_keep_first(c, add_bends(&scale, sorted, c->n, most, least, &sum));
}
