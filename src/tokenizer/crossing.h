// SPDX-License-Identifier: MIT
// How the encoding of a text may go on across its end. A prompt that is encoded by itself ends in a
// token that encoding a longer text might not make: " k", "ing" for what would be " king". So there
// are several ways to read a prompt: some tokens that end within it, or where it does, and then
// one that crosses its end. Only what `encode` makes of some longer text is one of them.
#ifndef TEMPERA_TOKENIZER_CROSSING_H
#define TEMPERA_TOKENIZER_CROSSING_H

#include <tempera/tokenizer.h>

// Tokens that end within the text, or where it does: a tree, each begins with another one.
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

// The crossings of text[nbytes]: those in the encodings of all texts that begin with it, except
// that what ends in white space, or within a character, is also taken to be followed by any letter,
// and by any character that it can become, whether or not the vocabulary would merge the two.
//   n_lead  bytes at the beginning that are encoded already, up to where a token ends: they only
//           say how the words go on. Prefixes begin after them. What would change those tokens,
//           because a merge reaches across that place, is not looked for
// Encodes about one short word for each token of the vocabulary. OK or OUT_OF_MEMORY.
enum tempera_status tempera_crossings_find(struct tempera_crossings *crossings,
                                           const struct tempera_tokenizer *tokenizer,
                                           const uint8_t *text, size_t nbytes, size_t n_lead);
void tempera_crossings_free(struct tempera_crossings *crossings);

#endif
