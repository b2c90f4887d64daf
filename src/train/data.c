// SPDX-License-Identifier: MIT
// Tokens, the held-out split and the windows of a step. Read next: trainer.c.
#include "train/data.h"

#include <stdlib.h>
#include <string.h>

#include <tempera/loss.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/philox.h"
#include "train/digest.h"
#include "train/trainer.h"

enum { HELDOUT_EVERY = 20, HELDOUT_MIN_BLOCKS = 60 };

// Writes the tokens between two documents; returns how many.
static size_t border_tokens(const struct tempera_tokenizer *tokenizer, int32_t tokens[2])
{
    int32_t bos = tempera_tokenizer_bos(tokenizer), eos = tempera_tokenizer_eos(tokenizer);
    size_t n = 0;
    if (eos >= 0)
        tokens[n++] = eos;
    if (bos >= 0 && bos != eos)
        tokens[n++] = bos;
    return n;
}

static enum tempera_status encode_documents(const struct tempera_tokenizer *tokenizer,
                                            const char *text, size_t nbytes, const size_t *borders,
                                            size_t n_borders, int32_t *ids, size_t *n_ids)
{
    size_t n = 0, at = 0, n_document;
    for (size_t i = 0; i <= n_borders; i++) {
        size_t end = i < n_borders ? borders[i] : nbytes;
        if (end < at || end > nbytes)
            return TEMPERA_INVALID_ARGUMENT;
        TEMPERA_TRY(tempera_tokenizer_encode(tokenizer, text + at, end - at, ids + n, end - at,
                                             &n_document));
        n += n_document;
        n += i < n_borders ? border_tokens(tokenizer, ids + n) : 0;
        at = end;
    }
    *n_ids = n;
    return TEMPERA_OK;
}

