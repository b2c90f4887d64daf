// SPDX-License-Identifier: MIT
#include "sampler/row/top_n.h"

static void store(struct tempera_top_n *top, size_t i, tempera_u128 key)
{
    memcpy(top->entries + i * top->nbytes, &key, sizeof key);
}

// Inserts a key from the top down, in a heap of n.
static void sift_down(struct tempera_top_n *top, size_t n, tempera_u128 key)
{
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        tempera_u128 smaller = tempera_top_n_key(top, child);
        if (child + 1 < n && tempera_top_n_key(top, child + 1) < smaller)
            smaller = tempera_top_n_key(top, ++child);
        if (key <= smaller)
            break;
        store(top, at, smaller);
    }
    store(top, at, key);
}

static void sift_up(struct tempera_top_n *top, size_t at, tempera_u128 key)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        tempera_u128 above = tempera_top_n_key(top, parent);
        if (above <= key)
            break;
        store(top, at, above);
        at = parent;
    }
    store(top, at, key);
}

void tempera_top_n_offer(struct tempera_top_n *top, tempera_u128 key)
{
    if (top->count < top->capacity)
        sift_up(top, top->count++, key);
    else if (top->count > 0 && key > tempera_top_n_key(top, 0))
        sift_down(top, top->count, key);
}

void tempera_top_n_sort(struct tempera_top_n *top)
{
    for (size_t last = top->count; last-- > 1;) {
        tempera_u128 key = tempera_top_n_key(top, last);
        store(top, last, tempera_top_n_key(top, 0));
        sift_down(top, last, key);
    }
}
