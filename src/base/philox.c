// SPDX-License-Identifier: MIT
#include "base/philox.h"

void tempera_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < TEMPERA_PHILOX_ROUNDS; round++) {
        tempera_philox_round(&c0, &c1, &c2, &c3, k0, k1);
        tempera_philox_next_key(&k0, &k1);
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}
