// SPDX-License-Identifier: MIT
// Checked sizes and aligned memory.
#ifndef TEMPERA_BASE_MEMORY_H
#define TEMPERA_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

// False, and *result left alone, if the result doesn't fit.
static inline bool tempera_size_mul(size_t a, size_t b, size_t *result)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *result = product;
    return true;
}

static inline bool tempera_size_add(size_t a, size_t b, size_t *result)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *result = sum;
    return true;
}

// count * nbytes zeroed bytes, aligned to 64 (a cache line, the widest vector); NULL if that
// doesn't fit or memory is out. Freed with free(). Never NULL for 0 bytes when there is memory.
void *tempera_alloc(size_t count, size_t nbytes);

#endif
