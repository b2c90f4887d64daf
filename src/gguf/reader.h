// SPDX-License-Identifier: MIT
// An open GGUF file: its header in memory, with tables of what lies where in it.
//
// The image is the file's bytes from 0 to the end of the tensor table, edited in place: a string
// moves down by the 8 bytes of its length, which leaves space for a NUL; arrays of 32-bit values
// move down by up to 3 bytes, which aligns them. So the header costs one block and the tables,
// however hostile its counts are. Filled by parse.c, read by reader.c.
#ifndef TEMPERA_GGUF_READER_H
#define TEMPERA_GGUF_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/gguf.h>

#include "gguf/source.h"

struct tempera_gguf_span {
    uint32_t at; // in the image
    uint32_t nbytes;
};

struct tempera_gguf_entry {
    uint32_t name_at; // in the image
    uint32_t type;    // of the value, or of an array's elements
    bool is_array;
    uint32_t value_at; // in the image; for strings, the number of the first in `strings`
    size_t count;      // 1 unless an array
};

struct tempera_gguf_slot {
    struct tempera_gguf_tensor tensor;
    uint32_t name_at; // in the image
};

// Sorted names, for looking up and for finding duplicates.
struct tempera_gguf_name {
    const char *name;
    size_t index;
};

struct tempera_gguf {
    struct tempera_source source;
    uint8_t *image;
    struct tempera_gguf_span *strings;
    size_t n_strings;
    struct tempera_gguf_entry *entries;
    size_t n_entries;
    struct tempera_gguf_slot *slots; // the tensors
    size_t n_slots;
    struct tempera_gguf_name *entry_names;  // [n_entries]
    struct tempera_gguf_name *tensor_names; // [n_slots]
};

// The entry with this key and its elements' type, or NULL.
const struct tempera_gguf_entry *tempera_gguf_find(const struct tempera_gguf *gguf,
                                                   const char *key);

// What messages call this file: its path, or "memory".
const char *tempera_gguf_source_name(const struct tempera_gguf *gguf);

#endif
