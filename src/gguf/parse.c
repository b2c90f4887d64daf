// SPDX-License-Identifier: MIT
// Parses a GGUF header from a source that is not trusted. One pass without recursion; each number
// of the file is checked against the bytes that are left before it is used. Tables grow with what
// was really read, never with what a count promises.
#include "gguf/parse.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/show.h"
#include "gguf/format.h"
#include "gguf/reader.h"

enum {
    MAX_HEADER_NBYTES = 256 << 20, // ten times the largest known vocabularies
    FIRST_READ_NBYTES = 64 << 10,
    MIN_KEY_NBYTES = 8 + 1 + 4 + 1,
    MIN_TENSOR_NBYTES = 8 + 1 + 4 + 4 + 8,
};

struct parser {
    struct tempera_gguf *gguf;
    struct tempera_error *error;
    enum tempera_status status;
    size_t at; // in the image, and so in the file
    size_t n_loaded;
    size_t entry_capacity, slot_capacity, string_capacity;
    const char *noun; // what is being read: "key" 3 of 20; NULL: the file's first fields
    uint64_t number, n_numbers;
    uint32_t name_at; // its name, once that is known
};

// Says what is wrong at `offset` and in which key or tensor. Returns false.
__attribute__((format(printf, 4, 5))) static bool fail(struct parser *p, enum tempera_status status,
                                                       uint64_t offset, const char *format, ...)
{
    char text[160], place[100] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (p->noun != NULL && p->name_at != 0) {
        const char *name = (const char *)p->gguf->image + p->name_at;
        char shown[TEMPERA_SHOWN_TEXT_NBYTES];
        tempera_show_text(shown, sizeof shown, name, strlen(name));
        snprintf(place, sizeof place, "%s %s: ", p->noun, shown);
    }
    if (p->noun != NULL && p->name_at == 0)
        snprintf(place, sizeof place, "%s number %" PRIu64 " of %" PRIu64 ": ", p->noun, p->number,
                 p->n_numbers);
    p->status = tempera_fail_at(p->error, status, offset, "'%s', byte %" PRIu64 ": %s%s",
                                p->gguf->source.name, offset, place, text);
    return false;
}

static bool fail_memory(struct parser *p)
{
    return fail(p, TEMPERA_OUT_OF_MEMORY, p->at, "no memory for the file's header");
}

static uint64_t n_left(const struct parser *p)
{
    return p->gguf->source.nbytes - p->at;
}

// ------------------------------------------------------------------------------------------------
// Bytes

// Loads the next nbytes of the file into the image.
static bool need(struct parser *p, uint64_t nbytes, const char *what)
{
    struct tempera_gguf *gguf = p->gguf;
    if (nbytes > n_left(p))
        return fail(p, TEMPERA_TRUNCATED_FILE, p->at,
                    "%s takes %" PRIu64 " bytes, but the file ends after %" PRIu64
                    " more: copy it again, or it is damaged",
                    what, nbytes, n_left(p));
    uint64_t end = p->at + nbytes;
    if (end <= p->n_loaded)
        return true;
    if (end > MAX_HEADER_NBYTES)
        return fail(p, TEMPERA_BAD_FORMAT, p->at,
                    "%s goes beyond the first %d MiB, beyond any model's keys and names", what,
                    MAX_HEADER_NBYTES >> 20);
    uint64_t size = 2 * (uint64_t)p->n_loaded;
    size = size < FIRST_READ_NBYTES ? FIRST_READ_NBYTES : size;
    size = size < end ? end : size;
    size = size > MAX_HEADER_NBYTES ? MAX_HEADER_NBYTES : size;
    size = size > gguf->source.nbytes ? gguf->source.nbytes : size;
    uint8_t *image = realloc(gguf->image, (size_t)size);
    if (image == NULL)
        return fail_memory(p);
    gguf->image = image;
    p->status = tempera_source_read(&gguf->source, p->n_loaded, image + p->n_loaded,
                                    (size_t)size - p->n_loaded, p->error);
    if (p->status != TEMPERA_OK)
        return false;
    p->n_loaded = (size_t)size;
    return true;
}

static bool take_u32(struct parser *p, uint32_t *value, const char *what)
{
    if (!need(p, 4, what))
        return false;
    *value = tempera_load_u32(p->gguf->image + p->at);
    p->at += 4;
    return true;
}

