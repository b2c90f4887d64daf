// SPDX-License-Identifier: MIT
// The largest of many keys, without sorting the many: a heap of those found so far, the smallest
// of them on top. It lies in the caller's output, each key in the first 16 bytes of an entry, to be
// overwritten with what it stands for.
#ifndef TEMPERA_SAMPLER_BEST_H
#define TEMPERA_SAMPLER_BEST_H

#include <string.h>

#include "sampler/sampler.h"

struct tempera_best {
    char *entries; // [capacity], `nbytes` each, 16 at least
    size_t nbytes, capacity;
    size_t count;
};

static inline tempera_u128 tempera_best_key(const struct tempera_best *best, size_t i)
{
    tempera_u128 key;
    memcpy(&key, best->entries + i * best->nbytes, sizeof key);
    return key;
}

// Puts a key in that has its place among the best.
void tempera_best_insert(struct tempera_best *best, tempera_u128 key);

static inline void tempera_best_offer(struct tempera_best *best, tempera_u128 key)
{
    if (best->count < best->capacity || (best->count > 0 && key > tempera_best_key(best, 0)))
        tempera_best_insert(best, key);
}

// The candidates that win the race, the first one first.
void tempera_race(struct tempera_candidates *c, struct tempera_best *best);

// The largest first. Nothing can be offered afterwards.
void tempera_best_sort(struct tempera_best *best);

// Of value descending, id ascending; no NaN.
static inline tempera_u128 tempera_key_of_float(float value, int32_t id)
{
    uint32_t key = tempera_score_key(value + 0.0f); // the zeros are equal
    return (tempera_u128)key << 32 | (uint32_t)~id;
}

static inline int32_t tempera_id_of_key(tempera_u128 key)
{
    return (int32_t) ~(uint32_t)key;
}

#endif
