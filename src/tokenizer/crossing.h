// SPDX-License-Identifier: MIT
// The ways in which the encoding of a text can continue across its end. A prompt that is encoded
// alone may end in a token that the encoding of a longer text would not have: " k", "ing" instead
// of " king". So a prompt has several encodings: tokens that end within it or at its end, then one
// token that crosses its end. Only those count that `encode` gives for some longer text.
#ifndef TEMPERA_TOKENIZER_CROSSING_H
#define TEMPERA_TOKENIZER_CROSSING_H

#include <tempera/tokenizer.h>

// Tokens that end within the text or at its end. Prefixes form a tree: each extends its parent.
struct tempera_prefix {
    size_t parent; // number of the prefix without its last token; of number 0, which is empty, 0
    int32_t token; // the last one; -1 for number 0
    size_t nbytes; // of the text, after the lead
};

// A token that follows a prefix and goes beyond the end of the text, by one byte at least. Special
// tokens go beyond every end: they are not part of the text.
struct tempera_crossing {
    size_t prefix;
    int32_t token;
};

// All of a text, in memory that tempera_crossings_free frees.
struct tempera_crossings {
    struct tempera_prefix *prefixes; // [n_prefixes], parents before what begins with them
    size_t n_prefixes;
    struct tempera_crossing *items; // [n_items], by prefix, then token
    size_t n_items;
};

// The crossings of text[nbytes]: those in the encodings of all texts that begin with it. A text
// that ends in white space is also assumed to be followed by any letter, and one that ends within a
// character by any character that this can become, whether or not the vocabulary merges the two.
//   n_lead  bytes at the beginning that are encoded already, up to the end of a token: they are
//           only context for cutting words. Prefixes begin after them. Continuations that would
//           change those tokens, by a merge across that place, are not searched for
// Encodes about one short word for each token of the vocabulary. OK or OUT_OF_MEMORY.
enum tempera_status tempera_crossings_find(struct tempera_crossings *crossings,
                                           const struct tempera_tokenizer *tokenizer,
                                           const uint8_t *text, size_t nbytes, size_t n_lead);
void tempera_crossings_free(struct tempera_crossings *crossings);

#endif
