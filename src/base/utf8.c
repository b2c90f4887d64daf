// SPDX-License-Identifier: MIT
#include "base/utf8.h"

#include <stdbool.h>

// The range of the second byte carries all of what the first leaves open.
static bool is_second(uint8_t first, uint8_t second)
{
    uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    return second >= low && second <= high;
}

size_t tempera_utf8_length(const uint8_t *bytes, size_t n)
{
    uint8_t first = bytes[0];
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (n > 1 && !is_second(first, bytes[1]))
        return 0;
    for (size_t i = 2; i < length && i < n; i++)
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

size_t tempera_utf8_decode(const uint8_t *bytes, size_t n, uint32_t *character)
{
    size_t length = tempera_utf8_length(bytes, n);
    if (length == 0 || length > n)
        return 0;
    uint32_t value = length == 1 ? bytes[0] : bytes[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++)
        value = value << 6 | (bytes[i] & 0x3Fu);
    *character = value;
    return length;
}

size_t tempera_utf8_encode(uint32_t character, uint8_t *out)
{
    if (character < 0x80) {
        out[0] = (uint8_t)character;
        return 1;
    }
    size_t length = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (character & 0x3F));
        character >>= 6;
    }
    out[0] = (uint8_t)(0xF00u >> length | character);
    return length;
}
