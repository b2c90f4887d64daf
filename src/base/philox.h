// SPDX-License-Identifier: MIT
// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random
// numbers: as easy as 1, 2, 3"). A block is a function of counter and key alone: no hidden state.
#ifndef TEMPERA_BASE_PHILOX_H
#define TEMPERA_BASE_PHILOX_H

#include <stdint.h>

void tempera_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

// A double in (0, 1) from 32 of a block's bits: never an end, so that its logarithm is finite.
static inline double tempera_open_unit(uint32_t bits)
{
    return ((double)bits + 0.5) * 0x1p-32;
}

#endif
