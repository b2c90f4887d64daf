// SPDX-License-Identifier: MIT
// Counts distinct byte strings, kept in the order in which they came.
#ifndef TEMPERA_TOKENIZER_STRINGS_H
#define TEMPERA_TOKENIZER_STRINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tempera_string {
    const uint8_t *bytes; // borrowed
    size_t nbytes;
    uint64_t hash;
    uint64_t count; // of the adds that found it or made it
};

// All zero is empty. Freed by tempera_strings_free.
struct tempera_strings {
    struct tempera_string *strings;
    size_t n, capacity;
    size_t *slots; // number + 1 of a string; 0: free
    size_t n_slots; // a power of two, at least 2 n
};

// Counts a string, and adds it if it is new. False if memory is out.
bool tempera_strings_add(struct tempera_strings *table, const uint8_t *bytes, size_t nbytes);

void tempera_strings_free(struct tempera_strings *table);

#endif
