// SPDX-License-Identifier: MIT
#include "gguf/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/half.h"
#include "base/show.h"
#include "gguf/format.h"
#include "gguf/reader.h"

// Where element number `index` of an entry of scalars lies.
static const uint8_t *element_at(const struct tempera_gguf *gguf,
                                 const struct tempera_gguf_entry *entry, size_t index)
{
    return gguf->image + entry->value_at + index * tempera_gguf_type_nbytes(entry->type);
}

static uint32_t load_u32(const struct tempera_gguf_entry *entry, const uint8_t *p)
{
    uint32_t value;
    if (!entry->is_array)
        return tempera_load_u32(p);
    memcpy(&value, p, sizeof value); // arrays of these have this machine's byte order
    return value;
}

static double load_f64(const uint8_t *p)
{
    uint64_t bits = tempera_load_u64(p);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// False if the entry's elements are strings or bools.
static bool load_number(const struct tempera_gguf *gguf, const struct tempera_gguf_entry *entry,
                        size_t index, double *value)
{
    if (entry->type == TEMPERA_GGUF_STRING || entry->type == TEMPERA_GGUF_BOOL)
        return false;
    const uint8_t *p = element_at(gguf, entry, index);
    switch (entry->type) {
    case TEMPERA_GGUF_U8:
        *value = p[0];
        break;
    case TEMPERA_GGUF_I8:
        *value = (int8_t)p[0];
        break;
    case TEMPERA_GGUF_U16:
        *value = tempera_load_u16(p);
        break;
    case TEMPERA_GGUF_I16:
        *value = (int16_t)tempera_load_u16(p);
        break;
    case TEMPERA_GGUF_U32:
        *value = load_u32(entry, p);
        break;
    case TEMPERA_GGUF_I32:
        *value = (int32_t)load_u32(entry, p);
        break;
    case TEMPERA_GGUF_F32:
        *value = (double)tempera_bits_float(load_u32(entry, p));
        break;
    case TEMPERA_GGUF_U64:
        *value = (double)tempera_load_u64(p);
        break;
    case TEMPERA_GGUF_I64:
        *value = (double)(int64_t)tempera_load_u64(p);
        break;
    default:
        *value = load_f64(p);
    }
    return true;
}

enum tempera_status tempera_gguf_number(const struct tempera_gguf *gguf, const char *key,
                                        struct tempera_number *number)
{
    const struct tempera_gguf_entry *entry = tempera_gguf_find(gguf, key);
    if (entry == NULL)
        return TEMPERA_NOT_FOUND;
    double first, other;
    if (entry->count == 0 || !load_number(gguf, entry, 0, &first))
        return TEMPERA_BAD_FORMAT;
    for (size_t i = 1; i < entry->count; i++)
        if (!load_number(gguf, entry, i, &other) || other != first)
            return TEMPERA_BAD_FORMAT;
    *number = (struct tempera_number){.value = first, .count = entry->count};
    return TEMPERA_OK;
}

bool tempera_gguf_number_at(const struct tempera_gguf *gguf, const char *key, size_t index,
                            double *value)
{
    const struct tempera_gguf_entry *entry = tempera_gguf_find(gguf, key);
    return entry != NULL && index < entry->count && load_number(gguf, entry, index, value);
}

// ------------------------------------------------------------------------------------------------
// For messages

// One element of an entry. Numbers of 64 bits and floats are written as they are, not as the
// rounded values that reading gives.
static void show_element(const struct tempera_gguf *gguf, const struct tempera_gguf_entry *entry,
                         size_t index, char *shown, size_t capacity)
{
    double value = 0;
    if (entry->type == TEMPERA_GGUF_STRING) {
        const struct tempera_gguf_span *span = &gguf->strings[entry->value_at + index];
        char text[TEMPERA_SHOWN_TEXT_NBYTES];
        tempera_show_text(text, sizeof text - 2, (const char *)gguf->image + span->at,
                          span->nbytes);
        snprintf(shown, capacity, "'%s'", text);
        return;
    }
    const uint8_t *p = element_at(gguf, entry, index);
    if (entry->type == TEMPERA_GGUF_BOOL)
        snprintf(shown, capacity, "%s", p[0] != 0 ? "true" : "false");
    else if (entry->type == TEMPERA_GGUF_U64)
        snprintf(shown, capacity, "%" PRIu64, tempera_load_u64(p));
    else if (entry->type == TEMPERA_GGUF_I64)
        snprintf(shown, capacity, "%" PRId64, (int64_t)tempera_load_u64(p));
    else if (load_number(gguf, entry, index, &value))
        snprintf(shown, capacity, "%.*g", entry->type == TEMPERA_GGUF_F32 ? 9 : 17, value);
}

void tempera_gguf_show_value(const struct tempera_gguf *gguf, const char *key,
                             char shown[TEMPERA_SHOWN_VALUE_NBYTES])
{
    const struct tempera_gguf_entry *entry = tempera_gguf_find(gguf, key);
    char text[3 * TEMPERA_SHOWN_VALUE_NBYTES];
    if (!entry->is_array) {
        show_element(gguf, entry, 0, shown, TEMPERA_SHOWN_VALUE_NBYTES);
        return;
    }
    const char *noun = entry->type == TEMPERA_GGUF_STRING ? "string"
                       : entry->type == TEMPERA_GGUF_BOOL ? "bool"
                                                          : "number";
    int n = snprintf(text, sizeof text, "an array of %zu %s%s", entry->count, noun,
                     entry->count == 1 ? "" : "s");
    size_t used = (size_t)n;
    for (size_t i = 0; i < entry->count && used < TEMPERA_SHOWN_VALUE_NBYTES; i++) {
        char element[TEMPERA_SHOWN_VALUE_NBYTES];
        show_element(gguf, entry, i, element, sizeof element);
        used += (size_t)snprintf(text + used, sizeof text - used, ", %s", element);
    }
    tempera_show_text(shown, TEMPERA_SHOWN_VALUE_NBYTES, text, used);
}

// ------------------------------------------------------------------------------------------------
// Parts

// llama-gguf-split cuts a model into files that each say which part they are, counted from 0.
enum tempera_status tempera_gguf_check_whole(const struct tempera_gguf *gguf,
                                             struct tempera_error *error)
{
    static const char count_key[] = "split.count";
    struct tempera_number count, number = {0};
    enum tempera_status status = tempera_gguf_number(gguf, count_key, &count);
    if (status == TEMPERA_NOT_FOUND || (status == TEMPERA_OK && count.value <= 1))
        return TEMPERA_OK;
    if (status != TEMPERA_OK) {
        char shown[TEMPERA_SHOWN_VALUE_NBYTES];
        tempera_gguf_show_value(gguf, count_key, shown);
        return tempera_fail(error, TEMPERA_BAD_FORMAT, "'%s': the key %s is %s, not a number",
                            gguf->source.name, count_key, shown);
    }
    tempera_gguf_number(gguf, "split.no", &number);
    return tempera_fail(error, TEMPERA_UNSUPPORTED,
                        "'%s' is part %.0f of %.0f of a model: join the parts with "
                        "llama-gguf-split --merge FIRST-PART OUT",
                        gguf->source.name, number.value + 1, count.value);
}
