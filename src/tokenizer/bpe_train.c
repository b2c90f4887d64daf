// SPDX-License-Identifier: MIT
// Learns merges. The text is cut into words, different words are counted, and then, as often as
// tokens are wanted, the most frequent pair of adjacent tokens becomes a new token.
//
// Counts are updated rather than counted again: a position is a byte of a different word;
// tokens of a word form a linked list by their first positions, and all places of one pair form
// another. A merge touches only its own places and their neighbours, each of which loses a token:
// all merges together take no more steps than there are positions, plus a heap's logarithm.
//
// A count never rises after the merge that made the pair: all pairs that a merge adds have the
// new token in them. So the heap may hold counts that are too high, never too low, and they are
// corrected when they reach the top.
//
// No two tokens have the same bytes, as a vocabulary requires: until a token was complete, no merge
// crossed its ends, so the merges inside went as if its bytes had been alone, and the same bytes
// always come from the same pair.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/split.h"
#include "tokenizer/strings.h"
#include "tokenizer/vocabulary.h"

#define NONE UINT32_MAX

enum { MIN_COUNT = 2 }; // a pair that occurs once saves nothing

struct place {
    int32_t id;              // of the token that begins here
    uint32_t next, previous; // tokens of this word
    uint32_t pair;           // of this token and the next; NONE at the end of a word
    uint32_t pair_next, pair_previous; // places of this pair
    uint32_t word;
};

struct pair {
    int32_t left, right;
    uint64_t count; // over all words, each as often as it is in the text
    uint32_t first; // of its places
};

struct candidate {
    uint64_t count;
    uint32_t pair;
};

// A token as it stands somewhere in the text.
struct learned {
    const uint8_t *bytes;
    size_t nbytes;
};

struct trainer {
    struct tempera_strings words;
    struct place *places;
    uint32_t n_places;
    uint32_t *word_starts; // [words.n] in places
    struct pair *pairs;
    uint32_t n_pairs, pair_capacity;
    uint32_t *slots; // of a hash table: number of a pair, or NONE
    uint32_t n_slots;
    struct candidate *heap;
    size_t n_heap, heap_capacity;
    uint32_t *sorted; // the places of the pair that is being merged
    struct learned *tokens; // [n_tokens]
    struct tempera_merge *merges; // [n_tokens - TEMPERA_N_BYTES]
    size_t n_tokens;
};

// ------------------------------------------------------------------------------------------------
// Pairs

static uint32_t hash_pair(int32_t left, int32_t right)
{
    uint64_t hash = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
    return (uint32_t)((hash ^ hash >> 31) * 0xD6E8FEB86659FD93u >> 32);
}

static uint32_t slot_of(const struct trainer *l, int32_t left, int32_t right)
{
    uint32_t slot = hash_pair(left, right) & (l->n_slots - 1);
    while (l->slots[slot] != NONE && (l->pairs[l->slots[slot]].left != left ||
                                      l->pairs[l->slots[slot]].right != right))
        slot = (slot + 1) & (l->n_slots - 1);
    return slot;
}

// Room for one more pair.
static bool grow_pairs(struct trainer *l)
{
    if (l->n_pairs < l->pair_capacity)
        return true;
    if (l->pair_capacity > NONE / 8)
        return false;
    uint32_t capacity = l->pair_capacity == 0 ? 4096 : 2 * l->pair_capacity;
    struct pair *pairs = realloc(l->pairs, capacity * sizeof *pairs);
    if (pairs == NULL)
        return false;
    l->pairs = pairs;
    l->pair_capacity = capacity;
    uint32_t *slots = realloc(l->slots, 2 * (size_t)capacity * sizeof *slots);
    if (slots == NULL)
        return false;
    l->slots = slots;
    l->n_slots = 2 * capacity;
    memset(slots, 0xFF, 2 * (size_t)capacity * sizeof *slots); // NONE
    for (uint32_t i = 0; i < l->n_pairs; i++)
        slots[slot_of(l, pairs[i].left, pairs[i].right)] = i;
    return true;
}

