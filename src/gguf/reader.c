// SPDX-License-Identifier: MIT
// Lookups in an open GGUF file, and reading tensors as f32. Values of any number type: value.c.
#include "gguf/reader.h"

#include <float.h>
#include <inttypes.h>
#include <string.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/half.h"
#include "gguf/format.h"

// ------------------------------------------------------------------------------------------------
// Looking up

// The number of `name` in names[n], or n.
static size_t find_name(const struct tempera_gguf_name *names, size_t n, const char *name)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(names[middle].name, name);
        if (order == 0)
            return names[middle].index;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return n;
}

const struct tempera_gguf_entry *tempera_gguf_find(const struct tempera_gguf *gguf,
                                                   const char *key)
{
    size_t index = find_name(gguf->entry_names, gguf->n_entries, key);
    return index < gguf->n_entries ? &gguf->entries[index] : NULL;
}

const char *tempera_gguf_source_name(const struct tempera_gguf *gguf)
{
    return gguf->source.name;
}

size_t tempera_gguf_n_keys(const struct tempera_gguf *gguf)
{
    return gguf->n_entries;
}

const char *tempera_gguf_key(const struct tempera_gguf *gguf, size_t index,
                             enum tempera_gguf_type *type, bool *is_array, size_t *count)
{
    if (index >= gguf->n_entries)
        return NULL;
    const struct tempera_gguf_entry *entry = &gguf->entries[index];
    if (type != NULL)
        *type = (enum tempera_gguf_type)entry->type;
    if (is_array != NULL)
        *is_array = entry->is_array;
    if (count != NULL)
        *count = entry->count;
    return (const char *)gguf->image + entry->name_at;
}

// ------------------------------------------------------------------------------------------------
// Values

// The entry with a value of this shape; NULL and the status to return if there is none.
static const struct tempera_gguf_entry *entry_of(const struct tempera_gguf *gguf, const char *key,
                                                 bool is_array, enum tempera_status *status)
{
    const struct tempera_gguf_entry *entry = tempera_gguf_find(gguf, key);
    *status = entry == NULL                 ? TEMPERA_NOT_FOUND
              : entry->is_array != is_array ? TEMPERA_BAD_FORMAT
                                            : TEMPERA_OK;
    return *status == TEMPERA_OK ? entry : NULL;
}

// A signed integer of nbytes, sign-extended to 64 bits.
static int64_t load_signed(const uint8_t *p, size_t nbytes)
{
    switch (nbytes) {
    case 1:
        return (int8_t)p[0];
    case 2:
        return (int16_t)tempera_load_u16(p);
    case 4:
        return (int32_t)tempera_load_u32(p);
    default:
        return (int64_t)tempera_load_u64(p);
    }
}

enum tempera_status tempera_gguf_get_u64(const struct tempera_gguf *gguf, const char *key,
                                         uint64_t *value)
{
    enum tempera_status status;
    const struct tempera_gguf_entry *entry = entry_of(gguf, key, false, &status);
    if (entry == NULL)
        return status;
    const uint8_t *p = gguf->image + entry->value_at;
    int64_t number;
    switch (entry->type) {
    case TEMPERA_GGUF_U8:
        *value = p[0];
        return TEMPERA_OK;
    case TEMPERA_GGUF_U16:
        *value = tempera_load_u16(p);
        return TEMPERA_OK;
    case TEMPERA_GGUF_U32:
        *value = tempera_load_u32(p);
        return TEMPERA_OK;
    case TEMPERA_GGUF_U64:
        *value = tempera_load_u64(p);
        return TEMPERA_OK;
    case TEMPERA_GGUF_I8:
    case TEMPERA_GGUF_I16:
    case TEMPERA_GGUF_I32:
    case TEMPERA_GGUF_I64:
        number = load_signed(p, tempera_gguf_type_nbytes(entry->type));
        if (number < 0)
            return TEMPERA_BAD_FORMAT;
        *value = (uint64_t)number;
        return TEMPERA_OK;
    default:
        return TEMPERA_BAD_FORMAT;
    }
}

