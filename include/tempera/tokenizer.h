// SPDX-License-Identifier: MIT
// Text to token ids and back: byte-level BPE as GPT-2 does it (Sennrich, Haddow, Birch 2016,
// arXiv 1508.07909; bytes as the base alphabet: Radford et al. 2019), or plain bytes for tiny
// texts. Any bytes survive encode and decode; text need not be valid UTF-8.
//
// Ids: first the tokens of text, last the specials. The byte tokenizer has 256 bytes and one
// special. BPE: 256 bytes in GPT-2's order, then one token a merge, then the special
// "<|endoftext|>", which is the beginning and the end of a text and is never produced by encoding
// text.
#ifndef TEMPERA_TOKENIZER_H
#define TEMPERA_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/gguf.h>
#include <tempera/parallel.h>
#include <tempera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tempera_tokenizer;

// Learns vocab_size - 257 merges from text: the most frequent pair first, ties by the smaller
// pair of ids. Deterministic. On success *tokenizer is the caller's to close.
// TEXT_TOO_SHORT if the text has not enough different pairs for vocab_size (the message says how
// large a vocabulary it can give), INVALID_ARGUMENT (vocab_size < 257), OUT_OF_MEMORY.
TEMPERA_API enum tempera_status tempera_tokenizer_train(struct tempera_tokenizer **tokenizer,
                                                        const char *text, size_t nbytes,
                                                        size_t vocab_size,
                                                        struct tempera_error *error);

// 256 bytes and the special token.
TEMPERA_API enum tempera_status tempera_tokenizer_bytes(struct tempera_tokenizer **tokenizer);

// From the tokenizer.ggml.* keys of a model file. BAD_TOKENIZER (and where), UNSUPPORTED
// (another tokenizer model or pre-tokenizer than gpt2 / gpt-2).
TEMPERA_API enum tempera_status tempera_tokenizer_from_gguf(struct tempera_tokenizer **tokenizer,
                                                            const struct tempera_gguf *gguf,
                                                            struct tempera_error *error);

// Writes the tokenizer.ggml.* keys, so that llama.cpp reads them.
TEMPERA_API enum tempera_status tempera_tokenizer_to_gguf(const struct tempera_tokenizer *tokenizer,
                                                          struct tempera_gguf_writer *writer);

// Frees it and sets *tokenizer to NULL. NULL-safe.
TEMPERA_API void tempera_tokenizer_close(struct tempera_tokenizer **tokenizer);

// Number of tokens, specials included.
TEMPERA_API size_t tempera_tokenizer_n_tokens(const struct tempera_tokenizer *tokenizer);

// The id that stands for the beginning and the end of a text; -1 if there is none.
TEMPERA_API int32_t tempera_tokenizer_bos(const struct tempera_tokenizer *tokenizer);
TEMPERA_API int32_t tempera_tokenizer_eos(const struct tempera_tokenizer *tokenizer);

// True if the model was trained to have bos at the beginning of every prompt. Encoding doesn't add
// it; tempera_generate does.
TEMPERA_API bool tempera_tokenizer_adds_bos(const struct tempera_tokenizer *tokenizer);

// True for tokens that are not text (control tokens): decode gives no bytes for them.
TEMPERA_API bool tempera_tokenizer_is_special(const struct tempera_tokenizer *tokenizer,
                                              int32_t id);

// The bytes of a token, borrowed until the close; of a special one its name, "<|endoftext|>". NULL
// and 0 bytes for an id that is not a token.
TEMPERA_API const uint8_t *tempera_tokenizer_token(const struct tempera_tokenizer *tokenizer,
                                                   int32_t id, size_t *nbytes);

// Encodes text[nbytes]. *n_ids is always set to the number of ids that the text gives; the call
// writes them if capacity is enough, and otherwise writes nothing and returns BUFFER_TOO_SMALL.
// nbytes ids are always enough. No specials are added. ids may be NULL when capacity is 0.
TEMPERA_API enum tempera_status tempera_tokenizer_encode(const struct tempera_tokenizer *tokenizer,
                                                         const char *text, size_t nbytes,
                                                         int32_t *ids, size_t capacity,
                                                         size_t *n_ids);

// Decodes ids[n_ids] to bytes (no NUL is added). *nbytes is always set to the length of the
// whole; BUFFER_TOO_SMALL writes nothing. TOKEN_OUT_OF_RANGE for an id that is not a token.
TEMPERA_API enum tempera_status tempera_tokenizer_decode(const struct tempera_tokenizer *tokenizer,
                                                         const int32_t *ids, size_t n_ids,
                                                         char *text, size_t capacity,
                                                         size_t *nbytes);

// ------------------------------------------------------------------------------------------------
// Streaming: tokens may end inside a character.

// Holds back at most 3 bytes of a UTF-8 sequence that isn't complete. All zero is empty.
struct tempera_utf8_holdback {
    uint8_t bytes[4];
    uint32_t nbytes;
};

// Appends in[nbytes] and writes to out what can be shown: whole characters, and at once any byte
// that can't begin or continue one. out must hold nbytes + 3. Returns the bytes written.
TEMPERA_API size_t tempera_utf8_push(struct tempera_utf8_holdback *holdback, const uint8_t *in,
                                     size_t nbytes, char *out);

// Writes what is still held back (at most 3 bytes), at the end of a stream. Returns its length.
TEMPERA_API size_t tempera_utf8_flush(struct tempera_utf8_holdback *holdback, char *out);

#ifdef __cplusplus
}
#endif
#endif
