// SPDX-License-Identifier: MIT
// What may follow a prompt, as one row for the sampler: a column for each way in which the encoding
// of prompt and continuation can cross the prompt's end. Read first: tokenizer/crossing.h.
//
//     c      the prompt's tokens that any continuation leaves as they are, after a beginning token
//     w      the bytes of the prompt after c
//     score  of a column with prefix s = s_1 ... s_k and token t:
//                ln p(s_1 | c) + ... + ln p(s_k | c s_1 ... s_(k-1)) + ln p(t | c s) + constant
//            p is over the tokens that the tokenizer knows. The constant gives the columns of the
//            prefix with the most weight, mostly all of w, the model's own scores
#ifndef TEMPERA_MODEL_PROMPT_H
#define TEMPERA_MODEL_PROMPT_H

#include <tempera/model.h>

#include "tokenizer/crossing.h"

// Bytes of w at most. The first tokens of a longer word (in some scripts, a whole sentence) stay as
// they are, so a prompt without spaces costs no more than a word.
enum { TEMPERA_MOST_TAIL = 32 };

// A prompt as tokens, cut where the row's columns begin.
struct tempera_prompt {
    int32_t *ids; // [n_ids], c, of memory for the whole prompt
    size_t n_ids;
    size_t n_whole;      // tokens of the whole prompt, as encoded without the cut
    const uint8_t *tail; // w
    size_t tail_nbytes;  // 0: the row after c is the model's own
    size_t n_lead;       // bytes before w that say how its words go on
};

// Encodes text[nbytes]. With whole, nothing is cut off. INVALID_ARGUMENT, with a message: an empty
// text, and no token to begin one with. Freed by tempera_prompt_close.
enum tempera_status tempera_prompt_open(struct tempera_prompt *prompt,
                                        const struct tempera_tokenizer *tokenizer, const char *text,
                                        size_t nbytes, bool whole, struct tempera_error *error);
void tempera_prompt_close(struct tempera_prompt *prompt);

// All columns, in branches that share a prefix; empty if all zero.
struct tempera_prompt_row {
    struct tempera_crossings crossings; // one for each column, in the same order
    float *scores;                      // [n]
    int32_t *tokens;                    // [n]
    uint32_t *n_known;                  // [n], bytes of each token that the prompt ends with
    size_t n;
    struct tempera_branch *branches; // [n_branches]
    size_t n_branches;
    char *states; // of the branches
};

// The columns of a prompt's tail.
//   decoder  holds c, and again afterwards; its model has all tokens of the tokenizer
//   logits   [V] what it says after c; overwritten
//   state    has accepted c
// Columns that do not fit into the context have a score of -inf. OK, OUT_OF_MEMORY or what the
// decoder says.
enum tempera_status
tempera_prompt_row_open(struct tempera_prompt_row *row, const struct tempera_prompt *prompt,
                        struct tempera_decoder *decoder, const struct tempera_tokenizer *tokenizer,
                        float *logits, const struct tempera_sampler_state *state);
void tempera_prompt_row_close(struct tempera_prompt_row *row);

// The tokens between c and the token of a column, ids[TEMPERA_MOST_TAIL] at most; returns how many.
size_t tempera_prompt_row_prefix(const struct tempera_prompt_row *row, size_t column, int32_t *ids);

#endif
