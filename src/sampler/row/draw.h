// SPDX-License-Identifier: MIT
// Random bits, and the token that they mean.
#ifndef TEMPERA_SAMPLER_ROW_DRAW_H
#define TEMPERA_SAMPLER_ROW_DRAW_H

#include "sampler/row/candidates.h"

// What draws are numbered by: every purpose has its own numbers, so that no stage shifts another's
// luck.
enum tempera_draw_number {
    TEMPERA_DRAW_TOKEN = 0,             // + i for draw number i of several
    TEMPERA_DRAW_XTC = 0x40000000,      // + i for the XTC stage number i, XTC stages counted only
    TEMPERA_DRAW_ACCEPT = 0x50000000,   // speculative verification: is the drafted token accepted?
    TEMPERA_DRAW_RESIDUAL = 0x50000001, // and if not, which one is it?
};

// A token's noise, + its id; too large for an enumeration.
#define TEMPERA_DRAW_NOISE 0x80000000u

// What Philox makes the bits of.
struct tempera_philox_input {
    uint32_t key[2], counter[4];
};

struct tempera_philox_input tempera_draw_input(uint64_t seed, uint32_t stream, uint64_t step,
                                               uint32_t draw);

// 128 random bits of (seed, stream, step, draw).
tempera_u128 tempera_draw_bits(uint64_t seed, uint32_t stream, uint64_t step, uint32_t draw);

// The draw as a function of its bits: the first index whose prefix sum exceeds floor(bits W /
// 2^128), where W > 0 is the sum of masses[n].
size_t tempera_draw_index(const uint64_t *masses, size_t n, tempera_u128 bits);

// What draws are made from, any number of them: sums of the masses by blocks.
struct tempera_sums {
    struct tempera_scores scores;
    struct tempera_scale scale;
    uint64_t *sums; // in the room for masses
    tempera_u128 W;
};

struct tempera_sums tempera_candidates_sums(struct tempera_candidates *c);

// The place of the candidate that is drawn.
size_t tempera_sums_draw(const struct tempera_sums *s, tempera_u128 bits);

// An exponential variable made of 64 bits: -ln((r + 1/2) / 2^64), in (0, 38), to 2 ulp.
double tempera_gumbel_noise(uint64_t r);

#endif
