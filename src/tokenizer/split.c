// SPDX-License-Identifier: MIT
#include "tokenizer/split.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/unicode_table.h"

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

// The end of the white space that text[nbytes] begins with, and its last character.
static size_t spaces_end(const uint8_t *text, size_t nbytes, size_t *last)
{
    size_t at = 0, length;
    *last = 0;
    while (at < nbytes && next_class(text + at, nbytes - at, &length) == SPACE) {
        *last = at;
        at += length;
    }
    return at;
}

// All of the white space at the end of the text, or if it is one character; all but its last
// character where something follows.
static size_t end_of_spaces(const uint8_t *text, size_t nbytes)
{
    size_t last, end = spaces_end(text, nbytes, &last);
    return end == nbytes || last == 0 ? end : last;
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

// ------------------------------------------------------------------------------------------------
// What depends on the text that follows

// Bytes at the end of text[nbytes] that may become a character.
static size_t unfinished(const uint8_t *text, size_t nbytes)
{
    for (size_t n = 1; n <= 3 && n <= nbytes; n++)
        if (tempera_utf8_length(text + nbytes - n, n) > n)
            return n;
    return 0;
}

// A word is final once the character that ends it has been seen: for white space, the one after
// all of it; for a possible English ending, the longest one.
size_t tempera_split_final(const uint8_t *text, size_t nbytes)
{
    const size_t longest_ending = 3;
    size_t seen = nbytes - unfinished(text, nbytes), at = 0;
    while (at < nbytes) {
        size_t length = tempera_split_word(text + at, nbytes - at), last;
        size_t looked_at = spaces_end(text + at, nbytes - at, &last);
        looked_at = looked_at > length ? looked_at : length;
        if (text[at] == '\'' && looked_at < longest_ending)
            looked_at = longest_ending - 1;
        if (at + looked_at >= seen)
            break;
        at += length;
    }
    return at;
}

// Whether the last character of text[nbytes] is white space.
static bool ends_in_space(const uint8_t *text, size_t nbytes)
{
    uint32_t character;
    for (size_t n = 1; n <= 4 && n <= nbytes; n++)
        if (tempera_utf8_decode(text + nbytes - n, n, &character) == n)
            return class_of(character) == SPACE;
    return false;
}

// Whether characters first to last have one of the class, which goes to *found.
static bool find_class(uint32_t first, uint32_t last, enum char_class class, uint32_t *found)
{
    for (size_t i = 0; i < sizeof unicode_runs / sizeof *unicode_runs; i++) {
        uint32_t begin = unicode_runs[i] >> 2;
        bool is_last_run = i + 1 == sizeof unicode_runs / sizeof *unicode_runs;
        if ((unicode_runs[i] & 3) != (uint32_t) class || begin > last ||
            (!is_last_run && unicode_runs[i + 1] >> 2 <= first))
            continue;
        *found = begin > first ? begin : first;
        return true;
    }
    return false;
}

// The characters that bytes[n], the beginning of one, may become.
static void range_of(const uint8_t *bytes, size_t n, uint32_t *first, uint32_t *last)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = tempera_utf8_length(bytes, n);
    uint32_t value = bytes[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++)
        value = value << 6 | (i < n ? bytes[i] & 0x3Fu : 0);
    *first = value > least[length] ? value : least[length];
    *last = value | (((uint32_t)1 << (6 * (length - n))) - 1);
    if (*last > 0x10FFFF)
        *last = 0x10FFFF;
    if (*first < 0xD800 && *last >= 0xD800 && *last <= 0xDFFF) // the surrogates
        *last = 0xD7FF;
}

size_t tempera_split_endings(const uint8_t *text, size_t nbytes,
                             struct tempera_ending endings[TEMPERA_MOST_ENDINGS])
{
    size_t count = 0, n = unfinished(text, nbytes);
    endings[count++] = (struct tempera_ending){{0}, 0};
    if (n == 0) {
        if (ends_in_space(text, nbytes))
            endings[count++] = (struct tempera_ending){{'a'}, 1};
        if (nbytes >= 2 && text[nbytes - 2] == '\'' && strchr("rvl", text[nbytes - 1]) != NULL)
            endings[count++] = (struct tempera_ending){{text[nbytes - 1] == 'l' ? 'l' : 'e'}, 1};
        return count;
    }
    uint32_t first, last, character;
    range_of(text + nbytes - n, n, &first, &last);
    for (int class = OTHER; class <= SPACE; class ++) {
        if (!find_class(first, last, (enum char_class) class, &character))
            continue;
        uint8_t bytes[5];
        size_t length = tempera_utf8_encode(character, bytes) - n;
        struct tempera_ending *ending = &endings[count++];
        memcpy(ending->bytes, bytes + n, length);
        ending->nbytes = length;
        if (class == SPACE) {
            endings[count] = *ending;
            endings[count].bytes[length] = 'a';
            endings[count++].nbytes++;
        }
    }
    return count;
}
