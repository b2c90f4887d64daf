// SPDX-License-Identifier: MIT
#include "sampler/row/top_n.h"

static void put(struct tempera_top_n *best, size_t i, tempera_u128 key)
{
    memcpy(best->entries + i * best->nbytes, &key, sizeof key);
}

// Finds the place of a key from the top down, in a heap of n.
static void sift_down(struct tempera_top_n *best, size_t n, tempera_u128 key)
{
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        tempera_u128 smaller = tempera_top_n_key(best, child);
        if (child + 1 < n && tempera_top_n_key(best, child + 1) < smaller)
            smaller = tempera_top_n_key(best, ++child);
        if (key <= smaller)
            break;
        put(best, at, smaller);
    }
    put(best, at, key);
}

static void sift_up(struct tempera_top_n *best, size_t at, tempera_u128 key)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        tempera_u128 above = tempera_top_n_key(best, parent);
        if (above <= key)
            break;
        put(best, at, above);
        at = parent;
    }
    put(best, at, key);
}

void tempera_top_n_offer(struct tempera_top_n *best, tempera_u128 key)
{
    if (best->count < best->capacity)
        sift_up(best, best->count++, key);
    else if (best->count > 0 && key > tempera_top_n_key(best, 0))
        sift_down(best, best->count, key);
}

void tempera_top_n_sort(struct tempera_top_n *best)
{
    for (size_t last = best->count; last-- > 1;) {
        tempera_u128 key = tempera_top_n_key(best, last);
        put(best, last, tempera_top_n_key(best, 0));
        sift_down(best, last, key);
    }
}