static uint64_t weight(const struct trainer *l, uint32_t at)
{
    return l->words.strings[l->places[at].word].count;
}

// Counts the pair that begins at this place, if there is one.
static bool add_pair(struct trainer *l, uint32_t at)
{
    struct place *place = &l->places[at];
    if (place->next == NONE)
        return true;
    if (!grow_pairs(l))
        return false;
    int32_t right = l->places[place->next].id;
    uint32_t slot = slot_of(l, place->id, right);
    if (l->slots[slot] == NONE) {
        l->pairs[l->n_pairs] = (struct pair){place->id, right, 0, NONE};
        l->slots[slot] = l->n_pairs++;
    }
    struct pair *pair = &l->pairs[l->slots[slot]];
    place->pair = l->slots[slot];
    place->pair_previous = NONE;
    place->pair_next = pair->first;
    if (pair->first != NONE)
        l->places[pair->first].pair_previous = at;
    pair->first = at;
    pair->count += weight(l, at);
    return true;
}

static void remove_pair(struct trainer *l, uint32_t at)
{
    struct place *place = &l->places[at];
    if (place->pair == NONE)
        return;
    struct pair *pair = &l->pairs[place->pair];
    if (place->pair_previous != NONE)
        l->places[place->pair_previous].pair_next = place->pair_next;
    else
        pair->first = place->pair_next;
    if (place->pair_next != NONE)
        l->places[place->pair_next].pair_previous = place->pair_previous;
    pair->count -= weight(l, at);
    place->pair = NONE;
}

// ------------------------------------------------------------------------------------------------
// The heap: the most frequent pair first, ties by the smaller left, then right token

static bool is_before(const struct trainer *l, struct candidate a, struct candidate b)
{
    if (a.count != b.count)
        return a.count > b.count;
    const struct pair *p = &l->pairs[a.pair], *q = &l->pairs[b.pair];
    return p->left != q->left ? p->left < q->left : p->right < q->right;
}

static void sift_down(struct trainer *l, size_t at, struct candidate moved)
{
    size_t child;
    while ((child = 2 * at + 1) < l->n_heap) {
        child += child + 1 < l->n_heap && is_before(l, l->heap[child + 1], l->heap[child]);
        if (!is_before(l, l->heap[child], moved))
            break;
        l->heap[at] = l->heap[child];
        at = child;
    }
    l->heap[at] = moved;
}

static bool push(struct trainer *l, uint32_t pair)
{
    struct candidate pushed = {l->pairs[pair].count, pair};
    if (pushed.count < MIN_COUNT)
        return true;
    if (l->n_heap == l->heap_capacity) {
        size_t capacity = l->heap_capacity == 0 ? 4096 : 2 * l->heap_capacity;
        struct candidate *heap = realloc(l->heap, capacity * sizeof *heap);
        if (heap == NULL)
            return false;
        l->heap = heap;
        l->heap_capacity = capacity;
    }
    size_t at = l->n_heap++;
    for (; at > 0 && is_before(l, pushed, l->heap[(at - 1) / 2]); at = (at - 1) / 2)
        l->heap[at] = l->heap[(at - 1) / 2];
    l->heap[at] = pushed;
    return true;
}

// Removes and returns the most frequent pair; NONE if no pair occurs MIN_COUNT times.
static uint32_t pop(struct trainer *l)
{
    while (l->n_heap > 0) {
        struct candidate top = l->heap[0];
        uint64_t count = l->pairs[top.pair].count;
        if (count >= MIN_COUNT && count < top.count) {
            top.count = count;
            sift_down(l, 0, top);
            continue;
        }
        struct candidate last = l->heap[--l->n_heap];
        if (l->n_heap > 0)
            sift_down(l, 0, last);
        if (count >= MIN_COUNT)
            return top.pair;
    }
    return NONE;
}

