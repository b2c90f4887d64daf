// SPDX-License-Identifier: MIT
// A file that is there whole or not at all: written as "<path>.tempera-tmp", synced, renamed over
// path, folder synced (Pillai et al., OSDI 2014, on why each step is needed). A kill at any moment
// leaves the old file or the new one, and perhaps a temporary file, which the next save removes.
// Anything else with that name, or with a second hard link, is refused and left alone.
//
//     status = tempera_safe_file_open(&file, path, error);
//     if (status == TEMPERA_OK)
//         status = tempera_safe_file_write(file, data, nbytes, error);    // as often as needed
//     status = tempera_safe_file_close(&file, status, error);
//
// A symbolic link is followed: the file it names is replaced or made, not the link. Two writers of
// one path, in one process or two, are kept apart by a lock: the second gets IO_ERROR.
#ifndef TEMPERA_GGUF_SAFE_FILE_H
#define TEMPERA_GGUF_SAFE_FILE_H

#include <stddef.h>

#include <tempera/status.h>

struct tempera_safe_file;

enum tempera_status tempera_safe_file_open(struct tempera_safe_file **file, const char *path,
                                           struct tempera_error *error);

// Opens and closes again without writing, to find before long work that path can't be written.
enum tempera_status tempera_safe_file_check(const char *path, struct tempera_error *error);

enum tempera_status tempera_safe_file_write(struct tempera_safe_file *file, const void *data,
                                            size_t nbytes, struct tempera_error *error);

// If status is OK, puts the file in place and returns whether that worked. Otherwise removes what
// was written and returns status. Frees *file and sets it to NULL; NULL-safe.
enum tempera_status tempera_safe_file_close(struct tempera_safe_file **file,
                                            enum tempera_status status,
                                            struct tempera_error *error);

#endif
