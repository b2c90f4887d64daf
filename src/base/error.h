// SPDX-License-Identifier: MIT
// The one place that fills a struct tempera_error. All of these accept error == NULL. A message
// that is too long is cut; what a terminal would obey is escaped, as in show.h.
#ifndef TEMPERA_BASE_ERROR_H
#define TEMPERA_BASE_ERROR_H

#include <stdint.h>

#include <tempera/status.h>

// Fills *error and returns `status`. The arguments may point into *error.
__attribute__((format(printf, 3, 4))) enum tempera_status
tempera_fail(struct tempera_error *error, enum tempera_status status, const char *format, ...);

// The same for input that is wrong at a byte offset, which goes into error->offset.
__attribute__((format(printf, 4, 5))) enum tempera_status
tempera_fail_at(struct tempera_error *error, enum tempera_status status, uint64_t offset,
                const char *format, ...);

// The same for a failed system call: "can't read 'model.gguf': Input/output error". A full disk
// gives DISK_FULL, no memory OUT_OF_MEMORY, everything else IO_ERROR. reason: errno's value.
enum tempera_status tempera_fail_system(struct tempera_error *error, const char *verb,
                                        const char *path, int reason);

// Empties *error and returns TEMPERA_OK.
enum tempera_status tempera_succeed(struct tempera_error *error);

#endif
