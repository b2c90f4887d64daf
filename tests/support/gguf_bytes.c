// SPDX-License-Identifier: MIT
#include "gguf_bytes.h"

#include <string.h>

void put_number(struct bytes *b, uint64_t value, size_t nbytes)
{
    for (size_t i = 0; i < nbytes && b->n < sizeof b->data; i++)
        b->data[b->n++] = (uint8_t)(value >> 8 * i);
}

void put_u32(struct bytes *b, uint32_t value)
{
    put_number(b, value, 4);
}

void put_u64(struct bytes *b, uint64_t value)
{
    put_number(b, value, 8);
}

void put_text(struct bytes *b, const char *text)
{
    put_u64(b, strlen(text));
    for (; *text != '\0'; text++)
        put_number(b, (uint8_t)*text, 1);
}

void put_header(struct bytes *b, uint32_t version, uint64_t n_tensors, uint64_t n_keys)
{
    b->n = 0;
    put_u32(b, 0x46554747); // "GGUF"
    put_u32(b, version);
    put_u64(b, n_tensors);
    put_u64(b, n_keys);
}

void put_key(struct bytes *b, const char *key, uint32_t type)
{
    put_text(b, key);
    put_u32(b, type);
}

void put_array(struct bytes *b, const char *key, uint32_t type, uint64_t count)
{
    put_key(b, key, TEMPERA_GGUF_ARRAY);
    put_u32(b, type);
    put_u64(b, count);
}

void put_tensor(struct bytes *b, const char *name, uint32_t n_dims, const uint64_t *dims,
                uint32_t type, uint64_t offset)
{
    put_text(b, name);
    put_u32(b, n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        put_u64(b, dims[i]);
    put_u32(b, type);
    put_u64(b, offset);
}

void put_padding(struct bytes *b, size_t alignment)
{
    while (b->n % alignment != 0)
        put_number(b, 0, 1);
}

size_t put_good_file(struct bytes *b)
{
    static const uint8_t nbytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    static const char *const names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
    put_header(b, 3, 4, 26);
    for (uint32_t type = 0; type < 13; type++) {
        char key[32] = "one.";
        strcat(key, names[type]);
        if (type == TEMPERA_GGUF_STRING) {
            put_key(b, key, type);
            put_text(b, "text");
        } else if (type != TEMPERA_GGUF_ARRAY) {
            put_key(b, key, type);
            put_number(b, type == TEMPERA_GGUF_BOOL ? 1 : 100 + type, nbytes[type]);
        }
        memcpy(key, "all.", 4);
        if (type == TEMPERA_GGUF_STRING) {
            put_array(b, key, type, 3);
            put_text(b, "a");
            put_text(b, "");
            put_text(b, "ccc");
        } else if (type != TEMPERA_GGUF_ARRAY) {
            put_array(b, key, type, 3);
            for (uint64_t i = 0; i < 3; i++)
                put_number(b, type == TEMPERA_GGUF_BOOL ? i % 2 : 1000 * i + type, nbytes[type]);
        }
    }
    put_array(b, "empty", TEMPERA_GGUF_STRING, 0);
    put_key(b, "general.alignment", TEMPERA_GGUF_U32);
    put_u32(b, 64);
    const uint64_t dims[4] = {3, 2, 1, 1};
    put_tensor(b, "f32", 2, dims, TEMPERA_F32, 0);
    put_tensor(b, "f16", 1, dims, TEMPERA_F16, 64);
    put_tensor(b, "unknown", 2, dims, 8, 128);
    put_tensor(b, "bf16", 4, dims, TEMPERA_BF16, 192);
    size_t header = b->n;
    put_padding(b, 64);
    for (uint32_t i = 0; i < 6; i++)
        put_u32(b, 0x3F800000 + (i << 20)); // 1, 1.125, ...
    put_padding(b, 64);
    for (uint32_t i = 0; i < 3; i++)
        put_number(b, 0x3C00 + (i << 7), 2);
    put_padding(b, 64);
    put_u64(b, 42);
    put_padding(b, 64);
    for (uint32_t i = 0; i < 6; i++)
        put_number(b, 0x3F80 + (i << 4), 2);
    return header;
}
