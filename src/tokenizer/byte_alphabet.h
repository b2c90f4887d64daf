// SPDX-License-Identifier: MIT
// The characters that stand for bytes in the files of a byte-level tokenizer.
#ifndef TEMPERA_TOKENIZER_BYTE_ALPHABET_H
#define TEMPERA_TOKENIZER_BYTE_ALPHABET_H

#include <stdint.h>

enum { TEMPERA_N_BYTES = 256 };

// GPT-2 writes bytes as visible characters: those from '!' to '~' and most of Latin-1
// stand for themselves, the other 68 are U+0100 and on, in order. Its first 256 ids follow the
// same order of characters.
uint32_t tempera_byte_to_character(uint8_t byte);
int tempera_character_to_byte(uint32_t character); // -1: not of this alphabet
void tempera_byte_order(uint8_t order[TEMPERA_N_BYTES]);

#endif
