// SPDX-License-Identifier: MIT
// GGUF, the file format of models: reads versions 2 and 3, writes 3. Files are not trusted, and
// written crash-safe.
//
//     "GGUF"  u32 version  u64 n_tensors  u64 n_keys
//     n_keys times:    string key, u32 type, value        string = u64 length, bytes
//     n_tensors times: string name, u32 n_dims, u64 dims[n_dims] (fastest first), u32 type,
//                      u64 offset into the data part
//     data part: begins at the next multiple of general.alignment (32), so does each tensor
//
// Every count, length, offset and product of a file is checked against the bytes that are left
// before it is used; an error says at which byte and why. Integers are little-endian.
#ifndef TEMPERA_GGUF_H
#define TEMPERA_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/matrix.h>
#include <tempera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

// The value types of keys, numbered as in the file.
enum tempera_gguf_type {
    TEMPERA_GGUF_U8 = 0,
    TEMPERA_GGUF_I8 = 1,
    TEMPERA_GGUF_U16 = 2,
    TEMPERA_GGUF_I16 = 3,
    TEMPERA_GGUF_U32 = 4,
    TEMPERA_GGUF_I32 = 5,
    TEMPERA_GGUF_F32 = 6,
    TEMPERA_GGUF_BOOL = 7,
    TEMPERA_GGUF_STRING = 8,
    TEMPERA_GGUF_ARRAY = 9,
    TEMPERA_GGUF_U64 = 10,
    TEMPERA_GGUF_I64 = 11,
    TEMPERA_GGUF_F64 = 12,
};

// ------------------------------------------------------------------------------------------------
// Reading

struct tempera_gguf;

// Opens a file and reads its keys and tensor table; tensor data is read when asked for. On
// success *gguf is the caller's to close. Status: FILE_NOT_FOUND, IO_ERROR, BAD_FORMAT,
// TRUNCATED_FILE, OUT_OF_MEMORY; *error (may be NULL) says where and why.
TEMPERA_API enum tempera_status tempera_gguf_open(struct tempera_gguf **gguf, const char *path,
                                                  struct tempera_error *error);

// The same over bytes in memory, borrowed until the close.
TEMPERA_API enum tempera_status tempera_gguf_open_memory(struct tempera_gguf **gguf,
                                                         const void *data, size_t nbytes,
                                                         struct tempera_error *error);

// Frees it and sets *gguf to NULL. NULL-safe.
TEMPERA_API void tempera_gguf_close(struct tempera_gguf **gguf);

// Number of keys. gguf must not be NULL, here and in the getters below.
TEMPERA_API size_t tempera_gguf_n_keys(const struct tempera_gguf *gguf);

// Name and type of key number `index`; NULL beyond the end. *count (may be NULL) is the number
// of elements of an array, 1 otherwise; *type of an array is its elements' type. Borrowed.
TEMPERA_API const char *tempera_gguf_key(const struct tempera_gguf *gguf, size_t index,
                                         enum tempera_gguf_type *type, bool *is_array,
                                         size_t *count);

// Getters by key. NOT_FOUND if there is no such key, BAD_FORMAT if its value is of another kind
// or does not fit; *value is left alone then. Any integer type is accepted where it fits.
TEMPERA_API enum tempera_status tempera_gguf_get_u64(const struct tempera_gguf *gguf,
                                                     const char *key, uint64_t *value);
TEMPERA_API enum tempera_status tempera_gguf_get_u32(const struct tempera_gguf *gguf,
                                                     const char *key, uint32_t *value);
TEMPERA_API enum tempera_status tempera_gguf_get_f32(const struct tempera_gguf *gguf,
                                                     const char *key, float *value);
TEMPERA_API enum tempera_status tempera_gguf_get_bool(const struct tempera_gguf *gguf,
                                                      const char *key, bool *value);
// Bytes of a string value, borrowed until the close, followed by a NUL that *nbytes leaves out.
TEMPERA_API enum tempera_status tempera_gguf_get_string(const struct tempera_gguf *gguf,
                                                        const char *key, const char **bytes,
                                                        size_t *nbytes);
// The number of elements of an array of strings, and its element number `index`.
TEMPERA_API enum tempera_status tempera_gguf_get_strings(const struct tempera_gguf *gguf,
                                                         const char *key, size_t *count);
TEMPERA_API enum tempera_status tempera_gguf_get_strings_at(const struct tempera_gguf *gguf,
                                                            const char *key, size_t index,
                                                            const char **bytes, size_t *nbytes);
// An array of 32-bit integers (signed or not), borrowed, aligned.
TEMPERA_API enum tempera_status tempera_gguf_get_i32s(const struct tempera_gguf *gguf,
                                                      const char *key, const int32_t **values,
                                                      size_t *count);