static bool take_u64(struct parser *p, uint64_t *value, const char *what)
{
    if (!need(p, 8, what))
        return false;
    *value = tempera_load_u64(p->gguf->image + p->at);
    p->at += 8;
    return true;
}

// A string, moved to where its length was, and ended by a NUL.
static bool take_string(struct parser *p, struct tempera_gguf_span *span)
{
    uint64_t nbytes;
    if (!take_u64(p, &nbytes, "the length of a string") || !need(p, nbytes, "a string"))
        return false;
    uint8_t *to = p->gguf->image + p->at - 8;
    memmove(to, to + 8, (size_t)nbytes);
    to[nbytes] = '\0';
    span->at = (uint32_t)(p->at - 8);
    span->nbytes = (uint32_t)nbytes;
    p->at += (size_t)nbytes;
    return true;
}

// A key or a tensor's name: neither empty, nor too long, nor with a NUL in it.
static bool take_name(struct parser *p, size_t max_nbytes, uint32_t *name_at)
{
    size_t start = p->at;
    uint64_t nbytes;
    if (!take_u64(p, &nbytes, "the length of a name"))
        return false;
    if (nbytes == 0 || nbytes > max_nbytes)
        return fail(p, TEMPERA_BAD_FORMAT, start,
                    "a name of %" PRIu64 " bytes; 1 to %zu are allowed", nbytes, max_nbytes);
    p->at = start;
    struct tempera_gguf_span span;
    if (!take_string(p, &span))
        return false;
    if (memchr(p->gguf->image + span.at, '\0', span.nbytes) != NULL)
        return fail(p, TEMPERA_BAD_FORMAT, start, "a name with a NUL byte in it");
    p->name_at = *name_at = span.at;
    return true;
}

// Makes room for one more element of nbytes in *table.
static bool grow(struct parser *p, void **table, size_t *capacity, size_t n, size_t nbytes)
{
    if (n < *capacity)
        return true;
    size_t larger = *capacity == 0 ? 64 : 2 * *capacity; // n is far below 2^32: no overflow
    void *moved = realloc(*table, larger * nbytes);
    if (moved == NULL)
        return fail_memory(p);
    *table = moved;
    *capacity = larger;
    return true;
}

// ------------------------------------------------------------------------------------------------
// Keys

static bool read_strings(struct parser *p, struct tempera_gguf_entry *entry)
{
    struct tempera_gguf *gguf = p->gguf;
    entry->value_at = (uint32_t)gguf->n_strings;
    for (size_t i = 0; i < entry->count; i++) {
        void *table = gguf->strings;
        if (!grow(p, &table, &p->string_capacity, gguf->n_strings, sizeof *gguf->strings))
            return false;
        gguf->strings = table;
        if (!take_string(p, &gguf->strings[gguf->n_strings]))
            return false;
        gguf->n_strings++;
    }
    return true;
}

static bool check_bools(struct parser *p, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (p->gguf->image[p->at + i] > 1)
            return fail(p, TEMPERA_BAD_FORMAT, p->at + i, "a bool of %d; only 0 and 1 are allowed",
                        p->gguf->image[p->at + i]);
    return true;
}

// Moves the array at p->at down to a multiple of 4, over its own count, and converts it to the byte
// order of this machine.
static uint32_t align_array(const struct parser *p, size_t count)
{
    size_t aligned = p->at & ~(size_t)3;
    uint8_t *from = p->gguf->image + p->at, *to = p->gguf->image + aligned;
    for (size_t i = 0; i < count; i++) {
        uint32_t value = tempera_load_u32(from + 4 * i);
        memcpy(to + 4 * i, &value, sizeof value);
    }
    return (uint32_t)aligned;
}

static bool read_scalars(struct parser *p, struct tempera_gguf_entry *entry)
{
    size_t nbytes = entry->count * tempera_gguf_type_nbytes(entry->type); // checked by the caller
    if (!need(p, nbytes, entry->is_array ? "an array" : "a value"))
        return false;
    if (entry->type == TEMPERA_GGUF_BOOL && !check_bools(p, entry->count))
        return false;
    entry->value_at = (uint32_t)p->at;
    if (entry->is_array && tempera_gguf_type_nbytes(entry->type) == 4)
        entry->value_at = align_array(p, entry->count);
    p->at += nbytes;
    return true;
}

