// SPDX-License-Identifier: MIT
// Text from a file, or a path, as a message shows it: a terminal must not obey what a file
// contains, and a file must not fill a screen.
#ifndef TEMPERA_BASE_SHOW_H
#define TEMPERA_BASE_SHOW_H

#include <stddef.h>

// The end of a path, or the beginning of another text, where it is too long for a message, which
// holds 240 bytes.
enum { TEMPERA_SHOWN_PATH_NBYTES = 100, TEMPERA_SHOWN_TEXT_NBYTES = 72 };

// Writes text[nbytes] to shown[capacity], ended by a NUL. "\x1b" stands for a control character of
// ASCII and for a byte that is not UTF-8, "\u202E" for an invisible character or one that changes
// the direction of others. What does not fit is cut off, between characters, and replaced by "...".
// Showing what was shown already changes nothing. capacity: at least 16.
void tempera_show_text(char *shown, size_t capacity, const char *text, size_t nbytes);

// The same for a path, of which the beginning is cut off.
void tempera_show_path(char shown[TEMPERA_SHOWN_PATH_NBYTES], const char *path);

#endif
