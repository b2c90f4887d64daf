// SPDX-License-Identifier: MIT
// Text to ids and back. A word starts as its bytes; the adjacent pair with the best rank, the
// leftmost of equals, becomes one token, until no pair has a merge.
//
// Short words look through all pairs for the best one each time, which is quickest. Long ones
// (a megabyte of blanks is one word) keep the pairs in a heap and the tokens in a linked list:
// n log n for n bytes.
#include "tokenizer/encode.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tokenizer/split.h"
#include "tokenizer/vocabulary.h"

enum { SHORT_NBYTES = 64 };

// Memory for long words, kept from word to word.
struct scratch {
    size_t capacity; // bytes of a word
    uint64_t *heap;  // rank * 2^32 + byte: the smallest is the best pair, leftmost among equals
    size_t n_heap;
    uint32_t *ranks; // of the pair of the token that begins at this byte and the next
    uint32_t *next, *previous;
    int32_t *ids; // all after the heap, in its block
};

// ------------------------------------------------------------------------------------------------
// Short words

// Returns the number of ids.
static size_t merge_short(const struct tempera_tokenizer *t, const uint8_t *word, size_t nbytes,
                          int32_t ids[SHORT_NBYTES])
{
    uint32_t ranks[SHORT_NBYTES]; // of ids[i] and ids[i + 1]
    size_t n = nbytes;
    for (size_t i = 0; i < n; i++)
        ids[i] = t->byte_ids[word[i]];
    for (size_t i = 0; i + 1 < n; i++)
        ranks[i] = tempera_tokenizer_find_merge(t, ids[i], ids[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (ranks[i] < ranks[best])
                best = i;
        if (ranks[best] == TEMPERA_NO_MERGE)
            break;
        ids[best] = t->merges[ranks[best]].token;
        n--;
        for (size_t i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            ranks[i - 1] = ranks[i];
        }
        if (best + 1 < n)
            ranks[best] = tempera_tokenizer_find_merge(t, ids[best], ids[best + 1]);
        if (best > 0)
            ranks[best - 1] = tempera_tokenizer_find_merge(t, ids[best - 1], ids[best]);
    }
    return n;
}

// ------------------------------------------------------------------------------------------------
// Long words

static bool reserve_scratch(struct scratch *s, size_t nbytes)
{
    if (nbytes <= s->capacity)
        return true;
    free(s->heap);
    *s = (struct scratch){0};
    // A pair for each byte, and at most two more for each merge, of which there are fewer.
    size_t size, n_pairs = 3;
    if (!tempera_size_mul(nbytes, n_pairs * sizeof *s->heap + 4 * sizeof(uint32_t), &size) ||
        (s->heap = malloc(size)) == NULL)
        return false;
    s->ranks = (uint32_t *)(s->heap + n_pairs * nbytes);
    s->next = s->ranks + nbytes;
    s->previous = s->next + nbytes;
    s->ids = (int32_t *)(s->previous + nbytes);
    s->capacity = nbytes;
    return true;
}

static void push(struct scratch *s, uint64_t pair)
{
    size_t at = s->n_heap++;
    for (; at > 0 && s->heap[(at - 1) / 2] > pair; at = (at - 1) / 2)
        s->heap[at] = s->heap[(at - 1) / 2];
    s->heap[at] = pair;
}

static uint64_t pop(struct scratch *s)
{
    uint64_t top = s->heap[0], moved = s->heap[--s->n_heap];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < s->n_heap) {
        child += child + 1 < s->n_heap && s->heap[child + 1] < s->heap[child];
        if (moved <= s->heap[child])
            break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    s->heap[at] = moved;
    return top;
}

// Ranks the pair that begins at byte `at` and puts it into the heap if it has a merge.
static void rank_pair(const struct tempera_tokenizer *t, struct scratch *s, uint32_t at,
                      size_t nbytes)
{
    s->ranks[at] = s->next[at] < nbytes
                       ? tempera_tokenizer_find_merge(t, s->ids[at], s->ids[s->next[at]])
                       : TEMPERA_NO_MERGE;
    if (s->ranks[at] != TEMPERA_NO_MERGE)
        push(s, (uint64_t)s->ranks[at] << 32 | at);
}

// Leaves the ids in s->ids, from byte 0 on by s->next. nbytes < 2^32.
static void merge_long(const struct tempera_tokenizer *t, struct scratch *s, const uint8_t *word,
                       size_t nbytes)
{
    s->n_heap = 0;
    for (uint32_t i = 0; i < nbytes; i++) {
        s->ids[i] = t->byte_ids[word[i]];
        s->next[i] = i + 1;
        s->previous[i] = i - 1;
    }
    for (uint32_t i = 0; i < nbytes; i++)
        rank_pair(t, s, i, nbytes);
    while (s->n_heap > 0) {
        uint64_t pair = pop(s);
        uint32_t at = (uint32_t)pair, rank = (uint32_t)(pair >> 32);
        if (s->ranks[at] != rank) // one of the two has been merged since
            continue;
        uint32_t gone = s->next[at];
        s->ids[at] = t->merges[rank].token;
        s->next[at] = s->next[gone];
        s->ranks[gone] = TEMPERA_NO_MERGE;
        if (s->next[at] < nbytes)
            s->previous[s->next[at]] = at;
        rank_pair(t, s, at, nbytes);
        if (at > 0)
            rank_pair(t, s, s->previous[at], nbytes);
    }
}

// ------------------------------------------------------------------------------------------------
// Texts

// A part of a text: bytes begin to end of text[nbytes], whose words these are.
struct part {
    const uint8_t *text;
    size_t nbytes, begin, end;
};

// Counts the ids of a part in *n_ids, and writes those that fit below capacity.
static enum tempera_status encode(const struct tempera_tokenizer *t, const struct part *part,
                                  int32_t *ids, size_t capacity, size_t *n_ids, struct scratch *s)
{
    const uint8_t *text = part->text;
    size_t n = 0;
    for (size_t at = 0, next; at < part->end; at = next) {
        next = at + tempera_split_word(text + at, part->nbytes - at);
        if (next <= part->begin)
            continue;
        at = at > part->begin ? at : part->begin;
        size_t length = (next < part->end ? next : part->end) - at;
        if (length <= SHORT_NBYTES) {
            int32_t few[SHORT_NBYTES];
            size_t n_few = merge_short(t, text + at, length, few);
            for (size_t i = 0; i < n_few; i++, n++)
                if (n < capacity)
                    ids[n] = few[i];
            continue;
        }
        if (length >= UINT32_MAX)
            return TEMPERA_UNSUPPORTED;
        if (!reserve_scratch(s, length))
            return TEMPERA_OUT_OF_MEMORY;
        merge_long(t, s, text + at, length);
        for (size_t i = 0; i < length; i = s->next[i], n++)
            if (n < capacity)
                ids[n] = s->ids[i];
    }
    *n_ids = n;
    return TEMPERA_OK;
}

enum tempera_status tempera_tokenizer_encode(const struct tempera_tokenizer *tokenizer,
                                             const char *text, size_t nbytes, int32_t *ids,
                                             size_t capacity, size_t *n_ids)
{
    if (tokenizer == NULL || n_ids == NULL || (text == NULL && nbytes > 0) ||
        (ids == NULL && capacity > 0))
        return TEMPERA_INVALID_ARGUMENT;
    const struct part whole = {(const uint8_t *)text, nbytes, 0, nbytes};
    struct scratch scratch = {0};
    enum tempera_status status = TEMPERA_OK;
    if (capacity < nbytes) { // may be too few: count before anything is written
        status = encode(tokenizer, &whole, NULL, 0, n_ids, &scratch);
        if (status == TEMPERA_OK && *n_ids > capacity)
            status = TEMPERA_BUFFER_TOO_SMALL;
    }
    if (status == TEMPERA_OK)
        status = encode(tokenizer, &whole, ids, capacity, n_ids, &scratch);
    free(scratch.heap);
    return status;
}

enum tempera_status tempera_tokenizer_encode_part(const struct tempera_tokenizer *tokenizer,
                                                  const uint8_t *text, size_t nbytes, size_t begin,
                                                  size_t end, int32_t *ids, size_t *n_ids)
{
    const struct part part = {text, nbytes, begin, end};
    struct scratch scratch = {0};
    enum tempera_status status = encode(tokenizer, &part, ids, end - begin, n_ids, &scratch);
    free(scratch.heap);
    return status;
}

enum tempera_status tempera_tokenizer_decode(const struct tempera_tokenizer *tokenizer,
                                             const int32_t *ids, size_t n_ids, char *text,
                                             size_t capacity, size_t *nbytes)
{
    if (tokenizer == NULL || nbytes == NULL || (ids == NULL && n_ids > 0) ||
        (text == NULL && capacity > 0))
        return TEMPERA_INVALID_ARGUMENT;
    size_t total = 0, length;
    for (size_t i = 0; i < n_ids; i++) {
        if (tempera_tokenizer_token(tokenizer, ids[i], &length) == NULL)
            return TEMPERA_TOKEN_OUT_OF_RANGE;
        if (!tokenizer->special[ids[i]] && !tempera_size_add(total, length, &total))
            return TEMPERA_OUT_OF_MEMORY;
    }
    *nbytes = total;
    if (total > capacity)
        return TEMPERA_BUFFER_TOO_SMALL;
    for (size_t i = 0, at = 0; i < n_ids; i++) {
        const uint8_t *bytes = tempera_tokenizer_token(tokenizer, ids[i], &length);
        if (tokenizer->special[ids[i]])
            continue;
        memcpy(text + at, bytes, length);
        at += length;
    }
    return TEMPERA_OK;
}