static bool read_array_head(struct parser *p, struct tempera_gguf_entry *entry)
{
    size_t start = p->at;
    uint64_t count;
    if (!take_u32(p, &entry->type, "an array's type") || !take_u64(p, &count, "an array's length"))
        return false;
    if (entry->type == TEMPERA_GGUF_ARRAY)
        return fail(p, TEMPERA_BAD_FORMAT, start, "an array of arrays, which models do not have");
    size_t element = entry->type == TEMPERA_GGUF_STRING ? 8 : tempera_gguf_type_nbytes(entry->type);
    if (element != 0 && count > n_left(p) / element)
        return fail(p, TEMPERA_TRUNCATED_FILE, start + 4,
                    "an array of %" PRIu64 " elements, but only %" PRIu64
                    " bytes are left: copy the file again, or it is damaged",
                    count, n_left(p));
    entry->count = (size_t)count;
    return true;
}

static bool read_key(struct parser *p, struct tempera_gguf_entry *entry)
{
    p->name_at = 0;
    if (!take_name(p, TEMPERA_GGUF_MAX_KEY_NBYTES, &entry->name_at))
        return false;
    size_t type_at = p->at;
    if (!take_u32(p, &entry->type, "a value's type"))
        return false;
    entry->is_array = entry->type == TEMPERA_GGUF_ARRAY;
    entry->count = 1;
    if (entry->is_array && !read_array_head(p, entry))
        return false;
    if (entry->type == TEMPERA_GGUF_STRING)
        return read_strings(p, entry);
    if (tempera_gguf_type_nbytes(entry->type) == 0)
        return fail(p, TEMPERA_BAD_FORMAT, type_at,
                    "a value of type %" PRIu32 "; 0 to 12 are known", entry->type);
    return read_scalars(p, entry);
}

static bool read_keys(struct parser *p, uint64_t n)
{
    struct tempera_gguf *gguf = p->gguf;
    p->noun = "key";
    p->n_numbers = n;
    for (uint64_t i = 0; i < n; i++) {
        void *table = gguf->entries;
        if (!grow(p, &table, &p->entry_capacity, gguf->n_entries, sizeof *gguf->entries))
            return false;
        gguf->entries = table;
        p->number = i + 1;
        struct tempera_gguf_entry entry = {0};
        if (!read_key(p, &entry))
            return false;
        gguf->entries[gguf->n_entries++] = entry;
    }
    return true;
}

// ------------------------------------------------------------------------------------------------
// Tensors

// False if they do not fit in *nbytes; 0 bytes for a type that cannot be read.
static bool tensor_nbytes(uint32_t type, uint64_t n_elements, uint64_t *nbytes)
{
    uint64_t element = type == TEMPERA_F32                           ? 4
                       : type == TEMPERA_F16 || type == TEMPERA_BF16 ? 2
                                                                     : 0;
    return !__builtin_mul_overflow(element, n_elements, nbytes);
}

static bool read_dims(struct parser *p, struct tempera_gguf_tensor *tensor)
{
    size_t start = p->at;
    if (!take_u32(p, &tensor->n_dims, "the number of dimensions"))
        return false;
    if (tensor->n_dims > TEMPERA_GGUF_MAX_DIMS)
        return fail(p, TEMPERA_BAD_FORMAT, start, "%" PRIu32 " dimensions; 0 to %d are allowed",
                    tensor->n_dims, TEMPERA_GGUF_MAX_DIMS);
    tensor->n_elements = 1;
    for (uint32_t i = 0; i < TEMPERA_GGUF_MAX_DIMS; i++) {
        tensor->dims[i] = 1;
        size_t dim_at = p->at;
        if (i < tensor->n_dims && !take_u64(p, &tensor->dims[i], "a dimension"))
            return false;
        if (tensor->dims[i] == 0)
            return fail(p, TEMPERA_BAD_FORMAT, dim_at,
                        "a dimension of 0: every tensor has elements");
        if (__builtin_mul_overflow(tensor->n_elements, tensor->dims[i], &tensor->n_elements))
            return fail(p, TEMPERA_BAD_FORMAT, dim_at, "2^64 elements or more");
    }
    return true;
}

