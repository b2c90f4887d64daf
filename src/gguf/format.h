// SPDX-License-Identifier: MIT
// Used by the reader and the writer of GGUF: limits, sizes, and integers as bytes.
#ifndef TEMPERA_GGUF_FORMAT_H
#define TEMPERA_GGUF_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/gguf.h>

enum {
    TEMPERA_GGUF_VERSION = 3,
    TEMPERA_GGUF_ALIGNMENT = 32,          // the default of general.alignment
    TEMPERA_GGUF_MAX_ALIGNMENT = 1 << 20, // beyond any page or sector
    TEMPERA_GGUF_MAX_KEY_NBYTES = 65535,
    TEMPERA_GGUF_MAX_NAME_NBYTES = 63, // of a tensor; 64 with the NUL in other programs
    TEMPERA_GGUF_HEADER_NBYTES = 24,
};

// Bytes of one value of a scalar type; 0 for strings, arrays and unknown types.
static inline size_t tempera_gguf_type_nbytes(uint32_t type)
{
    static const uint8_t nbytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof nbytes ? nbytes[type] : 0;
}

// Little-endian, whatever the machine; compilers make one load or store of each.
static inline uint16_t tempera_load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t tempera_load_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t tempera_load_u64(const uint8_t *p)
{
    return tempera_load_u32(p) | (uint64_t)tempera_load_u32(p + 4) << 32;
}

static inline void tempera_store_u16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static inline void tempera_store_u32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> 8 * i);
}

static inline void tempera_store_u64(uint8_t *p, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(value >> 8 * i);
}

// The next multiple of alignment (a power of two); false if it doesn't fit.
static inline bool tempera_align(uint64_t offset, uint64_t alignment, uint64_t *aligned)
{
    if (__builtin_add_overflow(offset, alignment - 1, aligned))
        return false;
    *aligned &= ~(alignment - 1);
    return true;
}

#endif
