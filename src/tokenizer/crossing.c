// SPDX-License-Identifier: MIT
// Finds the tokens that can cross the end of a text. For each position and each token that begins
// with the rest of the text from there and is longer: encodes the text up to there with the token's
// bytes, and keeps the pair if the encoding ends in this token. A token whose own encoding depends
// on what follows (white space, an unfinished character) is tried with examples of what may follow.
#include "tokenizer/crossing.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tokenizer/encode.h"
#include "tokenizer/split.h"
#include "tokenizer/vocabulary.h"

struct finder {
    struct tempera_crossings *found;
    const struct tempera_tokenizer *tokenizer;
    const uint8_t *text;
    size_t nbytes, n_lead;
    size_t prefix_capacity, item_capacity;
    uint8_t *buffer; // the text up to a token, the token, and what may follow
    int32_t *ids;    // [most bytes that are encoded]
};

// ------------------------------------------------------------------------------------------------
// What was found

// Makes room for one more entry; NULL if memory is out, and then the array is unchanged.
static void *grow(void *array, size_t count, size_t *capacity, size_t nbytes)
{
    size_t wanted = 2 * count + 64, size;
    if (count < *capacity)
        return array;
    if (!tempera_size_mul(wanted, nbytes, &size))
        return NULL;
    void *grown = realloc(array, size);
    if (grown != NULL)
        *capacity = wanted;
    return grown;
}

// The number of the prefix that goes on with a token, which is made if there is none yet; SIZE_MAX
// if memory is out.
static size_t prefix_after(struct finder *f, size_t parent, int32_t token)
{
    struct tempera_crossings *found = f->found;
    size_t nbytes;
    for (size_t i = found->n_prefixes; i-- > 1;) // the latest is the likeliest
        if (found->prefixes[i].parent == parent && found->prefixes[i].token == token)
            return i;
    void *grown =
        grow(found->prefixes, found->n_prefixes, &f->prefix_capacity, sizeof *found->prefixes);
    if (grown == NULL)
        return SIZE_MAX;
    found->prefixes = grown;
    tempera_tokenizer_token(f->tokenizer, token, &nbytes);
    found->prefixes[found->n_prefixes] =
        (struct tempera_prefix){parent, token, found->prefixes[parent].nbytes + nbytes};
    return found->n_prefixes++;
}

static bool is_known(const struct tempera_crossings *found, size_t n_before, size_t prefix)
{
    for (size_t i = n_before; i < found->n_items; i++)
        if (found->items[i].prefix == prefix)
            return true;
    return false;
}