static bool read_tensor(struct parser *p, struct tempera_gguf_slot *slot)
{
    struct tempera_gguf_tensor *tensor = &slot->tensor;
    p->name_at = 0;
    if (!take_name(p, TEMPERA_GGUF_MAX_NAME_NBYTES, &slot->name_at) || !read_dims(p, tensor) ||
        !take_u32(p, &tensor->type, "a tensor's type"))
        return false;
    if (!tensor_nbytes(tensor->type, tensor->n_elements, &tensor->nbytes))
        return fail(p, TEMPERA_BAD_FORMAT, p->at,
                    "%" PRIu64 " elements, which is 2^64 bytes or more", tensor->n_elements);
    return take_u64(p, &tensor->offset, "a tensor's offset");
}

static bool read_tensors(struct parser *p, uint64_t n)
{
    struct tempera_gguf *gguf = p->gguf;
    p->noun = "tensor";
    p->n_numbers = n;
    for (uint64_t i = 0; i < n; i++) {
        void *table = gguf->slots;
        if (!grow(p, &table, &p->slot_capacity, gguf->n_slots, sizeof *gguf->slots))
            return false;
        gguf->slots = table;
        p->number = i + 1;
        struct tempera_gguf_slot slot = {0};
        if (!read_tensor(p, &slot))
            return false;
        gguf->slots[gguf->n_slots++] = slot;
    }
    return true;
}

// ------------------------------------------------------------------------------------------------
// The header as a whole

static bool read_start(struct parser *p, uint64_t *n_tensors, uint64_t *n_keys)
{
    uint32_t version;
    if (p->gguf->source.nbytes == 0)
        return fail(p, TEMPERA_TRUNCATED_FILE, 0, "the file is empty");
    size_t n_magic = p->gguf->source.nbytes < 4 ? (size_t)p->gguf->source.nbytes : 4;
    if (!need(p, n_magic, "the file's first word"))
        return false;
    if (memcmp(p->gguf->image, "GGUF", n_magic) != 0)
        return fail(p, TEMPERA_BAD_FORMAT, 0, "not a model file: it does not begin with \"GGUF\"");
    p->at = n_magic;
    if (!need(p, TEMPERA_GGUF_HEADER_NBYTES - n_magic, "the file's header") ||
        !take_u32(p, &version, "the version"))
        return false;
    if (version != 0 && (version & 0xFFFF) == 0)
        return fail(p, TEMPERA_BAD_FORMAT, 4,
                    "written for big-endian machines: fetch the little-endian file of this model");
    if (version != 2 && version != 3)
        return fail(p, TEMPERA_BAD_FORMAT, 4,
                    "GGUF version %" PRIu32 ", but 2 and 3 can be read: convert the model %s",
                    version, version < 2 ? "again" : "to version 3");
    size_t start = p->at;
    if (!take_u64(p, n_tensors, "the number of tensors") ||
        !take_u64(p, n_keys, "the number of keys"))
        return false;
    uint64_t left = n_left(p);
    if (*n_tensors > left / MIN_TENSOR_NBYTES)
        return fail(p, TEMPERA_TRUNCATED_FILE, start,
                    "%" PRIu64 " tensors can't be in the %" PRIu64 " bytes that follow", *n_tensors,
                    left);
    if (*n_keys > left / MIN_KEY_NBYTES)
        return fail(p, TEMPERA_TRUNCATED_FILE, start + 8,
                    "%" PRIu64 " keys can't be in the %" PRIu64 " bytes that follow", *n_keys,
                    left);
    return true;
}

