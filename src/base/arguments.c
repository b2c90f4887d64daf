// SPDX-License-Identifier: MIT
#include "base/arguments.h"

#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"

enum tempera_status tempera_struct_read(const void *given, size_t least, void *to, size_t nbytes)
{
    size_t struct_size;
    TEMPERA_CHECK(given != NULL, TEMPERA_INVALID_ARGUMENT);
    memcpy(&struct_size, given, sizeof struct_size);
    TEMPERA_CHECK(struct_size >= least, TEMPERA_INVALID_ARGUMENT);
    memcpy(to, given, tempera_min(struct_size, nbytes));
    return TEMPERA_OK;
}

struct tempera_span tempera_span_of(const void *data, size_t count, size_t nbytes, bool is_written)
{
    struct tempera_span span = {data, SIZE_MAX, is_written};
    tempera_size_mul(count, nbytes, &span.nbytes); // else SIZE_MAX stays
    return span;
}

static bool is_empty(const struct tempera_span *span)
{
    return span->data == NULL || span->nbytes == 0;
}

static bool two_are_apart(const struct tempera_span *a, const struct tempera_span *b)
{
    if ((!a->is_written && !b->is_written) || is_empty(a) || is_empty(b))
        return true;
    uintptr_t a_start = (uintptr_t)a->data, b_start = (uintptr_t)b->data;
    if (a->nbytes > UINTPTR_MAX - a_start || b->nbytes > UINTPTR_MAX - b_start)
        return false;
    return a_start <= b_start ? b_start - a_start >= a->nbytes : a_start - b_start >= b->nbytes;
}

bool tempera_spans_are_apart(const struct tempera_span *spans, size_t n,
                             const struct tempera_span *others, size_t n_others)
{
    for (size_t i = 0; i < n; i++) {
        if (is_empty(&spans[i])) // most are: short calls spend no time on them
            continue;
        for (size_t j = 0; j < i; j++)
            if (!two_are_apart(&spans[i], &spans[j]))
                return false;
        for (size_t j = 0; j < n_others; j++)
            if (!two_are_apart(&spans[i], &others[j]))
                return false;
    }
    return true;
}
