// SPDX-License-Identifier: MIT
// Where a reader takes its bytes from: memory, or a file. Files are read with pread and never
// mapped: a file that is truncated while it is open gives an error, not a SIGBUS.
#ifndef TEMPERA_GGUF_SOURCE_H
#define TEMPERA_GGUF_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include <tempera/status.h>

#include "base/show.h"

struct tempera_source {
    const uint8_t *memory; // borrowed; NULL for a file
    int fd;                // -1 for memory
    uint64_t nbytes;
    char name[TEMPERA_SHOWN_PATH_NBYTES]; // for messages
};

// FILE_NOT_FOUND, IO_ERROR (also if it is not a regular file).
enum tempera_status tempera_source_open(struct tempera_source *source, const char *path,
                                        struct tempera_error *error);
void tempera_source_open_memory(struct tempera_source *source, const void *data, size_t nbytes);
void tempera_source_close(struct tempera_source *source);

// Reads exactly nbytes at offset. TRUNCATED_FILE if they aren't all there.
enum tempera_status tempera_source_read(const struct tempera_source *source, uint64_t offset,
                                        void *out, size_t nbytes, struct tempera_error *error);

#endif