enum tempera_status tempera_gguf_get_u32(const struct tempera_gguf *gguf, const char *key,
                                         uint32_t *value)
{
    uint64_t wide;
    TEMPERA_TRY(tempera_gguf_get_u64(gguf, key, &wide));
    if (wide > UINT32_MAX)
        return TEMPERA_BAD_FORMAT;
    *value = (uint32_t)wide;
    return TEMPERA_OK;
}

enum tempera_status tempera_gguf_get_f32(const struct tempera_gguf *gguf, const char *key,
                                         float *value)
{
    enum tempera_status status;
    const struct tempera_gguf_entry *entry = entry_of(gguf, key, false, &status);
    if (entry == NULL)
        return status;
    const uint8_t *p = gguf->image + entry->value_at;
    if (entry->type == TEMPERA_GGUF_F32) {
        *value = tempera_bits_float(tempera_load_u32(p));
        return TEMPERA_OK;
    }
    if (entry->type != TEMPERA_GGUF_F64)
        return TEMPERA_BAD_FORMAT;
    uint64_t bits = tempera_load_u64(p);
    double wide;
    memcpy(&wide, &bits, sizeof wide);
    if (!(wide >= -FLT_MAX && wide <= FLT_MAX)) // a NaN, too
        return TEMPERA_BAD_FORMAT;
    *value = (float)wide;
    return TEMPERA_OK;
}

enum tempera_status tempera_gguf_get_bool(const struct tempera_gguf *gguf, const char *key,
                                          bool *value)
{
    enum tempera_status status;
    const struct tempera_gguf_entry *entry = entry_of(gguf, key, false, &status);
    if (entry == NULL)
        return status;
    if (entry->type != TEMPERA_GGUF_BOOL)
        return TEMPERA_BAD_FORMAT;
    *value = gguf->image[entry->value_at] != 0;
    return TEMPERA_OK;
}

enum tempera_status tempera_gguf_get_string(const struct tempera_gguf *gguf, const char *key,
                                            const char **bytes, size_t *nbytes)
{
    enum tempera_status status;
    const struct tempera_gguf_entry *entry = entry_of(gguf, key, false, &status);
    if (entry == NULL)
        return status;
    if (entry->type != TEMPERA_GGUF_STRING)
        return TEMPERA_BAD_FORMAT;
    *bytes = (const char *)gguf->image + gguf->strings[entry->value_at].at;
    *nbytes = gguf->strings[entry->value_at].nbytes;
    return TEMPERA_OK;
}

static const struct tempera_gguf_entry *strings_of(const struct tempera_gguf *gguf,
                                                   const char *key, enum tempera_status *status)
{
    const struct tempera_gguf_entry *entry = entry_of(gguf, key, true, status);
    if (entry == NULL || entry->type == TEMPERA_GGUF_STRING)
        return entry;
    *status = TEMPERA_BAD_FORMAT;
    return NULL;
}

enum tempera_status tempera_gguf_get_strings(const struct tempera_gguf *gguf, const char *key,
                                             size_t *count)
{
    enum tempera_status status;
    const struct tempera_gguf_entry *entry = strings_of(gguf, key, &status);
    if (entry != NULL)
        *count = entry->count;
    return status;
}

enum tempera_status tempera_gguf_get_strings_at(const struct tempera_gguf *gguf, const char *key,
                                                size_t index, const char **bytes, size_t *nbytes)
{
    enum tempera_status status;
    const struct tempera_gguf_entry *entry = strings_of(gguf, key, &status);
    if (entry == NULL)
        return status;
    if (index >= entry->count)
        return TEMPERA_NOT_FOUND;
    const struct tempera_gguf_span *span = &gguf->strings[entry->value_at + index];
    *bytes = (const char *)gguf->image + span->at;
    *nbytes = span->nbytes;
    return TEMPERA_OK;
}

