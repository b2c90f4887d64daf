// SPDX-License-Identifier: MIT
// The n largest of many keys: a heap of those found so far, the smallest of them on top. It lies in
// the caller's output, each key in the first 16 bytes of an entry; the caller replaces the key by
// what it stands for.
#ifndef TEMPERA_SAMPLER_ROW_TOP_N_H
#define TEMPERA_SAMPLER_ROW_TOP_N_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sampler/row/score_key.h"
#include "sampler/row/u128.h"

struct tempera_top_n {
    char *entries; // [capacity], `nbytes` each, 16 at least
    size_t nbytes, capacity;
    size_t count;
};

static inline tempera_u128 tempera_top_n_key(const struct tempera_top_n *top, size_t i)
{
    tempera_u128 key;
    memcpy(&key, top->entries + i * top->nbytes, sizeof key);
    return key;
}

// Inserts a key unless there are enough larger ones.
void tempera_top_n_offer(struct tempera_top_n *top, tempera_u128 key);

// Sorts, the largest first. Nothing can be offered afterwards.
void tempera_top_n_sort(struct tempera_top_n *top);

// Larger for larger values, then for smaller ids; not for NaN.
static inline tempera_u128 tempera_key_of_float(float value, int32_t id)
{
    uint32_t key = tempera_score_key(value + 0.0f); // the zeros are equal
    return (tempera_u128)key << 32 | (uint32_t)~id;
}

// What the value of such a key has to exceed to be inserted, if ids are offered in order.
static inline float tempera_top_n_least(const struct tempera_top_n *top)
{
    if (top->count < top->capacity)
        return -INFINITY;
    return top->count == 0 ? INFINITY
                           : tempera_key_score((uint32_t)(tempera_top_n_key(top, 0) >> 32));
}

static inline int32_t tempera_id_of_key(tempera_u128 key)
{
    return (int32_t) ~(uint32_t)key;
}

#endif
