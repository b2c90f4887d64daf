// SPDX-License-Identifier: MIT
// How the caller's scratch memory is divided into arrays.
#ifndef TEMPERA_SAMPLER_ROW_SCRATCH_H
#define TEMPERA_SAMPLER_ROW_SCRATCH_H

#include <stddef.h>

enum { TEMPERA_SCRATCH_ALIGNMENT = 64 };

// The length of an array for n floats or ids: kernels write whole vectors.
#define TEMPERA_PADDED(n) (((n) + 31) / 16 * 16)

static inline size_t tempera_scratch_aligned(size_t nbytes)
{
    const size_t alignment = TEMPERA_SCRATCH_ALIGNMENT;
    return (nbytes + alignment - 1) / alignment * alignment;
}

// Takes an array from the beginning of what is left of the scratch.
static inline void *tempera_scratch_take(char **scratch, size_t count, size_t nbytes)
{
    char *taken = *scratch;
    *scratch += tempera_scratch_aligned(count * nbytes);
    return taken;
}

#endif
