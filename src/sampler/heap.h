// SPDX-License-Identifier: MIT
// A heap in an array: the smallest value first, no memory of its own, and no row that makes it
// slow.
#ifndef TEMPERA_SAMPLER_HEAP_H
#define TEMPERA_SAMPLER_HEAP_H

#include <stddef.h>
#include <stdint.h>

// Puts heap[at] in its place below, where everything is in order already.
static inline void tempera_heap_sift_down(uint64_t *heap, size_t n, size_t at)
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

static inline void tempera_heap_build(uint64_t *heap, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        tempera_heap_sift_down(heap, n, i);
}

// Takes out the smallest of n > 0.
static inline uint64_t tempera_heap_pop(uint64_t *heap, size_t n)
{
    uint64_t smallest = heap[0];
    heap[0] = heap[n - 1];
    tempera_heap_sift_down(heap, n - 1, 0);
    return smallest;
}

#endif
