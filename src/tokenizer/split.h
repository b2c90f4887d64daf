// SPDX-License-Identifier: MIT
// How GPT-2 cuts a text into words before merging; merges never cross their borders:
//
//     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// that is: English endings; letters, numbers, or everything else that isn't white space, each
// with the blank before it; white space, all but its last character if a word follows.
// Classes are those of Unicode 15.1. A byte that is not valid UTF-8 counts as "everything else".
#ifndef TEMPERA_TOKENIZER_SPLIT_H
#define TEMPERA_TOKENIZER_SPLIT_H

#include <stddef.h>
#include <stdint.h>

// Length of the first word of text[nbytes], nbytes >= 1.
size_t tempera_split_word(const uint8_t *text, size_t nbytes);

// Bytes at the beginning of text[nbytes] whose words are the same in every text that begins with
// it. The rest, at least the last word, depends on what follows.
size_t tempera_split_final(const uint8_t *text, size_t nbytes);

// What may follow a text, as far as its words depend on it: text[nbytes] ends in white space, in an
// unfinished English ending, or within a character. Writes to endings[TEMPERA_MOST_ENDINGS]
// examples of it, the first of which is nothing at all, and returns how many there are.
enum { TEMPERA_MOST_ENDINGS = 8 };

struct tempera_ending {
    uint8_t bytes[4];
    size_t nbytes;
};

size_t tempera_split_endings(const uint8_t *text, size_t nbytes,
                             struct tempera_ending endings[TEMPERA_MOST_ENDINGS]);

#endif
