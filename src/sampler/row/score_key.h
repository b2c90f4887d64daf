// SPDX-License-Identifier: MIT
// Floats as integers that lie in the same order, and their neighbours.
#ifndef TEMPERA_SAMPLER_ROW_SCORE_KEY_H
#define TEMPERA_SAMPLER_ROW_SCORE_KEY_H

#include "base/half.h"

// A score as an integer in the same order; the zeros apart.
static inline uint32_t tempera_score_key(float score)
{
    uint32_t bits = tempera_float_bits(score);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

// And back.
static inline float tempera_key_score(uint32_t key)
{
    return tempera_bits_float(key >> 31 ? key & 0x7FFFFFFFu : ~key);
}

// The next float below or above, the zeros being one.
static inline float tempera_score_before(float score)
{
    return score == 0 ? -0x1p-149f : tempera_key_score(tempera_score_key(score) - 1);
}

static inline float tempera_score_after(float score)
{
    return score == 0 ? 0x1p-149f : tempera_key_score(tempera_score_key(score) + 1);
}

#endif
