// SPDX-License-Identifier: MIT
// Encoding a part of a text. The whole of one: tempera/tokenizer.h.
#ifndef TEMPERA_TOKENIZER_ENCODE_H
#define TEMPERA_TOKENIZER_ENCODE_H

#include <tempera/tokenizer.h>

// Encodes bytes begin to end of text[nbytes] to ids, at most end - begin of them, in the words of
// the whole text: what encoding all of it gives there, if tokens end at both places.
enum tempera_status tempera_tokenizer_encode_part(const struct tempera_tokenizer *tokenizer,
                                                  const uint8_t *text, size_t nbytes, size_t begin,
                                                  size_t end, int32_t *ids, size_t *n_ids);

#endif
