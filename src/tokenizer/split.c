// SPDX-License-Identifier: MIT
#include "tokenizer/split.h"

#include <string.h>

#include "tokenizer/unicode_table.h"
#include "tokenizer/utf8.h"

enum char_class { OTHER, LETTER, NUMBER, SPACE };

static enum char_class class_of(uint32_t character)
{
    size_t low = 0, high = sizeof unicode_runs / sizeof *unicode_runs;
    while (high - low > 1) { // unicode_runs[low] begins at or before it, [high] after it
        size_t middle = low + (high - low) / 2;
        if (unicode_runs[middle] >> 2 <= character)
            low = middle;
        else
            high = middle;
    }
    return (enum char_class)(unicode_runs[low] & 3);
}

static enum char_class class_of_ascii(uint8_t c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return LETTER;
    if (c >= '0' && c <= '9')
        return NUMBER;
    return c == ' ' || (c >= '\t' && c <= '\r') ? SPACE : OTHER;
}

// Class and length of the character, or of the stray byte, at the start of text[nbytes].
static enum char_class next_class(const uint8_t *text, size_t nbytes, size_t *length)
{
    *length = 1;
    if (text[0] < 0x80)
        return class_of_ascii(text[0]);
    uint32_t character;
    size_t n = tempera_utf8_decode(text, nbytes, &character);
    if (n == 0)
        return OTHER;
    *length = n;
    return class_of(character);
}

// Length of "'s" and the like at the start of text[nbytes]; 0 if there is none.
static size_t english_ending(const uint8_t *text, size_t nbytes)
{
    static const char endings[][4] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    if (text[0] != '\'')
        return 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i]);
        if (n <= nbytes && memcmp(text, endings[i], n) == 0)
            return n;
    }
    return 0;
}

// White space from `at` on: all of it at the end of the text, or if it is one character; all but
// its last character where something follows.
static size_t end_of_spaces(const uint8_t *text, size_t nbytes)
{
    size_t at = 0, last = 0, length;
    while (at < nbytes && next_class(text + at, nbytes - at, &length) == SPACE) {
        last = at;
        at += length;
    }
    return at == nbytes || last == 0 ? at : last;
}

size_t tempera_split_word(const uint8_t *text, size_t nbytes)
{
    size_t ending = english_ending(text, nbytes);
    if (ending > 0)
        return ending;
    size_t length, at = text[0] == ' ' && nbytes > 1;
    enum char_class class = next_class(text + at, nbytes - at, &length);
    if (class == SPACE)
        return end_of_spaces(text, nbytes);
    do
        at += length;
    while (at < nbytes && next_class(text + at, nbytes - at, &length) == class);
    return at;
}
