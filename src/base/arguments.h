// SPDX-License-Identifier: MIT
// Leaving a function early, with a status.
#ifndef TEMPERA_BASE_ARGUMENTS_H
#define TEMPERA_BASE_ARGUMENTS_H

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

#endif