// ------------------------------------------------------------------------------------------------
// Merging

static int compare_places(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

// Merges the token at this place with the one after it.
static bool merge_at(struct trainer *l, uint32_t at, int32_t id)
{
    struct place *place = &l->places[at];
    uint32_t gone = place->next, previous = place->previous;
    if (previous != NONE)
        remove_pair(l, previous);
    remove_pair(l, at);
    remove_pair(l, gone);
    place->id = id;
    place->next = l->places[gone].next;
    if (place->next != NONE)
        l->places[place->next].previous = at;
    return (previous == NONE || add_pair(l, previous)) && add_pair(l, at);
}

// Merges everywhere. Places are taken from the left, since in "aaa" only one of two can be.
static bool merge_everywhere(struct trainer *l, uint32_t merged, int32_t id)
{
    uint32_t n = 0, n_pairs = l->n_pairs;
    for (uint32_t at = l->pairs[merged].first; at != NONE; at = l->places[at].pair_next)
        l->sorted[n++] = at;
    if (l->pairs[merged].left == l->pairs[merged].right)
        qsort(l->sorted, n, sizeof *l->sorted, compare_places);
    for (uint32_t i = 0; i < n; i++)
        if (l->places[l->sorted[i]].pair == merged && !merge_at(l, l->sorted[i], id))
            return false;
    for (uint32_t i = n_pairs; i < l->n_pairs; i++)
        if (!push(l, i))
            return false;
    return true;
}

// Learns until there are n_tokens tokens or no more pairs.
static bool learn(struct trainer *l, size_t n_tokens)
{
    while (l->n_tokens < n_tokens) {
        uint32_t best = pop(l);
        if (best == NONE)
            return true;
        struct pair pair = l->pairs[best];
        const struct place *place = &l->places[pair.first];
        const struct tempera_string *word = &l->words.strings[place->word];
        struct learned token = {word->bytes + (pair.first - l->word_starts[place->word]),
                                l->tokens[pair.left].nbytes + l->tokens[pair.right].nbytes};
        int32_t id = (int32_t)l->n_tokens;
        l->tokens[id] = token;
        l->merges[id - TEMPERA_N_BYTES] = (struct tempera_merge){pair.left, pair.right, id};
        l->n_tokens++;
        if (!merge_everywhere(l, best, id))
            return false;
    }
    return true;
}

// ------------------------------------------------------------------------------------------------
// Beginning and end

static bool count_words(struct trainer *l, const uint8_t *text, size_t nbytes)
{
    for (size_t at = 0, length; at < nbytes; at += length) {
        length = tempera_split_word(text + at, nbytes - at);
        if (length > 1 && !tempera_strings_add(&l->words, text + at, length))
            return false;
    }
    return true;
}

static bool make_tables(struct trainer *l, size_t n_tokens)
{
    size_t n = 0;
    for (size_t i = 0; i < l->words.n; i++)
        if (!tempera_size_add(n, l->words.strings[i].nbytes, &n))
            return false;
    if (n >= NONE)
        return false;
    l->n_places = (uint32_t)n;
    l->places = tempera_alloc(n, sizeof *l->places);
    l->sorted = tempera_alloc(n, sizeof *l->sorted);
    l->word_starts = tempera_alloc(l->words.n, sizeof *l->word_starts);
    l->tokens = tempera_alloc(n_tokens, sizeof *l->tokens);
    l->merges = tempera_alloc(n_tokens, sizeof *l->merges);
    return l->places != NULL && l->sorted != NULL && l->word_starts != NULL && l->tokens != NULL &&
           l->merges != NULL;
}

static bool begin(struct trainer *l, const uint8_t *order)
{
    int32_t ids[TEMPERA_N_BYTES];
    for (int32_t i = 0; i < TEMPERA_N_BYTES; i++) {
        ids[order[i]] = i;
        l->tokens[i] = (struct learned){&order[i], 1};
    }
    l->n_tokens = TEMPERA_N_BYTES;
    uint32_t at = 0;
    for (uint32_t w = 0; w < l->words.n; w++) {
        const struct tempera_string *word = &l->words.strings[w];
        uint32_t length = (uint32_t)word->nbytes;
        l->word_starts[w] = at;
        for (uint32_t i = 0; i < length; i++, at++)
            l->places[at] = (struct place){.id = ids[word->bytes[i]],
                                           .next = i + 1 < length ? at + 1 : NONE,
                                           .previous = i > 0 ? at - 1 : NONE,
                                           .pair = NONE,
                                           .word = w};
    }
    for (uint32_t i = 0; i < l->n_places; i++)
        if (!add_pair(l, i))
            return false;
    for (uint32_t i = 0; i < l->n_pairs; i++)
        if (!push(l, i))
            return false;
    return true;
}

static struct tempera_tokenizer *finish(const struct trainer *l)
{
    size_t n_special = strlen(tempera_end_of_text), nbytes = n_special;
    for (size_t i = 0; i < l->n_tokens; i++)
        if (!tempera_size_add(nbytes, l->tokens[i].nbytes, &nbytes) || nbytes > UINT32_MAX)
            return NULL;
    size_t n_merges = l->n_tokens - TEMPERA_N_BYTES;
    struct tempera_tokenizer *t = tempera_tokenizer_new(l->n_tokens + 1, nbytes, n_merges);
    if (t == NULL)
        return NULL;
    int32_t n = (int32_t)l->n_tokens;
    for (int32_t i = 0; i < n; i++)
        tempera_tokenizer_set_token(t, i, l->tokens[i].bytes, l->tokens[i].nbytes, false);
    tempera_tokenizer_set_token(t, n, (const uint8_t *)tempera_end_of_text, n_special, true);
    t->bos = t->eos = n;
    memcpy(t->merges, l->merges, n_merges * sizeof *t->merges);
    tempera_tokenizer_rank(t);
    return t;
}

static void free_trainer(struct trainer *l)
{
    tempera_strings_free(&l->words);
    free(l->places);
    free(l->word_starts);
    free(l->pairs);
    free(l->slots);
    free(l->heap);
    free(l->sorted);
    free(l->tokens);
    free(l->merges);
}

enum tempera_status tempera_tokenizer_train(struct tempera_tokenizer **tokenizer,
                                            const char *text, size_t nbytes, size_t vocab_size,
                                            struct tempera_error *error)
{
    if (tokenizer == NULL || (text == NULL && nbytes > 0))
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "tokenizer or text is NULL");
    if (vocab_size <= TEMPERA_N_BYTES || vocab_size > INT32_MAX)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "a vocabulary of %zu tokens; at least %d are needed", vocab_size,
                            TEMPERA_N_BYTES + 1);
    uint8_t order[TEMPERA_N_BYTES];
    tempera_byte_order(order);
    struct trainer trainer = {0};
    struct tempera_tokenizer *trained = NULL;
    bool good = count_words(&trainer, (const uint8_t *)text, nbytes) &&
                make_tables(&trainer, vocab_size) && begin(&trainer, order) &&
                learn(&trainer, vocab_size - 1);
    size_t n_possible = trainer.n_tokens + 1;
    if (good && n_possible == vocab_size)
        trained = finish(&trainer);
    free_trainer(&trainer);
    if (good && n_possible < vocab_size)
        return tempera_fail(error, TEMPERA_TEXT_TOO_SHORT,
                            "%zu bytes of text give a vocabulary of at most %zu tokens, not %zu: "
                            "ask for fewer, or give more text",
                            nbytes, n_possible, vocab_size);
    if (trained == NULL)
        return tempera_fail(error, TEMPERA_OUT_OF_MEMORY,
                            "no memory to learn a vocabulary from %zu bytes of text", nbytes);
    *tokenizer = trained;
    return tempera_succeed(error);
}
