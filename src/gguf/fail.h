// SPDX-License-Identifier: MIT
// Filling a struct tempera_error, for everything that reads or writes files.
#ifndef TEMPERA_GGUF_FAIL_H
#define TEMPERA_GGUF_FAIL_H

#include <stdint.h>

#include <tempera/status.h>

// Fills *error (may be NULL) and returns status. A message that is too long is cut.
__attribute__((format(printf, 4, 5))) enum tempera_status
tempera_fail(struct tempera_error *error, enum tempera_status status, uint64_t offset,
             const char *format, ...);

// The same for a failed system call: "can't read 'model.gguf': Input/output error". A full disk
// gives DISK_FULL, no memory OUT_OF_MEMORY, everything else IO_ERROR. reason: errno's value.
enum tempera_status tempera_fail_system(struct tempera_error *error, const char *verb,
                                        const char *path, int reason);

// Empties *error (may be NULL) and returns TEMPERA_OK.
enum tempera_status tempera_succeed(struct tempera_error *error);

// The end of a path where it is too long for a message that holds 240 bytes.
enum { TEMPERA_SHOWN_PATH_NBYTES = 100 };
void tempera_show_path(char shown[TEMPERA_SHOWN_PATH_NBYTES], const char *path);

#endif
