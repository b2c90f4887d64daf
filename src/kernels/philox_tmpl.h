// SPDX-License-Identifier: MIT
// Random bits for many tokens. Plain C over 16 lanes, which the compiler vectorises.
#ifndef TEMPERA_KERNELS_PHILOX_TMPL_H
#define TEMPERA_KERNELS_PHILOX_TMPL_H

#include <stddef.h>
#include <stdint.h>

#include "base/philox.h"

static inline void philox16(const uint32_t key[2], uint32_t c0[16], uint32_t c1[16],
                            uint32_t c2[16], uint32_t c3[16])
{
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < TEMPERA_PHILOX_ROUNDS; round++) {
        for (size_t i = 0; i < 16; i++)
            tempera_philox_round(&c0[i], &c1[i], &c2[i], &c3[i], k0, k1);
        tempera_philox_next_key(&k0, &k1);
    }
}

static void random_bits(const uint32_t key[2], const uint32_t counter[4], const int32_t *ids,
                        size_t n, uint64_t *bits)
{
    for (size_t first = 0; first < n; first += 16) {
        size_t left = n - first < 16 ? n - first : 16;
        uint32_t c0[16] = {0}, c1[16], c2[16], c3[16];
        for (size_t i = 0; i < left; i++)
            c0[i] = counter[0] + (uint32_t)ids[first + i];
        for (size_t i = 0; i < 16; i++) {
            c1[i] = counter[1];
            c2[i] = counter[2];
            c3[i] = counter[3];
        }
        philox16(key, c0, c1, c2, c3);
        for (size_t i = 0; i < left; i++)
            bits[first + i] = (uint64_t)c1[i] << 32 | c0[i];
    }
}

#endif
