// SPDX-License-Identifier: MIT
// Text that a command reads: from a file or stdin, in UTF-8 or with a mark of what else it is.
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

// More than this counts as a stream without end.
#define CLI_MOST_TEXT ((size_t)1 << 30)

// Reads a whole file ("-": stdin) to malloc'ed memory with a NUL after it. A UTF-8 mark is skipped;
// UTF-16 and UTF-32 with a mark are converted; a zero byte means: not text. On failure prints
// why and returns NULL.
char *cli_read_text(const char *command, const char *path, size_t *nbytes);

// A prompt: the text of an option, stdin for "-", or a file ("-": stdin), whose last line end isn't
// part of it; where neither is given (NULL), stdin if that is a file or a pipe, else an empty text.
// Freed by the caller. On failure prints why, sets *exit_code and returns NULL.
char *cli_read_prompt(const char *command, const char *text, const char *file, int *exit_code);

// Texts one after the other, in which "<|endoftext|>" and the end of each is the end of a document.
struct cli_documents {
    char *text; // with a NUL after it
    size_t nbytes;
    size_t *borders; // [n_borders], bytes at which a document ends and the next one begins
    size_t n_borders;
};

// Appends a text. With `as_one` it is one with those before, after a blank line, and the letters
// "<|endoftext|>" are text. A line end right after the letters goes with them.
void cli_documents_add(struct cli_documents *documents, const char *text, size_t nbytes,
                       bool as_one);
void cli_documents_free(struct cli_documents *documents);

#endif
