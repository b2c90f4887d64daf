// SPDX-License-Identifier: MIT
#include "base/show.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static const char dots[] = "...";
enum { N_DOTS = sizeof dots - 1, MOST_NBYTES = 8 }; // of one character, "\UE0001" and its NUL

// Controls (C1), and the characters of Unicode that are invisible or change the direction of what
// follows: what they do to a line, its reader can't see.
static bool is_hidden(uint32_t c)
{
    static const uint32_t ranges[][2] = {
        {0x80, 0x9F},     {0xAD, 0xAD},     {0x61C, 0x61C},   {0x180E, 0x180E}, {0x200B, 0x200F},
        {0x2028, 0x202E}, {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

// Writes the first character of text[nbytes] to out and sets *n_out; returns how many bytes it is.
static size_t show_character(const uint8_t *text, size_t nbytes, char out[MOST_NBYTES],
                             size_t *n_out)
{
    uint32_t c;
    size_t length = tempera_utf8_decode(text, nbytes, &c);
    if (length == 0 || c < 0x20 || c == 0x7F) {
        *n_out = (size_t)snprintf(out, MOST_NBYTES, "\\x%02x", (unsigned)text[0]);
        return 1;
    }
    if (is_hidden(c)) {
        *n_out =
            (size_t)snprintf(out, MOST_NBYTES, c > 0xFFFF ? "\\U%05" PRIx32 : "\\u%04" PRIx32, c);
        return length;
    }
    memcpy(out, text, length);
    *n_out = length;
    return length;
}

static size_t shown_nbytes(const uint8_t *text, size_t nbytes)
{
    char piece[MOST_NBYTES];
    size_t total = 0, n;
    for (size_t at = 0; at < nbytes; total += n)
        at += show_character(text + at, nbytes - at, piece, &n);
    return total;
}

void tempera_show_text(char *shown, size_t capacity, const char *text, size_t nbytes)
{
    const uint8_t *bytes = (const uint8_t *)text;
    char piece[MOST_NBYTES];
    size_t used = 0, cut = 0, n; // cut: where the dots have room
    for (size_t at = 0; at < nbytes; used += n) {
        at += show_character(bytes + at, nbytes - at, piece, &n);
        if (used + n >= capacity) {
            strcpy(shown + cut, dots);
            return;
        }
        memcpy(shown + used, piece, n);
        if (used + n + N_DOTS < capacity)
            cut = used + n;
    }
    shown[used] = '\0';
}

void tempera_show_path(char shown[TEMPERA_SHOWN_PATH_NBYTES], const char *path)
{
    const uint8_t *bytes = (const uint8_t *)path;
    size_t nbytes = strlen(path), left = shown_nbytes(bytes, nbytes), n;
    if (left < TEMPERA_SHOWN_PATH_NBYTES) {
        tempera_show_text(shown, TEMPERA_SHOWN_PATH_NBYTES, path, nbytes);
        return;
    }
    char piece[MOST_NBYTES];
    for (; left + N_DOTS >= TEMPERA_SHOWN_PATH_NBYTES; left -= n) {
        size_t length = show_character(bytes, nbytes, piece, &n);
        bytes += length;
        nbytes -= length;
    }
    strcpy(shown, dots);
    tempera_show_text(shown + N_DOTS, TEMPERA_SHOWN_PATH_NBYTES - N_DOTS, (const char *)bytes,
                      nbytes);
}
