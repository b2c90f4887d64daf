// SPDX-License-Identifier: MIT
// The tokens of a training: which are trained on, which are held out, and which a step sees.
//
// Held out: if no text is given for it, every twentieth block of `context` tokens of the text. A
// text of fewer than 60 blocks is used entirely for training; nothing is held out.
//
// The stream is the rest, in order. A beginning-of-text token, which is never a target, stands at
// its start and wherever a block is missing. The stream is a ring: after its end comes the
// end-of-text token as a target, then its start.
//
// Between two documents stands an end-of-text token, which is a target (and after it the
// beginning-of-text token, if that is another one).
//
// An epoch cuts the ring into windows of `context` tokens from a random offset and visits them
// in a random order, so that every token is seen equally often. Offset and order are functions
// of (seed, epoch), the windows of a step of (seed, step): there is no position to save.
#ifndef TEMPERA_TRAIN_DATA_H
#define TEMPERA_TRAIN_DATA_H

#include <stddef.h>
#include <stdint.h>

#include <tempera/tokenizer.h>
#include <tempera/train.h>

struct tempera_data {
    size_t context;
    uint64_t seed;
    int32_t bos, eos;
    int32_t *stream; // [n_stream]
    size_t n_stream;
    size_t *ends; // [n_ends], ascending: where the stream has an end-of-text token
    size_t n_ends;
    uint64_t whole_digest; // of all tokens of the text, held out or not
    int32_t *heldout;      // [n_heldout], to be read in windows of `context`
    size_t n_heldout;
    uint64_t heldout_nbytes; // what the held-out tokens stand for
    size_t *order;           // [n_windows], the order of `epoch`
    size_t n_windows;
    uint64_t epoch; // UINT64_MAX: none yet
    size_t offset;  // of window 0 in this epoch
};

// Encodes and splits. On an error *data is empty. TEXT_TOO_SHORT, UNSUPPORTED (a tokenizer
// without a beginning-of-text token), OUT_OF_MEMORY.
enum tempera_status tempera_data_open(struct tempera_data *data,
                                      const struct tempera_tokenizer *tokenizer,
                                      const struct tempera_corpus *corpus, size_t context,
                                      uint64_t seed, struct tempera_error *error);
void tempera_data_close(struct tempera_data *data);

// The windows of the step after `step` finished ones: tokens[batch, context] and targets of the
// same shape, TEMPERA_IGNORE_INDEX where there is nothing to predict.
void tempera_data_batch(struct tempera_data *data, uint64_t step, size_t batch, int32_t *tokens,
                        int32_t *targets);

// Encodes text, with an end-of-text token at each of its borders, into *ids, the caller's to free.
enum tempera_status tempera_data_encode(const struct tempera_tokenizer *tokenizer, const char *text,
                                        size_t nbytes, const size_t *borders, size_t n_borders,
                                        int32_t **ids, size_t *n_ids);

#endif