static int compare_names(const void *a, const void *b)
{
    const struct tempera_gguf_name *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

// Sorts names[n]; fails if one is there twice.
static bool sort_names(struct parser *p, struct tempera_gguf_name *names, size_t n,
                       const char *noun)
{
    qsort(names, n, sizeof *names, compare_names);
    p->noun = noun;
    for (size_t i = 1; i < n; i++)
        if (strcmp(names[i - 1].name, names[i].name) == 0) {
            p->name_at = (uint32_t)((const uint8_t *)names[i].name - p->gguf->image);
            return fail(p, TEMPERA_BAD_FORMAT, p->name_at, "is there twice");
        }
    return true;
}

static bool index_names(struct parser *p)
{
    struct tempera_gguf *gguf = p->gguf;
    uint8_t *image = realloc(gguf->image, p->at); // gives back what was read beyond the header
    if (image != NULL)
        gguf->image = image;
    const char *text = (const char *)gguf->image;
    gguf->entry_names = calloc(gguf->n_entries + 1, sizeof *gguf->entry_names);
    gguf->tensor_names = calloc(gguf->n_slots + 1, sizeof *gguf->tensor_names);
    if (gguf->entry_names == NULL || gguf->tensor_names == NULL)
        return fail_memory(p);
    for (size_t i = 0; i < gguf->n_entries; i++)
        gguf->entry_names[i] = (struct tempera_gguf_name){text + gguf->entries[i].name_at, i};
    for (size_t i = 0; i < gguf->n_slots; i++) {
        gguf->slots[i].tensor.name = text + gguf->slots[i].name_at;
        gguf->tensor_names[i] = (struct tempera_gguf_name){gguf->slots[i].tensor.name, i};
    }
    return sort_names(p, gguf->entry_names, gguf->n_entries, "key") &&
           sort_names(p, gguf->tensor_names, gguf->n_slots, "tensor");
}

static bool find_alignment(struct parser *p, uint64_t *alignment)
{
    *alignment = TEMPERA_GGUF_ALIGNMENT;
    const struct tempera_gguf_entry *entry = tempera_gguf_find(p->gguf, "general.alignment");
    if (entry == NULL)
        return true;
    p->noun = "key";
    p->name_at = entry->name_at;
    if (entry->type != TEMPERA_GGUF_U32 || entry->is_array)
        return fail(p, TEMPERA_BAD_FORMAT, entry->name_at, "must be a u32");
    *alignment = tempera_load_u32(p->gguf->image + entry->value_at);
    if (*alignment == 0 || (*alignment & (*alignment - 1)) != 0 ||
        *alignment > TEMPERA_GGUF_MAX_ALIGNMENT)
        return fail(p, TEMPERA_BAD_FORMAT, entry->value_at,
                    "is %" PRIu64 "; allowed are powers of two from 1 to %d", *alignment,
                    TEMPERA_GGUF_MAX_ALIGNMENT);
    return true;
}

// Turns relative offsets into offsets in the file. Tensors must lie in the order of the table and
// must not overlap: then all of them together are no larger than the file, which bounds what a
// reader of all tensors allocates.
static bool place_tensors(struct parser *p)
{
    uint64_t alignment, data_at, end = 0, size = p->gguf->source.nbytes;
    if (!find_alignment(p, &alignment))
        return false;
    p->noun = "tensor";
    tempera_align(p->at, alignment, &data_at); // p->at is at most MAX_HEADER_NBYTES
    for (size_t i = 0; i < p->gguf->n_slots; i++) {
        struct tempera_gguf_tensor *tensor = &p->gguf->slots[i].tensor;
        uint64_t relative = tensor->offset, last;
        p->name_at = p->gguf->slots[i].name_at;
        if (relative % alignment != 0)
            return fail(p, TEMPERA_BAD_FORMAT, p->name_at,
                        "its offset %" PRIu64 " is not a multiple of %" PRIu64, relative,
                        alignment);
        if (__builtin_add_overflow(data_at, relative, &tensor->offset) ||
            __builtin_add_overflow(tensor->offset, tensor->nbytes, &last))
            return fail(p, TEMPERA_BAD_FORMAT, p->name_at,
                        "%" PRIu64 " bytes at offset %" PRIu64 " end beyond 2^64", tensor->nbytes,
                        relative);
        if (last > size)
            return fail(p, TEMPERA_TRUNCATED_FILE, size,
                        "its %" PRIu64 " bytes at %" PRIu64 " end beyond the file's %" PRIu64
                        ": copy the file again, or it is damaged",
                        tensor->nbytes, tensor->offset, size);
        if (tensor->offset < end)
            return fail(p, TEMPERA_BAD_FORMAT, p->name_at,
                        "begins at %" PRIu64
                        ", inside the tensor before it, which ends at %" PRIu64,
                        tensor->offset, end);
        end = last;
    }
    return true;
}

enum tempera_status tempera_gguf_parse(struct tempera_gguf *gguf, struct tempera_error *error)
{
    struct parser p = {.gguf = gguf, .error = error};
    uint64_t n_tensors, n_keys;
    bool good = read_start(&p, &n_tensors, &n_keys) && read_keys(&p, n_keys) &&
                read_tensors(&p, n_tensors) && index_names(&p) && place_tensors(&p);
    return good ? TEMPERA_OK : p.status;
}
