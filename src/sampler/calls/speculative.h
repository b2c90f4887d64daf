// SPDX-License-Identifier: MIT
// Speculative verification at one position, in integers: the sampler's masses w_i, whose sum is W,
// against the draft's masses v_i, whose sum is V.
#ifndef TEMPERA_SAMPLER_CALLS_SPECULATIVE_H
#define TEMPERA_SAMPLER_CALLS_SPECULATIVE_H

#include <stdbool.h>
#include <stdint.h>

#include <tempera/matrix.h>

#include "sampler/row/candidates.h"
#include "sampler/row/u128.h"

// What a token was drafted from: a row of probabilities, or, if q is NULL, the token alone.
struct tempera_draft {
    const void *q; // [vocab], in [0, 1]
    enum tempera_dtype dtype;
    int32_t token;
};

// Compares p_i = w_i / W with q_i = v_i / V as w_i V with v_i W. Of each sum, the highest 60 bits
// are used; the shifts, to be applied to the products, restore the ratio.
struct tempera_speculation {
    uint64_t target_mass, draft_mass; // from W and V
    int target_shift, draft_shift;    // of w_i V and v_i W; at least one of them is 0
};

struct tempera_speculation tempera_speculation_of(tempera_u128 W, tempera_u128 V);

// v_i.
uint64_t tempera_draft_mass(const struct tempera_draft *draft, int32_t id);

// Whether a token of masses w and v is accepted, as a function of 64 random bits: with probability
// min(1, p / q).
bool tempera_speculation_accepts(const struct tempera_speculation *shares, uint64_t w, uint64_t v,
                                 uint64_t r);

// Replaces the masses of the candidates by those of max(p - q, 0). Returns false and changes
// nothing if that is 0 everywhere.
bool tempera_speculation_take_residuals(const struct tempera_speculation *shares,
                                        const struct tempera_draft *draft,
                                        struct tempera_candidates *c);

#endif
