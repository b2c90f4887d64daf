// SPDX-License-Identifier: MIT
// The largest of many keys, without sorting the many: a heap of those found so far, the smallest
// of them on top. It lies in the caller's output, each key in the first 16 bytes of an entry, to be
// overwritten with what it stands for.
#ifndef TEMPERA_SAMPLER_ROW_TOP_N_H
#define TEMPERA_SAMPLER_ROW_TOP_N_H

#include <math.h>
#include <string.h>

#include "sampler/row/row.h"

struct tempera_top_n {
    char *entries; // [capacity], `nbytes` each, 16 at least
    size_t nbytes, capacity;
    size_t count;
};

static inline tempera_u128 tempera_top_n_key(const struct tempera_top_n *best, size_t i)
{
    tempera_u128 key;
    memcpy(&key, best->entries + i * best->nbytes, sizeof key);
    return key;
}

// Puts a key in, unless there are enough larger ones.
void tempera_top_n_offer(struct tempera_top_n *best, tempera_u128 key);

// The candidates that win the race, the first one first.
void tempera_gumbel_top_n(struct tempera_candidates *c, struct tempera_top_n *best);

// The largest first. Nothing can be offered afterwards.
void tempera_top_n_sort(struct tempera_top_n *best);

// Of value descending, id ascending; no NaN.
static inline tempera_u128 tempera_key_of_float(float value, int32_t id)
{
    uint32_t key = tempera_score_key(value + 0.0f); // the zeros are equal
    return (tempera_u128)key << 32 | (uint32_t)~id;
}

// What the value of such a key has to exceed to be among the best, if ids are offered in order.
static inline float tempera_top_n_least(const struct tempera_top_n *best)
{
    if (best->count < best->capacity)
        return -INFINITY;
    return best->count == 0 ? INFINITY
                            : tempera_key_score((uint32_t)(tempera_top_n_key(best, 0) >> 32));
}

static inline int32_t tempera_id_of_key(tempera_u128 key)
{
    return (int32_t) ~(uint32_t)key;
}

#endif
