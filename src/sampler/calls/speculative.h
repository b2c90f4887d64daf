// SPDX-License-Identifier: MIT
// Speculative verification at one position, in integers: the sampler's masses w_i, whose sum is W,
// against the draft's v_i, whose sum is V.
#ifndef TEMPERA_SAMPLER_CALLS_SPECULATIVE_H
#define TEMPERA_SAMPLER_CALLS_SPECULATIVE_H

#include "sampler/row/row.h"

// What a token was drafted from: a row of probabilities, or, with q NULL, certainty.
struct tempera_draft {
    const void *q; // [vocab], in [0, 1]
    enum tempera_dtype dtype;
    int32_t token;
};

// p_i = w_i / W against q_i = v_i / V: w_i V against v_i W, with the highest 60 bits of either sum,
// and the product of the smaller sum shifted down by what the other one has more.
struct tempera_shares {
    uint64_t W, V;
    int down_ours, down_drafted; // at least one of them is 0
};

struct tempera_shares tempera_shares_of(tempera_u128 W, tempera_u128 V);

// v_i of the draft.
uint64_t tempera_draft_mass(const struct tempera_draft *draft, int32_t id);

// Whether a token of masses w and v is accepted, as a function of 64 random bits: with probability
// min(1, p / q).
bool tempera_is_accepted(const struct tempera_shares *shares, uint64_t w, uint64_t v, uint64_t r);

// Turns the masses of the candidates into those of max(p - q, 0); false, and all left as it is, if
// that is 0 everywhere.
bool tempera_take_residuals(const struct tempera_shares *shares, const struct tempera_draft *draft,
                            struct tempera_candidates *c);

#endif