enum { TEMPERA_GGUF_MAX_DIMS = 4 };

struct tempera_gguf_tensor {
    const char *name; // borrowed
    uint32_t type; // as in the file: 0 F32, 1 F16, 30 BF16; other values are formats we can't read
    uint32_t n_dims;
    uint64_t dims[TEMPERA_GGUF_MAX_DIMS]; // fastest first; 1 beyond n_dims
    uint64_t n_elements;
    uint64_t nbytes; // 0 for a type that isn't known
    uint64_t offset; // in the file
};

// Number of tensors in the table.
TEMPERA_API size_t tempera_gguf_n_tensors(const struct tempera_gguf *gguf);

// Tensor number `index`, or NULL beyond the end. Borrowed until the close.
TEMPERA_API const struct tempera_gguf_tensor *
tempera_gguf_tensor_at(const struct tempera_gguf *gguf, size_t index);

// The tensor with this name, or NULL.
TEMPERA_API const struct tempera_gguf_tensor *
tempera_gguf_find_tensor(const struct tempera_gguf *gguf, const char *name);

// Reads the whole tensor as f32 into out[n_elements]. n_elements must be the tensor's own.
// UNSUPPORTED for other types than F32, F16, BF16.
TEMPERA_API enum tempera_status tempera_gguf_read_f32(const struct tempera_gguf *gguf,
                                                      const struct tempera_gguf_tensor *tensor,
                                                      float *out, size_t n_elements,
                                                      struct tempera_error *error);

// ------------------------------------------------------------------------------------------------
// Writing

struct tempera_gguf_writer;

// An empty file to be filled; on success *writer is the caller's to close. OUT_OF_MEMORY.
TEMPERA_API enum tempera_status tempera_gguf_writer_open(struct tempera_gguf_writer **writer);

// Frees it and sets *writer to NULL. NULL-safe.
TEMPERA_API void tempera_gguf_writer_close(struct tempera_gguf_writer **writer);

// Keys are written in the order in which they are set. A key set twice is INVALID_ARGUMENT.
// Strings and arrays are copied.
TEMPERA_API enum tempera_status tempera_gguf_set_u32(struct tempera_gguf_writer *writer,
                                                     const char *key, uint32_t value);
TEMPERA_API enum tempera_status tempera_gguf_set_u64(struct tempera_gguf_writer *writer,
                                                     const char *key, uint64_t value);
TEMPERA_API enum tempera_status tempera_gguf_set_f32(struct tempera_gguf_writer *writer,
                                                     const char *key, float value);
TEMPERA_API enum tempera_status tempera_gguf_set_bool(struct tempera_gguf_writer *writer,
                                                      const char *key, bool value);
TEMPERA_API enum tempera_status tempera_gguf_set_string(struct tempera_gguf_writer *writer,
                                                        const char *key, const char *bytes,
                                                        size_t nbytes);
// An empty array of strings under `key`, to be filled by appends that follow at once.
TEMPERA_API enum tempera_status tempera_gguf_set_strings(struct tempera_gguf_writer *writer,
                                                         const char *key, size_t count);
TEMPERA_API enum tempera_status tempera_gguf_append_string(struct tempera_gguf_writer *writer,
                                                           const char *bytes, size_t nbytes);
TEMPERA_API enum tempera_status tempera_gguf_set_i32s(struct tempera_gguf_writer *writer,
                                                      const char *key, const int32_t *values,
                                                      size_t count);

// Adds a tensor of f32 values, stored as dtype (rounded to nearest even). data[product of dims]
// is borrowed until the save. dims fastest first, 1 to 4 of them.
TEMPERA_API enum tempera_status tempera_gguf_add_tensor(struct tempera_gguf_writer *writer,
                                                        const char *name, enum tempera_dtype dtype,
                                                        uint32_t n_dims, const uint64_t *dims,
                                                        const float *data);

// Writes path via "<path>.tempera-tmp": written, synced, renamed, folder synced. A kill or an error
// at any moment leaves the old file or the new one, never a part. IO_ERROR, DISK_FULL (a limit on
// the size of files counts as that).
TEMPERA_API enum tempera_status tempera_gguf_save(const struct tempera_gguf_writer *writer,
                                                  const char *path, struct tempera_error *error);

// Whether tempera_gguf_save can write path: opens what a save opens, and removes it again. To be
// called before long work whose result would be lost. IO_ERROR, DISK_FULL.
TEMPERA_API enum tempera_status tempera_gguf_save_check(const char *path,
                                                        struct tempera_error *error);

#ifdef __cplusplus
}
#endif
#endif