enum tempera_status tempera_data_encode(const struct tempera_tokenizer *tokenizer, const char *text,
                                        size_t nbytes, const size_t *borders, size_t n_borders,
                                        int32_t **ids, size_t *n_ids)
{
    size_t most;
    *ids = NULL;
    if (!tempera_size_mul(n_borders, 2, &most) || !tempera_size_add(most, nbytes, &most) ||
        most > SIZE_MAX / sizeof **ids)
        return TEMPERA_OUT_OF_MEMORY;
    *ids = malloc(most > 0 ? most * sizeof **ids : 1);
    if (*ids == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    enum tempera_status status =
        encode_documents(tokenizer, text, nbytes, borders, n_borders, *ids, n_ids);
    if (status != TEMPERA_OK) {
        free(*ids);
        *ids = NULL;
    }
    return status;
}

// Splits ids[n], of which n_borders ended a document, into data->stream and, with `hold`,
// data->heldout. Encoding text never gives an end-of-text token, so those are where documents end.
static enum tempera_status split(struct tempera_data *data, const int32_t *ids, size_t n,
                                 size_t n_borders, bool hold)
{
    size_t block = data->context, n_blocks = n / block;
    bool keep_all = !hold || n_blocks < HELDOUT_MIN_BLOCKS;
    size_t n_held = keep_all ? 0 : n_blocks / HELDOUT_EVERY;
    data->stream = calloc(n - n_held * block + n_held + 1, sizeof *data->stream);
    if (n_held > 0)
        data->heldout = calloc(n_held * block, sizeof *data->heldout);
    data->ends = calloc(n_borders + 1, sizeof *data->ends);
    if (data->stream == NULL || data->ends == NULL || (n_held > 0 && data->heldout == NULL))
        return TEMPERA_OUT_OF_MEMORY;
    bool seam = true;
    for (size_t i = 0; i < n; i++) {
        size_t number = i / block;
        if (!keep_all && number < n_blocks && number % HELDOUT_EVERY == HELDOUT_EVERY - 1) {
            data->heldout[data->n_heldout++] = ids[i];
            seam = true;
            continue;
        }
        if (seam)
            data->stream[data->n_stream++] = data->bos;
        seam = false;
        if (n_borders > 0 && ids[i] == data->eos)
            data->ends[data->n_ends++] = data->n_stream;
        data->stream[data->n_stream++] = ids[i];
    }
    return TEMPERA_OK;
}

static enum tempera_status read_corpus(struct tempera_data *data,
                                       const struct tempera_tokenizer *tokenizer,
                                       const struct tempera_corpus *corpus,
                                       struct tempera_error *error)
{
    int32_t *ids;
    size_t n_ids;
    enum tempera_status status = tempera_data_encode(
        tokenizer, corpus->text, corpus->nbytes, corpus->borders, corpus->n_borders, &ids, &n_ids);
    if (status != TEMPERA_OK)
        return tempera_fail(error, status, "the text could not be encoded: %s",
                            tempera_status_text(status));
    data->whole_digest = tempera_digest(TEMPERA_DIGEST_EMPTY, ids, n_ids * sizeof *ids);
    if (n_ids < data->context) {
        free(ids);
        return tempera_fail(error, TEMPERA_TEXT_TOO_SHORT,
                            "the text gives %zu tokens and a context of %zu needs %zu: give "
                            "more text or choose a smaller context",
                            n_ids, data->context, data->context);
    }
    status = split(data, ids, n_ids, corpus->n_borders, corpus->heldout == NULL);
    free(ids);
    if (status == TEMPERA_OK && corpus->heldout != NULL) {
        if (corpus->heldout_nbytes == 0)
            return tempera_fail(error, TEMPERA_TEXT_TOO_SHORT,
                                "the held-out text is empty: give one, or none at all");
        status = tempera_data_encode(tokenizer, corpus->heldout, corpus->heldout_nbytes,
                                     corpus->heldout_borders, corpus->n_heldout_borders,
                                     &data->heldout, &data->n_heldout);
    }
    if (status != TEMPERA_OK)
        return tempera_fail(error, status, "no memory for the tokens of the text");
    return TEMPERA_OK;
}

enum tempera_status tempera_data_open(struct tempera_data *data,
                                      const struct tempera_tokenizer *tokenizer,
                                      const struct tempera_corpus *corpus, size_t context,
                                      uint64_t seed, struct tempera_error *error)
{
    *data = (struct tempera_data){.context = context, .seed = seed, .epoch = UINT64_MAX};
    data->bos = tempera_tokenizer_bos(tokenizer);
    data->eos = tempera_tokenizer_eos(tokenizer);
    if (data->bos < 0)
        return tempera_fail(error, TEMPERA_UNSUPPORTED,
                            "the tokenizer has no beginning-of-text token");
    if (data->eos < 0)
        data->eos = data->bos;
    enum tempera_status status = read_corpus(data, tokenizer, corpus, error);
    if (status == TEMPERA_OK) {
        for (size_t i = 0; i < data->n_heldout; i++) {
            size_t nbytes;
            tempera_tokenizer_token(tokenizer, data->heldout[i], &nbytes);
            if (!tempera_tokenizer_is_special(tokenizer, data->heldout[i]))
                data->heldout_nbytes += nbytes;
        }
        data->n_windows = data->n_stream / context;
        data->order = calloc(data->n_windows, sizeof *data->order);
        if (data->order == NULL)
            status = tempera_fail(error, TEMPERA_OUT_OF_MEMORY, "no memory for the order");
    }
    if (status != TEMPERA_OK)
        tempera_data_close(data);
    return status;
}

void tempera_data_close(struct tempera_data *data)
{
    free(data->stream);
    free(data->ends);
    free(data->heldout);
    free(data->order);
    *data = (struct tempera_data){0};
}

// A number below n, from draw number `draw` of an epoch. The bias, n / 2^64, is negligible.
static size_t draw_below(const struct tempera_data *data, uint64_t epoch, uint64_t draw, size_t n)
{
    uint32_t counter[4] = {(uint32_t)draw, (uint32_t)(draw >> 32), (uint32_t)epoch,
                           (uint32_t)(epoch >> 32)};
    uint32_t key[2] = {(uint32_t)data->seed, (uint32_t)(data->seed >> 32)};
    uint32_t random[4];
    tempera_philox4x32(counter, key, random);
    return (size_t)(((uint64_t)random[1] << 32 | random[0]) % n);
}

// Shuffles the windows for an epoch (Fisher, Yates; Durstenfeld 1964).
static void begin_epoch(struct tempera_data *data, uint64_t epoch)
{
    size_t n = data->n_windows;
    for (size_t i = 0; i < n; i++)
        data->order[i] = i;
    for (size_t i = n - 1; i > 0; i--) {
        size_t j = draw_below(data, epoch, i, i + 1);
        size_t kept = data->order[i];
        data->order[i] = data->order[j];
        data->order[j] = kept;
    }
    data->offset = draw_below(data, epoch, 0, data->n_stream);
    data->epoch = epoch;
}

static bool is_end(const struct tempera_data *data, size_t position)
{
    size_t low = 0, high = data->n_ends;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (data->ends[middle] < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < data->n_ends && data->ends[low] == position;
}

static int32_t target_at(const struct tempera_data *data, size_t position)
{
    if (position == 0)
        return data->eos; // the ring closes: the text ended
    int32_t token = data->stream[position];
    return token == data->bos && !is_end(data, position) ? TEMPERA_IGNORE_INDEX : token;
}

void tempera_data_batch(struct tempera_data *data, uint64_t step, size_t batch, int32_t *tokens,
                        int32_t *targets)
{
    size_t T = data->context;
    for (size_t b = 0; b < batch; b++) {
        uint64_t number = step * batch + b;
        uint64_t epoch = number / data->n_windows;
        if (epoch != data->epoch)
            begin_epoch(data, epoch);
        size_t window = data->order[number % data->n_windows];
        size_t at = (data->offset + window * T) % data->n_stream;
        for (size_t t = 0; t < T; t++) {
            tokens[b * T + t] = data->stream[at];
            at = at + 1 < data->n_stream ? at + 1 : 0;
            targets[b * T + t] = target_at(data, at);
        }
    }
}