// Adds the crossing that ids[n] are: the last of them crosses the end. Crossings from number
// n_before on are of the same token at the same place.
static enum tempera_status take(struct finder *f, const int32_t *ids, size_t n, size_t n_before)
{
    struct tempera_crossings *found = f->found;
    size_t prefix = 0;
    for (size_t i = 0; i + 1 < n && prefix != SIZE_MAX; i++)
        prefix = prefix_after(f, prefix, ids[i]);
    if (prefix == SIZE_MAX)
        return TEMPERA_OUT_OF_MEMORY;
    if (is_known(found, n_before, prefix))
        return TEMPERA_OK;
    void *grown = grow(found->items, found->n_items, &f->item_capacity, sizeof *found->items);
    if (grown == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    found->items = grown;
    found->items[found->n_items++] = (struct tempera_crossing){prefix, ids[n - 1]};
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Finding

// Tries a token at byte `at` of the text, before everything that may follow it.
static enum tempera_status try_token(struct finder *f, size_t at, int32_t token)
{
    struct tempera_ending endings[TEMPERA_MOST_ENDINGS];
    size_t length, n_ids, n_before = f->found->n_items;
    const uint8_t *bytes = tempera_tokenizer_token(f->tokenizer, token, &length);
    if (length <= f->nbytes - at || memcmp(bytes, f->text + at, f->nbytes - at) != 0)
        return TEMPERA_OK;
    memcpy(f->buffer + at, bytes, length);
    size_t n_endings = tempera_split_endings(f->buffer, at + length, endings);
    for (size_t i = 0; i < n_endings; i++) {
        memcpy(f->buffer + at + length, endings[i].bytes, endings[i].nbytes);
        enum tempera_status status =
            tempera_tokenizer_encode_part(f->tokenizer, f->buffer, at + length + endings[i].nbytes,
                                          f->n_lead, at + length, f->ids, &n_ids);
        if (status == TEMPERA_OK && f->ids[n_ids - 1] == token)
            status = take(f, f->ids, n_ids, n_before);
        if (status != TEMPERA_OK)
            return status;
    }
    return TEMPERA_OK;
}

// Tokens that are not text follow the text as it is.
static enum tempera_status take_specials(struct finder *f)
{
    size_t n_tokens = tempera_tokenizer_n_tokens(f->tokenizer), n_ids;
    enum tempera_status status = tempera_tokenizer_encode_part(
        f->tokenizer, f->text, f->nbytes, f->n_lead, f->nbytes, f->ids, &n_ids);
    for (size_t id = 0; id < n_tokens && status == TEMPERA_OK; id++) {
        f->ids[n_ids] = (int32_t)id;
        if (tempera_tokenizer_is_special(f->tokenizer, (int32_t)id))
            status = take(f, f->ids, n_ids + 1, f->found->n_items);
    }
    return status;
}

static enum tempera_status find(struct finder *f)
{
    size_t n_tokens = tempera_tokenizer_n_tokens(f->tokenizer);
    enum tempera_status status = TEMPERA_OK;
    for (size_t at = f->n_lead; at <= f->nbytes && status == TEMPERA_OK; at++) {
        memcpy(f->buffer, f->text, at);
        for (size_t id = 0; id < n_tokens && status == TEMPERA_OK; id++)
            if (!tempera_tokenizer_is_special(f->tokenizer, (int32_t)id))
                status = try_token(f, at, (int32_t)id);
    }
    return status == TEMPERA_OK ? take_specials(f) : status;
}

static int compare_crossings(const void *a, const void *b)
{
    const struct tempera_crossing *x = a, *y = b;
    if (x->prefix != y->prefix)
        return x->prefix < y->prefix ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static size_t longest_token(const struct tempera_tokenizer *tokenizer)
{
    size_t longest = 0;
    for (size_t id = 0; id < tempera_tokenizer_n_tokens(tokenizer); id++) {
        size_t nbytes;
        tempera_tokenizer_token(tokenizer, (int32_t)id, &nbytes);
        longest = nbytes > longest ? nbytes : longest;
    }
    return longest;
}

enum tempera_status tempera_crossings_find(struct tempera_crossings *crossings,
                                           const struct tempera_tokenizer *tokenizer,
                                           const uint8_t *text, size_t nbytes, size_t n_lead)
{
    size_t most = nbytes + longest_token(tokenizer) + sizeof(struct tempera_ending);
    *crossings = (struct tempera_crossings){0};
    struct finder f = {.found = crossings,
                       .tokenizer = tokenizer,
                       .text = text,
                       .nbytes = nbytes,
                       .n_lead = n_lead,
                       .prefix_capacity = 1,
                       .buffer = tempera_alloc(most, 1),
                       .ids = tempera_alloc(most, sizeof *f.ids)};
    crossings->prefixes = tempera_alloc(1, sizeof *crossings->prefixes);
    enum tempera_status status = TEMPERA_OUT_OF_MEMORY;
    if (f.buffer != NULL && f.ids != NULL && crossings->prefixes != NULL) {
        crossings->prefixes[0].token = -1;
        crossings->n_prefixes = 1;
        status = find(&f);
    }
    free(f.buffer);
    free(f.ids);
    if (status == TEMPERA_OK && crossings->n_items > 0)
        qsort(crossings->items, crossings->n_items, sizeof *crossings->items, compare_crossings);
    if (status != TEMPERA_OK)
        tempera_crossings_free(crossings);
    return status;
}

void tempera_crossings_free(struct tempera_crossings *crossings)
{
    free(crossings->prefixes);
    free(crossings->items);
    *crossings = (struct tempera_crossings){0};
}
