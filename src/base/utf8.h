// SPDX-License-Identifier: MIT
// UTF-8 as Unicode defines it (table 3-7): no overlong forms, no surrogates, up to U+10FFFF.
#ifndef TEMPERA_BASE_UTF8_H
#define TEMPERA_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

// If bytes[n], n >= 1, are a character or can become one by more bytes: how many bytes it has in
// all (1 to 4; may be less than n, and then only those count). Otherwise 0.
size_t tempera_utf8_length(const uint8_t *bytes, size_t n);

// The character at the start of bytes[n], n >= 1, and its length; 0 if there is none.
size_t tempera_utf8_decode(const uint8_t *bytes, size_t n, uint32_t *character);

// Writes a character (at most U+10FFFF, no surrogate) to out[4] and returns its length.
size_t tempera_utf8_encode(uint32_t character, uint8_t *out);

#endif
