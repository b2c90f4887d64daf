// SPDX-License-Identifier: MIT
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void *tempera_alloc(size_t count, size_t nbytes)
{
    enum { ALIGNMENT = 64 };
    size_t total, padded;
    if (!tempera_size_mul(count, nbytes, &total) ||
        !tempera_size_add(total, ALIGNMENT - 1, &padded))
        return NULL;
    padded -= padded % ALIGNMENT;
    void *memory = aligned_alloc(ALIGNMENT, padded == 0 ? ALIGNMENT : padded);
    if (memory != NULL)
        memset(memory, 0, padded);
    return memory;
}
