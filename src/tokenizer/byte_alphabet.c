// SPDX-License-Identifier: MIT
#include "tokenizer/byte_alphabet.h"

#include <stdbool.h>
#include <stddef.h>

static bool stands_for_itself(uint32_t c)
{
    return (c >= '!' && c <= '~') || (c >= 0xA1 && c <= 0xFF && c != 0xAD);
}

uint32_t tempera_byte_to_character(uint8_t byte)
{
    if (stands_for_itself(byte))
        return byte;
    uint32_t n_before = 0;
    for (uint32_t b = 0; b < byte; b++)
        n_before += !stands_for_itself(b);
    return 0x100 + n_before;
}

int tempera_character_to_byte(uint32_t character)
{
    if (character < TEMPERA_N_BYTES)
        return stands_for_itself(character) ? (int)character : -1;
    for (int b = 0; b < TEMPERA_N_BYTES; b++)
        if (tempera_byte_to_character((uint8_t)b) == character)
            return b;
    return -1;
}

void tempera_byte_order(uint8_t order[TEMPERA_N_BYTES])
{
    size_t n = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t b = 0; b < TEMPERA_N_BYTES; b++)
            if (stands_for_itself(b) == (pass == 0))
                order[n++] = (uint8_t)b;
}
