// SPDX-License-Identifier: MIT
// Collects keys as the bytes of the file, and tensors as a table, then writes both.
#include <stdlib.h>
#include <string.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/half.h"
#include "base/memory.h"
#include "gguf/format.h"
#include "gguf/safe_file.h"

struct tensor {
    char name[TEMPERA_GGUF_MAX_NAME_NBYTES + 1];
    enum tempera_dtype dtype;
    uint32_t n_dims;
    uint64_t dims[TEMPERA_GGUF_MAX_DIMS];
    const float *data; // borrowed
    uint64_t n_elements;
    uint64_t nbytes;
    uint64_t offset; // in the data part
};

struct tempera_gguf_writer {
    uint8_t *keys; // as they will stand in the file
    size_t n_key_bytes, key_capacity;
    size_t *key_starts; // of each key in `keys`
    size_t n_keys, key_start_capacity;
    size_t n_strings_due; // strings still to be appended to the last key
    struct tensor *tensors;
    size_t n_tensors, tensor_capacity;
    uint64_t data_end; // of the last tensor in the data part
};

enum tempera_status tempera_gguf_writer_open(struct tempera_gguf_writer **writer)
{
    if (writer == NULL)
        return TEMPERA_INVALID_ARGUMENT;
    *writer = calloc(1, sizeof **writer);
    return *writer != NULL ? TEMPERA_OK : TEMPERA_OUT_OF_MEMORY;
}

void tempera_gguf_writer_close(struct tempera_gguf_writer **writer)
{
    if (writer == NULL || *writer == NULL)
        return;
    free((*writer)->keys);
    free((*writer)->key_starts);
    free((*writer)->tensors);
    free(*writer);
    *writer = NULL;
}

// ------------------------------------------------------------------------------------------------
// Keys

// Makes room for n more elements of nbytes after the first n_used of *table.
static bool reserve(void **table, size_t *capacity, size_t n_used, size_t n, size_t nbytes)
{
    size_t needed, total;
    if (!tempera_size_add(n_used, n, &needed))
        return false;
    if (needed <= *capacity)
        return true;
    size_t larger = *capacity <= SIZE_MAX / 2 && 2 * *capacity > needed ? 2 * *capacity : needed;
    if (!tempera_size_mul(larger, nbytes, &total))
        return false;
    void *moved = realloc(*table, total);
    if (moved == NULL)
        return false;
    *table = moved;
    *capacity = larger;
    return true;
}

static bool reserve_bytes(struct tempera_gguf_writer *writer, size_t n)
{
    void *keys = writer->keys;
    bool reserved = reserve(&keys, &writer->key_capacity, writer->n_key_bytes, n, 1);
    writer->keys = keys;
    return reserved;
}

// These write into bytes that were reserved.

static void put(struct tempera_gguf_writer *writer, const void *bytes, size_t nbytes)
{
    if (nbytes > 0)
        memcpy(writer->keys + writer->n_key_bytes, bytes, nbytes);
    writer->n_key_bytes += nbytes;
}

static void put_u32(struct tempera_gguf_writer *writer, uint32_t value)
{
    uint8_t bytes[4];
    tempera_store_u32(bytes, value);
    put(writer, bytes, sizeof bytes);
}

static void put_u64(struct tempera_gguf_writer *writer, uint64_t value)
{
    uint8_t bytes[8];
    tempera_store_u64(bytes, value);
    put(writer, bytes, sizeof bytes);
}

static void put_string(struct tempera_gguf_writer *writer, const char *bytes, size_t nbytes)
{
    put_u64(writer, nbytes);
    put(writer, bytes, nbytes);
}

static bool has_key(const struct tempera_gguf_writer *writer, const char *key, size_t nbytes)
{
    for (size_t i = 0; i < writer->n_keys; i++) {
        const uint8_t *at = writer->keys + writer->key_starts[i];
        if (tempera_load_u64(at) == nbytes && memcmp(at + 8, key, nbytes) == 0)
            return true;
    }
    return false;
}

// Writes key and type, and reserves nbytes for the value that the caller puts next.
static enum tempera_status begin_key(struct tempera_gguf_writer *writer, const char *key,
                                     uint32_t type, size_t nbytes)
{
    if (writer == NULL || key == NULL || writer->n_strings_due > 0)
        return TEMPERA_INVALID_ARGUMENT;
    size_t key_nbytes = strlen(key), total;
    if (key_nbytes == 0 || key_nbytes > TEMPERA_GGUF_MAX_KEY_NBYTES ||
        strcmp(key, "general.alignment") == 0 || has_key(writer, key, key_nbytes))
        return TEMPERA_INVALID_ARGUMENT;
    void *starts = writer->key_starts;
    bool reserved = reserve(&starts, &writer->key_start_capacity, writer->n_keys, 1,
                            sizeof *writer->key_starts);
    writer->key_starts = starts;
    if (!reserved || !tempera_size_add(nbytes, 8 + key_nbytes + 4, &total) ||
        !reserve_bytes(writer, total))
        return TEMPERA_OUT_OF_MEMORY;
    writer->key_starts[writer->n_keys++] = writer->n_key_bytes;
    put_string(writer, key, key_nbytes);
    put_u32(writer, type);
    return TEMPERA_OK;
}

