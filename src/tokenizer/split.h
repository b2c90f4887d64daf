// SPDX-License-Identifier: MIT
// How GPT-2 cuts a text into words before merging; merges never cross their borders:
//
//     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// that is: English endings; letters, numbers, or everything else that isn't white space, each
// with the blank before it; white space, all but its last character if a word follows.
// Classes are those of Unicode 15.1. A byte that is no UTF-8 counts as "everything else".
#ifndef TEMPERA_TOKENIZER_SPLIT_H
#define TEMPERA_TOKENIZER_SPLIT_H

#include <stddef.h>
#include <stdint.h>

// Length of the first word of text[nbytes], nbytes >= 1.
size_t tempera_split_word(const uint8_t *text, size_t nbytes);

#endif
