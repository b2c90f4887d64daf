// SPDX-License-Identifier: MIT
// Text on a screen: bytes that are not trusted, as they may be shown, and how many columns they
// take. Control characters are written out, those beyond ASCII too: \n, \x1b, \u009b, \u202e. So
// are bytes that are not UTF-8, and all but ASCII where the locale isn't one of UTF-8.
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Columns of shown text: a wide character takes two, a combining mark none.
size_t cli_columns(const char *text);

// Prints shown text to stdout, and blanks up to so many columns.
void cli_print_padded(const char *text, size_t columns);

// Bytes of a token in quotes, in one line of at most so many columns; an ellipsis after the quotes
// says that more follow. text: nbytes_text bytes, 32 or more, which may cut it earlier.
void cli_quote(const uint8_t *bytes, size_t nbytes, size_t columns, char *text, size_t nbytes_text);

// The same without the quotes, of a string.
void cli_escape(const char *string, size_t columns, char *text, size_t nbytes_text);

// Whether anything of a string is written out when it's shown.
bool cli_needs_escape(const char *string);

// What a user wrote, for a message: escaped, and cut if it is very long. One of four buffers in
// turn.
const char *cli_shown(const char *string);

// A bar of `width` cells for a fraction in [0, 1], in eighths of a cell, or whole ones of '#' where
// the locale has no others. text: 3 * width + 4 bytes.
void cli_bar(double fraction, size_t width, char *text);

#endif
