// SPDX-License-Identifier: MIT
// What public functions do with their arguments before they begin: leave with a status, read
// structs that may grow, and find memory that overlaps.
#ifndef TEMPERA_BASE_ARGUMENTS_H
#define TEMPERA_BASE_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include <tempera/status.h>

// Returns `status` unless the condition holds.
#define TEMPERA_CHECK(condition, status)                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return (status);                                                                       \
    } while (0)

// Returns the status of `call` unless it is OK.
#define TEMPERA_TRY(call)                                                                          \
    do {                                                                                           \
        enum tempera_status try_status = (call);                                                   \
        if (try_status != TEMPERA_OK)                                                              \
            return try_status;                                                                     \
    } while (0)

// Copies a caller's struct, which begins with size_t struct_size, over the defaults in to[nbytes].
// Its caller may know fewer fields: those from its struct_size on keep their defaults. It may know
// more: these are ignored. INVALID_ARGUMENT for NULL, or a size below `least`.
enum tempera_status tempera_struct_read(const void *given, size_t least, void *to, size_t nbytes);

// Memory of the caller's. NULL or 0 bytes: none.
struct tempera_span {
    const void *data;
    size_t nbytes;
    bool is_written;
};

// data[count] with entries of `nbytes`. One too large to be counted overlaps everything.
struct tempera_span tempera_span_of(const void *data, size_t count, size_t nbytes, bool is_written);

// True if no written span has a byte in common with another one of spans[n] or of others[n_others],
// and no span with a written one of these. Others are not compared with each other.
bool tempera_spans_are_apart(const struct tempera_span *spans, size_t n,
                             const struct tempera_span *others, size_t n_others);

#endif
