// SPDX-License-Identifier: MIT
// Arithmetic of sizes and counts. For products and sums that may overflow: memory.h.
#ifndef TEMPERA_BASE_SIZE_H
#define TEMPERA_BASE_SIZE_H

#include <stddef.h>

static inline size_t tempera_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t tempera_ceil_div(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

// The least multiple of `unit` that isn't below a; it must fit.
static inline size_t tempera_round_up(size_t a, size_t unit)
{
    return tempera_ceil_div(a, unit) * unit;
}

#endif
