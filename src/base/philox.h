// SPDX-License-Identifier: MIT
// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random
// numbers: as easy as 1, 2, 3"). A block is a function of counter and key alone: no hidden state.
#ifndef TEMPERA_BASE_PHILOX_H
#define TEMPERA_BASE_PHILOX_H

#include <stdint.h>

enum { TEMPERA_PHILOX_ROUNDS = 10 };

// One round, with the round's key.
static inline void tempera_philox_round(uint32_t *c0, uint32_t *c1, uint32_t *c2, uint32_t *c3,
                                        uint32_t k0, uint32_t k1)
{
    const uint64_t multiplier0 = 0xD2511F53u, multiplier1 = 0xCD9E8D57u;
    uint64_t product0 = multiplier0 * *c0, product1 = multiplier1 * *c2;
    *c0 = (uint32_t)(product1 >> 32) ^ *c1 ^ k0;
    *c2 = (uint32_t)(product0 >> 32) ^ *c3 ^ k1;
    *c1 = (uint32_t)product1;
    *c3 = (uint32_t)product0;
}

// From one round's key to the next one's.
static inline void tempera_philox_next_key(uint32_t *k0, uint32_t *k1)
{
    *k0 += 0x9E3779B9u;
    *k1 += 0xBB67AE85u;
}

void tempera_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

// A double in (0, 1) from 32 of a block's bits: never an end, so that its logarithm is finite.
static inline double tempera_open_unit(uint32_t bits)
{
    return ((double)bits + 0.5) * 0x1p-32;
}

#endif
