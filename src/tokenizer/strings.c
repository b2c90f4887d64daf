// SPDX-License-Identifier: MIT
// Open addressing with linear probing.
#include "tokenizer/strings.h"

#include <stdlib.h>
#include <string.h>

// FNV-1a, mixed at the end: its low bits alone, which choose the slot, are weak.
static uint64_t hash_of(const uint8_t *bytes, size_t nbytes)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < nbytes; i++)
        hash = (hash ^ bytes[i]) * 0x100000001B3u;
    hash = (hash ^ hash >> 32) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

// The slot of this string, or the free one where it belongs. The table always has a free slot.
static size_t slot_of(const struct tempera_strings *table, const uint8_t *bytes, size_t nbytes,
                      uint64_t hash)
{
    size_t slot = (size_t)hash & (table->n_slots - 1);
    for (;;) {
        if (table->slots[slot] == 0)
            return slot;
        const struct tempera_string *string = &table->strings[table->slots[slot] - 1];
        if (string->hash == hash && string->nbytes == nbytes &&
            memcmp(string->bytes, bytes, nbytes) == 0)
            return slot;
        slot = (slot + 1) & (table->n_slots - 1);
    }
}

static bool grow(struct tempera_strings *table)
{
    if (table->n == table->capacity) {
        size_t capacity = table->capacity == 0 ? 1024 : 2 * table->capacity;
        if (capacity > SIZE_MAX / sizeof *table->strings)
            return false;
        void *strings = realloc(table->strings, capacity * sizeof *table->strings);
        if (strings == NULL)
            return false;
        table->strings = strings;
        table->capacity = capacity;
    }
    if (table->n_slots >= 2 * (table->n + 1))
        return true;
    size_t n_slots = table->n_slots == 0 ? 2048 : 2 * table->n_slots;
    size_t *slots = calloc(n_slots, sizeof *slots);
    if (slots == NULL)
        return false;
    free(table->slots);
    table->slots = slots;
    table->n_slots = n_slots;
    for (size_t i = 0; i < table->n; i++) {
        const struct tempera_string *s = &table->strings[i];
        slots[slot_of(table, s->bytes, s->nbytes, s->hash)] = i + 1;
    }
    return true;
}

bool tempera_strings_add(struct tempera_strings *table, const uint8_t *bytes, size_t nbytes)
{
    if (!grow(table))
        return false;
    uint64_t hash = hash_of(bytes, nbytes);
    size_t slot = slot_of(table, bytes, nbytes, hash);
    if (table->slots[slot] == 0) {
        table->strings[table->n] =
            (struct tempera_string){.bytes = bytes, .nbytes = nbytes, .hash = hash};
        table->slots[slot] = ++table->n;
    }
    table->strings[table->slots[slot] - 1].count++;
    return true;
}

void tempera_strings_free(struct tempera_strings *table)
{
    free(table->strings);
    free(table->slots);
    *table = (struct tempera_strings){0};
}
