// SPDX-License-Identifier: MIT
// Inside a tokenizer: its tokens' bytes in one block, its merges by rank and by left token.
#ifndef TEMPERA_TOKENIZER_VOCABULARY_H
#define TEMPERA_TOKENIZER_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/tokenizer.h>

#include "tokenizer/byte_alphabet.h"

extern const char tempera_end_of_text[]; // "<|endoftext|>"

struct tempera_merge {
    int32_t left, right;
    int32_t token; // that they become
};

struct tempera_ranked {
    int32_t right;
    uint32_t rank;
};

struct tempera_tokenizer {
    size_t n_tokens;
    uint8_t *bytes;   // of all tokens, one after the other
    uint32_t *starts; // [n_tokens + 1] in bytes
    bool *special;    // [n_tokens]
    int32_t byte_ids[TEMPERA_N_BYTES];
    int32_t bos, eos; // -1: none
    bool adds_bos;    // a prompt begins with bos

    size_t n_merges;
    struct tempera_merge *merges; // [n_merges], best first: the rank is the number
    // The merges of one left token lie together, in order of their right token.
    struct tempera_ranked *ranked; // [n_merges]
    uint32_t *first_ranked;        // [n_tokens + 1] in ranked
};

// An empty tokenizer with room for that much; NULL if memory is out. All counts below 2^31.
struct tempera_tokenizer *tempera_tokenizer_new(size_t n_tokens, size_t nbytes, size_t n_merges);

// Appends the bytes of token number `id`; tokens are set in the order of their ids.
void tempera_tokenizer_set_token(struct tempera_tokenizer *tokenizer, int32_t id,
                                 const uint8_t *bytes, size_t nbytes, bool special);

// Fills ranked and first_ranked from merges. Returns the number of the first merge whose pair an
// earlier one has, or n_merges if each pair is there once.
size_t tempera_tokenizer_rank(struct tempera_tokenizer *tokenizer);

#define TEMPERA_NO_MERGE UINT32_MAX

// The rank of a pair, or TEMPERA_NO_MERGE.
static inline uint32_t tempera_tokenizer_find_merge(const struct tempera_tokenizer *tokenizer,
                                                    int32_t left, int32_t right)
{
    size_t low = tokenizer->first_ranked[left], high = tokenizer->first_ranked[left + 1];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tokenizer->ranked[middle].right < right)
            low = middle + 1;
        else
            high = middle;
    }
    return low < tokenizer->first_ranked[left + 1] && tokenizer->ranked[low].right == right
               ? tokenizer->ranked[low].rank
               : TEMPERA_NO_MERGE;
}

#endif
