// SPDX-License-Identifier: MIT
// Filling a struct tempera_error, for everything that reads or writes files.
#ifndef TEMPERA_GGUF_FAIL_H
#define TEMPERA_GGUF_FAIL_H

#include <stdarg.h>
#include <stdint.h>

#include <tempera/status.h>

#include "gguf/show.h"

// Fills *error (may be NULL) and returns status. A message that is too long is cut; what a terminal
// would obey is escaped, as in show.h.
__attribute__((format(printf, 4, 5))) enum tempera_status tempera_fail(struct tempera_error *error,
                                                                       enum tempera_status status,
                                                                       uint64_t offset,
                                                                       const char *format, ...);

enum tempera_status tempera_fail_with(struct tempera_error *error, enum tempera_status status,
                                      uint64_t offset, const char *format, va_list arguments)
    __attribute__((format(printf, 4, 0)));

// The same for a failed system call: "can't read 'model.gguf': Input/output error". A full disk
// gives DISK_FULL, no memory OUT_OF_MEMORY, everything else IO_ERROR. reason: errno's value.
enum tempera_status tempera_fail_system(struct tempera_error *error, const char *verb,
                                        const char *path, int reason);

// Empties *error (may be NULL) and returns TEMPERA_OK.
enum tempera_status tempera_succeed(struct tempera_error *error);

#endif
