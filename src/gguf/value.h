// SPDX-License-Identifier: MIT
// Values of keys as numbers, whatever type their writer chose for them: one program's u32 is
// another's i64, and a number that is the same for all layers may be an array with one per layer.
#ifndef TEMPERA_GGUF_VALUE_H
#define TEMPERA_GGUF_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include <tempera/gguf.h>

// From any type of integer or float. Beyond 2^53 it is rounded, which does no harm here.
struct tempera_number {
    double value;
    size_t count; // of the array's elements, which are all equal; 1 if it is not an array
};

// NOT_FOUND: no such key. BAD_FORMAT: neither a number nor an array of equal ones.
enum tempera_status tempera_gguf_number(const struct tempera_gguf *gguf, const char *key,
                                        struct tempera_number *number);

// Element number `index` of an array of numbers, 0 <= index < count. False if it isn't one of
// integers or floats.
bool tempera_gguf_number_at(const struct tempera_gguf *gguf, const char *key, size_t index,
                            double *value);

enum { TEMPERA_SHOWN_VALUE_NBYTES = 80 };

// What a key holds, for a message: "-1", "'yarn'", "an array of 3 numbers, 8, 4, 8", "true". The
// key must be there.
void tempera_gguf_show_value(const struct tempera_gguf *gguf, const char *key,
                             char shown[TEMPERA_SHOWN_VALUE_NBYTES]);

// UNSUPPORTED, with a message, for a file that is one of the parts of a model.
enum tempera_status tempera_gguf_check_whole(const struct tempera_gguf *gguf,
                                             struct tempera_error *error);

#endif