enum tempera_status tempera_gguf_get_i32s(const struct tempera_gguf *gguf, const char *key,
                                          const int32_t **values, size_t *count)
{
    enum tempera_status status;
    const struct tempera_gguf_entry *entry = entry_of(gguf, key, true, &status);
    if (entry == NULL)
        return status;
    if (entry->type != TEMPERA_GGUF_I32 && entry->type != TEMPERA_GGUF_U32)
        return TEMPERA_BAD_FORMAT;
    *values = (const void *)(gguf->image + entry->value_at);
    *count = entry->count;
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Tensors

size_t tempera_gguf_n_tensors(const struct tempera_gguf *gguf)
{
    return gguf->n_slots;
}

const struct tempera_gguf_tensor *tempera_gguf_tensor_at(const struct tempera_gguf *gguf,
                                                         size_t index)
{
    return index < gguf->n_slots ? &gguf->slots[index].tensor : NULL;
}

const struct tempera_gguf_tensor *tempera_gguf_find_tensor(const struct tempera_gguf *gguf,
                                                           const char *name)
{
    return tempera_gguf_tensor_at(gguf, find_name(gguf->tensor_names, gguf->n_slots, name));
}

static enum tempera_status read_f32(const struct tempera_source *source, uint64_t offset,
                                    float *out, size_t n, struct tempera_error *error)
{
    enum tempera_status status = tempera_source_read(source, offset, out, n * sizeof *out, error);
    for (size_t i = 0; i < n && status == TEMPERA_OK; i++) {
        uint8_t bytes[4];
        memcpy(bytes, &out[i], sizeof bytes);
        out[i] = tempera_bits_float(tempera_load_u32(bytes));
    }
    return status;
}

static enum tempera_status read_halves(const struct tempera_source *source, uint64_t offset,
                                       float (*widen)(uint16_t), float *out, size_t n,
                                       struct tempera_error *error)
{
    uint8_t halves[16384];
    enum { CHUNK = sizeof halves / 2 };
    for (size_t done = 0; done < n; done += CHUNK) {
        size_t m = n - done < CHUNK ? n - done : CHUNK;
        TEMPERA_TRY(tempera_source_read(source, offset + 2 * done, halves, 2 * m, error));
        for (size_t i = 0; i < m; i++)
            out[done + i] = widen(tempera_load_u16(halves + 2 * i));
    }
    return TEMPERA_OK;
}

enum tempera_status tempera_gguf_read_f32(const struct tempera_gguf *gguf,
                                          const struct tempera_gguf_tensor *tensor, float *out,
                                          size_t n_elements, struct tempera_error *error)
{
    if (gguf == NULL || tensor == NULL || out == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "gguf, tensor or out is NULL");
    if (n_elements != tensor->n_elements)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "tensor %s has %" PRIu64 " elements, not %zu", tensor->name,
                            tensor->n_elements, n_elements);
    enum tempera_status status;
    switch (tensor->type) {
    case TEMPERA_F32:
        status = read_f32(&gguf->source, tensor->offset, out, n_elements, error);
        break;
    case TEMPERA_F16:
        status = read_halves(&gguf->source, tensor->offset, tempera_f16_to_f32, out, n_elements,
                             error);
        break;
    case TEMPERA_BF16:
        status = read_halves(&gguf->source, tensor->offset, tempera_bf16_to_f32, out, n_elements,
                             error);
        break;
    default:
        return tempera_fail_at(error, TEMPERA_UNSUPPORTED, tensor->offset,
                               "'%s': tensor %s is of type %" PRIu32
                               ", which can't be read: use an F32, F16 or BF16 file of this model",
                               gguf->source.name, tensor->name, tensor->type);
    }
    return status == TEMPERA_OK ? tempera_succeed(error) : status;
}
