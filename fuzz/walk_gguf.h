// SPDX-License-Identifier: MIT
// Asks an open GGUF file for all there is, as a program that trusts nothing would.
#ifndef TEMPERA_FUZZ_WALK_GGUF_H
#define TEMPERA_FUZZ_WALK_GGUF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/gguf.h>

// Reads every byte, so that a sanitizer sees it if one isn't there. Returns a sum that depends on
// all of them.
static inline uint64_t walk_key(const struct tempera_gguf *g, const char *key)
{
    uint64_t sum = 0, u64;
    uint32_t u32;
    size_t count, nbytes;
    float f32;
    bool flag;
    const char *bytes;
    const int32_t *values;
    if (tempera_gguf_get_u64(g, key, &u64) == TEMPERA_OK)
        sum += u64;
    if (tempera_gguf_get_u32(g, key, &u32) == TEMPERA_OK)
        sum += u32;
    if (tempera_gguf_get_f32(g, key, &f32) == TEMPERA_OK)
        sum += f32 > 0;
    if (tempera_gguf_get_bool(g, key, &flag) == TEMPERA_OK)
        sum += flag;
    if (tempera_gguf_get_string(g, key, &bytes, &nbytes) == TEMPERA_OK)
        sum += strlen(bytes) + (bytes[nbytes] == '\0');
    if (tempera_gguf_get_strings(g, key, &count) == TEMPERA_OK)
        for (size_t i = 0; i < count; i++)
            if (tempera_gguf_get_strings_at(g, key, i, &bytes, &nbytes) == TEMPERA_OK)
                sum += strlen(bytes) + (bytes[nbytes] == '\0');
    if (tempera_gguf_get_i32s(g, key, &values, &count) == TEMPERA_OK)
        for (size_t i = 0; i < count; i++)
            sum += (uint32_t)values[i];
    return sum;
}

// False if a tensor whose size is known, and so was checked to lie in the file, can't be read.
static inline bool walk_gguf(const struct tempera_gguf *g, uint64_t *sum)
{
    const char *key;
    for (size_t i = 0; (key = tempera_gguf_key(g, i, NULL, NULL, NULL)) != NULL; i++)
        *sum += walk_key(g, key);
    const struct tempera_gguf_tensor *tensor;
    for (size_t i = 0; (tensor = tempera_gguf_tensor_at(g, i)) != NULL; i++) {
        *sum += tensor->n_elements + (tempera_gguf_find_tensor(g, tensor->name) == tensor);
        if (tensor->nbytes == 0)
            continue;
        size_t n = (size_t)tensor->n_elements;
        float *values = malloc(n * sizeof *values);
        bool read = values != NULL && tempera_gguf_read_f32(g, tensor, values, n, NULL) == TEMPERA_OK;
        *sum += read && values[n - 1] > 0;
        free(values);
        if (!read)
            return false;
    }
    return true;
}

#endif
