// SPDX-License-Identifier: MIT
// Random bits, and the candidate that they select by mass.
#ifndef TEMPERA_SAMPLER_ROW_DRAW_H
#define TEMPERA_SAMPLER_ROW_DRAW_H

#include <stddef.h>
#include <stdint.h>

#include "sampler/row/candidates.h"
#include "sampler/row/masses.h"
#include "sampler/row/u128.h"

// The numbers of draws: each purpose has its own range, so adding a stage never changes another
// stage's random bits.
enum tempera_draw_number {
    TEMPERA_DRAW_TOKEN = 0,             // + i for draw number i of several
    TEMPERA_DRAW_XTC = 0x40000000,      // + i for XTC stage i, counting XTC stages only
    TEMPERA_DRAW_ACCEPT = 0x50000000,   // speculative verification: is the drafted token accepted?
    TEMPERA_DRAW_RESIDUAL = 0x50000001, // and if not, which token replaces it?
};

// A token's noise, + its id; too large for an enumeration.
#define TEMPERA_DRAW_NOISE 0x80000000u

// The key and the counter of Philox.
struct tempera_philox_input {
    uint32_t key[2], counter[4];
};

struct tempera_philox_input tempera_draw_input(uint64_t seed, uint32_t stream, uint64_t step,
                                               uint32_t draw);

// 128 random bits of (seed, stream, step, draw).
tempera_u128 tempera_draw_bits(uint64_t seed, uint32_t stream, uint64_t step, uint32_t draw);

// The same of the row and its step.
tempera_u128 tempera_candidates_random_bits(const struct tempera_candidates *c, uint32_t draw);

// The first index whose prefix sum exceeds floor(bits W / 2^128), where W > 0 is the sum of
// masses[n].
size_t tempera_draw_index(const uint64_t *masses, size_t n, tempera_u128 bits);

// The sums of the masses by blocks, for any number of draws.
struct tempera_block_sums {
    struct tempera_score_array scores;
    struct tempera_mass_scale scale;
    uint64_t *sums; // of TEMPERA_MASSES_PER_SUM masses each; in the candidates' array of masses
    tempera_u128 mass;
};

struct tempera_block_sums tempera_candidates_block_sums(struct tempera_candidates *c);

// The index of the candidate that is drawn.
size_t tempera_block_sums_draw(const struct tempera_block_sums *s, tempera_u128 bits);

#endif
