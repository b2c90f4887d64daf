// SPDX-License-Identifier: MIT
// The tokenizer as an object: create, query, close. What it does: bpe_train.c, encode.c, gguf.c.
#include "tokenizer/vocabulary.h"

#include <stdlib.h>
#include <string.h>

const char tempera_end_of_text[] = "<|endoftext|>";

// ------------------------------------------------------------------------------------------------
// Making

struct tempera_tokenizer *tempera_tokenizer_new(size_t n_tokens, size_t nbytes, size_t n_merges)
{
    struct tempera_tokenizer *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->n_tokens = n_tokens;
    t->n_merges = n_merges;
    t->bos = t->eos = -1;
    t->bytes = malloc(nbytes + 1);
    t->starts = calloc(n_tokens + 1, sizeof *t->starts);
    t->special = calloc(n_tokens + 1, sizeof *t->special);
    t->merges = calloc(n_merges + 1, sizeof *t->merges);
    t->ranked = calloc(n_merges + 1, sizeof *t->ranked);
    t->first_ranked = calloc(n_tokens + 1, sizeof *t->first_ranked);
    if (t->bytes == NULL || t->starts == NULL || t->special == NULL || t->merges == NULL ||
        t->ranked == NULL || t->first_ranked == NULL)
        tempera_tokenizer_close(&t);
    return t;
}

void tempera_tokenizer_set_token(struct tempera_tokenizer *t, int32_t id, const uint8_t *bytes,
                                 size_t nbytes, bool special)
{
    memmove(t->bytes + t->starts[id], bytes, nbytes); // they may be there already
    t->starts[id + 1] = t->starts[id] + (uint32_t)nbytes;
    t->special[id] = special;
    if (nbytes == 1 && !special)
        t->byte_ids[bytes[0]] = id;
}

static int compare_ranked(const void *a, const void *b)
{
    const struct tempera_ranked *left = a, *right = b;
    if (left->right != right->right)
        return left->right < right->right ? -1 : 1;
    return (left->rank > right->rank) - (left->rank < right->rank);
}

size_t tempera_tokenizer_rank(struct tempera_tokenizer *t)
{
    // Counting sort by left token, then each group by right token.
    uint32_t *first = t->first_ranked;
    for (size_t i = 0; i < t->n_merges; i++)
        first[t->merges[i].left]++;
    uint32_t sum = 0;
    for (size_t i = 0; i <= t->n_tokens; i++) {
        sum += first[i];
        first[i] = sum; // the group's end, which the next loop counts down to its beginning
    }
    for (size_t i = t->n_merges; i-- > 0;)
        t->ranked[--first[t->merges[i].left]] =
            (struct tempera_ranked){t->merges[i].right, (uint32_t)i};
    size_t twice = t->n_merges;
    for (size_t i = 0; i < t->n_tokens; i++) {
        struct tempera_ranked *group = t->ranked + first[i];
        size_t n = first[i + 1] - first[i];
        qsort(group, n, sizeof *group, compare_ranked);
        for (size_t j = 1; j < n; j++)
            if (group[j].right == group[j - 1].right && group[j].rank < twice)
                twice = group[j].rank;
    }
    return twice;
}

enum tempera_status tempera_tokenizer_bytes(struct tempera_tokenizer **tokenizer)
{
    if (tokenizer == NULL)
        return TEMPERA_INVALID_ARGUMENT;
    size_t n_special = sizeof tempera_end_of_text - 1;
    struct tempera_tokenizer *t =
        tempera_tokenizer_new(TEMPERA_N_BYTES + 1, TEMPERA_N_BYTES + n_special, 0);
    if (t == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    for (int32_t i = 0; i < TEMPERA_N_BYTES; i++) {
        uint8_t byte = (uint8_t)i;
        tempera_tokenizer_set_token(t, i, &byte, 1, false);
    }
    tempera_tokenizer_set_token(t, TEMPERA_N_BYTES, (const uint8_t *)tempera_end_of_text,
                                n_special, true);
    t->bos = t->eos = TEMPERA_N_BYTES;
    tempera_tokenizer_rank(t);
    *tokenizer = t;
    return TEMPERA_OK;
}

void tempera_tokenizer_close(struct tempera_tokenizer **tokenizer)
{
    struct tempera_tokenizer *t = tokenizer != NULL ? *tokenizer : NULL;
    if (t == NULL)
        return;
    free(t->bytes);
    free(t->starts);
    free(t->special);
    free(t->merges);
    free(t->ranked);
    free(t->first_ranked);
    free(t);
    *tokenizer = NULL;
}

// ------------------------------------------------------------------------------------------------
// Asking

size_t tempera_tokenizer_n_tokens(const struct tempera_tokenizer *tokenizer)
{
    return tokenizer->n_tokens;
}

bool tempera_tokenizer_adds_bos(const struct tempera_tokenizer *tokenizer)
{
    return tokenizer->adds_bos;
}

int32_t tempera_tokenizer_bos(const struct tempera_tokenizer *tokenizer)
{
    return tokenizer->bos;
}

int32_t tempera_tokenizer_eos(const struct tempera_tokenizer *tokenizer)
{
    return tokenizer->eos;
}

static bool is_token(const struct tempera_tokenizer *tokenizer, int32_t id)
{
    return id >= 0 && (size_t)id < tokenizer->n_tokens;
}

bool tempera_tokenizer_is_special(const struct tempera_tokenizer *tokenizer, int32_t id)
{
    return is_token(tokenizer, id) && tokenizer->special[id];
}

const uint8_t *tempera_tokenizer_token(const struct tempera_tokenizer *tokenizer, int32_t id,
                                       size_t *nbytes)
{
    bool there = is_token(tokenizer, id);
    *nbytes = there ? tokenizer->starts[id + 1] - tokenizer->starts[id] : 0;
    return there ? tokenizer->bytes + tokenizer->starts[id] : NULL;
}
