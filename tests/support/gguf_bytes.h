// SPDX-License-Identifier: MIT
// GGUF files put together byte by byte, so that tests can write what no writer would.
#ifndef TEMPERA_TESTS_GGUF_BYTES_H
#define TEMPERA_TESTS_GGUF_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include <tempera/gguf.h>

struct bytes {
    uint8_t data[16384];
    size_t n;
};

// Little-endian; what doesn't fit in data is a fault of the test and not written.
void put_number(struct bytes *b, uint64_t value, size_t nbytes);

void put_u32(struct bytes *b, uint32_t value);

void put_u64(struct bytes *b, uint64_t value);

void put_text(struct bytes *b, const char *text);

void put_header(struct bytes *b, uint32_t version, uint64_t n_tensors, uint64_t n_keys);

void put_key(struct bytes *b, const char *key, uint32_t type);

void put_array(struct bytes *b, const char *key, uint32_t type, uint64_t count);

// A tensor's entry in the table; dims[n_dims].
void put_tensor(struct bytes *b, const char *name, uint32_t n_dims, const uint64_t *dims,
                uint32_t type, uint64_t offset);

void put_padding(struct bytes *b, size_t alignment);

// A file with a key of each type, arrays of each, and tensors of each type that can be read and
// of one that can't. Returns the length of all that comes before the data.
size_t put_good_file(struct bytes *b);

#endif