enum tempera_status tempera_gguf_set_u32(struct tempera_gguf_writer *writer, const char *key,
                                         uint32_t value)
{
    TEMPERA_TRY(begin_key(writer, key, TEMPERA_GGUF_U32, 4));
    put_u32(writer, value);
    return TEMPERA_OK;
}

enum tempera_status tempera_gguf_set_u64(struct tempera_gguf_writer *writer, const char *key,
                                         uint64_t value)
{
    TEMPERA_TRY(begin_key(writer, key, TEMPERA_GGUF_U64, 8));
    put_u64(writer, value);
    return TEMPERA_OK;
}

enum tempera_status tempera_gguf_set_f32(struct tempera_gguf_writer *writer, const char *key,
                                         float value)
{
    TEMPERA_TRY(begin_key(writer, key, TEMPERA_GGUF_F32, 4));
    put_u32(writer, tempera_float_bits(value));
    return TEMPERA_OK;
}

enum tempera_status tempera_gguf_set_bool(struct tempera_gguf_writer *writer, const char *key,
                                          bool value)
{
    TEMPERA_TRY(begin_key(writer, key, TEMPERA_GGUF_BOOL, 1));
    uint8_t byte = value;
    put(writer, &byte, 1);
    return TEMPERA_OK;
}

enum tempera_status tempera_gguf_set_string(struct tempera_gguf_writer *writer, const char *key,
                                            const char *bytes, size_t nbytes)
{
    size_t total;
    if (bytes == NULL && nbytes > 0)
        return TEMPERA_INVALID_ARGUMENT;
    if (!tempera_size_add(nbytes, 8, &total))
        return TEMPERA_OUT_OF_MEMORY;
    TEMPERA_TRY(begin_key(writer, key, TEMPERA_GGUF_STRING, total));
    put_string(writer, bytes, nbytes);
    return TEMPERA_OK;
}

enum tempera_status tempera_gguf_set_strings(struct tempera_gguf_writer *writer, const char *key,
                                             size_t count)
{
    TEMPERA_TRY(begin_key(writer, key, TEMPERA_GGUF_ARRAY, 12));
    put_u32(writer, TEMPERA_GGUF_STRING);
    put_u64(writer, count);
    writer->n_strings_due = count;
    return TEMPERA_OK;
}

enum tempera_status tempera_gguf_append_string(struct tempera_gguf_writer *writer,
                                               const char *bytes, size_t nbytes)
{
    size_t total;
    if (writer == NULL || writer->n_strings_due == 0 || (bytes == NULL && nbytes > 0))
        return TEMPERA_INVALID_ARGUMENT;
    if (!tempera_size_add(nbytes, 8, &total) || !reserve_bytes(writer, total))
        return TEMPERA_OUT_OF_MEMORY;
    put_string(writer, bytes, nbytes);
    writer->n_strings_due--;
    return TEMPERA_OK;
}

enum tempera_status tempera_gguf_set_i32s(struct tempera_gguf_writer *writer, const char *key,
                                          const int32_t *values, size_t count)
{
    size_t total;
    if (values == NULL && count > 0)
        return TEMPERA_INVALID_ARGUMENT;
    if (!tempera_size_mul(count, 4, &total) || !tempera_size_add(total, 12, &total))
        return TEMPERA_OUT_OF_MEMORY;
    TEMPERA_TRY(begin_key(writer, key, TEMPERA_GGUF_ARRAY, total));
    put_u32(writer, TEMPERA_GGUF_I32);
    put_u64(writer, count);
    for (size_t i = 0; i < count; i++)
        put_u32(writer, (uint32_t)values[i]);
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Tensors

// Fills what follows from dtype and dims, and the place in the data part.
static bool place(const struct tempera_gguf_writer *writer, struct tensor *tensor)
{
    tensor->n_elements = 1;
    for (uint32_t i = 0; i < tensor->n_dims; i++)
        if (tensor->dims[i] == 0 ||
            __builtin_mul_overflow(tensor->n_elements, tensor->dims[i], &tensor->n_elements))
            return false;
    uint64_t end;
    return !__builtin_mul_overflow(tensor->n_elements, tempera_dtype_nbytes(tensor->dtype),
                                   &tensor->nbytes) &&
           tempera_align(writer->data_end, TEMPERA_GGUF_ALIGNMENT, &tensor->offset) &&
           !__builtin_add_overflow(tensor->offset, tensor->nbytes, &end) && end <= INT64_MAX;
}

enum tempera_status tempera_gguf_add_tensor(struct tempera_gguf_writer *writer, const char *name,
                                            enum tempera_dtype dtype, uint32_t n_dims,
                                            const uint64_t *dims, const float *data)
{
    if (writer == NULL || name == NULL || dims == NULL || data == NULL ||
        tempera_dtype_nbytes(dtype) == 0 || n_dims == 0 || n_dims > TEMPERA_GGUF_MAX_DIMS)
        return TEMPERA_INVALID_ARGUMENT;
    size_t name_nbytes = strlen(name);
    if (name_nbytes == 0 || name_nbytes > TEMPERA_GGUF_MAX_NAME_NBYTES)
        return TEMPERA_INVALID_ARGUMENT;
    for (size_t i = 0; i < writer->n_tensors; i++)
        if (strcmp(writer->tensors[i].name, name) == 0)
            return TEMPERA_INVALID_ARGUMENT;
    struct tensor tensor = {.dtype = dtype, .n_dims = n_dims, .data = data};
    memcpy(tensor.name, name, name_nbytes);
    memcpy(tensor.dims, dims, n_dims * sizeof *dims);
    if (!place(writer, &tensor))
        return TEMPERA_INVALID_ARGUMENT;
    void *tensors = writer->tensors;
    bool reserved =
        reserve(&tensors, &writer->tensor_capacity, writer->n_tensors, 1, sizeof tensor);
    writer->tensors = tensors;
    if (!reserved)
        return TEMPERA_OUT_OF_MEMORY;
    writer->tensors[writer->n_tensors++] = tensor;
    writer->data_end = tensor.offset + tensor.nbytes;
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Saving

struct output {
    struct tempera_safe_file *file;
    struct tempera_error *error;
    enum tempera_status status; // of the first write that failed; the others do nothing
    uint64_t n_written;
};

static void emit(struct output *output, const void *bytes, size_t nbytes)
{
    if (output->status == TEMPERA_OK)
        output->status = tempera_safe_file_write(output->file, bytes, nbytes, output->error);
    output->n_written += nbytes;
}

static void emit_u32(struct output *output, uint32_t value)
{
    uint8_t bytes[4];
    tempera_store_u32(bytes, value);
    emit(output, bytes, sizeof bytes);
}

static void emit_u64(struct output *output, uint64_t value)
{
    uint8_t bytes[8];
    tempera_store_u64(bytes, value);
    emit(output, bytes, sizeof bytes);
}

static void emit_padding(struct output *output)
{
    static const uint8_t zeros[TEMPERA_GGUF_ALIGNMENT];
    emit(output, zeros, (size_t)(-output->n_written % TEMPERA_GGUF_ALIGNMENT));
}

static void emit_table(struct output *output, const struct tensor *tensor)
{
    size_t name_nbytes = strlen(tensor->name);
    emit_u64(output, name_nbytes);
    emit(output, tensor->name, name_nbytes);
    emit_u32(output, tensor->n_dims);
    for (uint32_t i = 0; i < tensor->n_dims; i++)
        emit_u64(output, tensor->dims[i]);
    emit_u32(output, (uint32_t)tensor->dtype);
    emit_u64(output, tensor->offset);
}

static void emit_data(struct output *output, const struct tensor *tensor)
{
    uint8_t bytes[16384];
    size_t element = tempera_dtype_nbytes(tensor->dtype), chunk = sizeof bytes / element;
    for (uint64_t done = 0; done < tensor->n_elements && output->status == TEMPERA_OK;) {
        const float *from = tensor->data + done;
        size_t n = tensor->n_elements - done < chunk ? (size_t)(tensor->n_elements - done) : chunk;
        for (size_t i = 0; i < n; i++)
            if (tensor->dtype == TEMPERA_F32)
                tempera_store_u32(bytes + 4 * i, tempera_float_bits(from[i]));
            else if (tensor->dtype == TEMPERA_F16)
                tempera_store_u16(bytes + 2 * i, tempera_f32_to_f16(from[i]));
            else
                tempera_store_u16(bytes + 2 * i, tempera_f32_to_bf16(from[i]));
        emit(output, bytes, n * element);
        done += n;
    }
}

enum tempera_status tempera_gguf_save_check(const char *path, struct tempera_error *error)
{
    if (path == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "path is NULL");
    enum tempera_status status = tempera_safe_file_check(path, error);
    return status == TEMPERA_OK ? tempera_succeed(error) : status;
}

enum tempera_status tempera_gguf_save(const struct tempera_gguf_writer *writer, const char *path,
                                      struct tempera_error *error)
{
    if (writer == NULL || path == NULL || writer->n_strings_due > 0)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "%s",
                            writer == NULL || path == NULL ? "writer or path is NULL"
                                                           : "an array of strings is incomplete");
    struct output output = {.error = error};
    output.status = tempera_safe_file_open(&output.file, path, error);
    if (output.status != TEMPERA_OK)
        return output.status;
    emit(&output, "GGUF", 4);
    emit_u32(&output, TEMPERA_GGUF_VERSION);
    emit_u64(&output, writer->n_tensors);
    emit_u64(&output, writer->n_keys);
    emit(&output, writer->keys, writer->n_key_bytes);
    for (size_t i = 0; i < writer->n_tensors; i++)
        emit_table(&output, &writer->tensors[i]);
    for (size_t i = 0; i < writer->n_tensors; i++) {
        emit_padding(&output);
        emit_data(&output, &writer->tensors[i]);
    }
    emit_padding(&output);
    enum tempera_status status = tempera_safe_file_close(&output.file, output.status, error);
    return status == TEMPERA_OK ? tempera_succeed(error) : status;
}
