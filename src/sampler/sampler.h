// SPDX-License-Identifier: MIT
// A row on its way through the stages: the candidates that are left, their scores, and the
// temperature so far. Read next: stages.c (what each stage does), select.c (thresholds), draw.c.
#ifndef TEMPERA_SAMPLER_SAMPLER_H
#define TEMPERA_SAMPLER_SAMPLER_H

#include <stdbool.h>

#include <tempera/sampler.h>

__extension__ typedef unsigned __int128 tempera_u128;

// Scores stay as they are; the temperature is kept beside them, so that it is never rounded into
// them. Candidates are in ascending order of id.
struct tempera_candidates {
    int32_t *ids;      // [n]
    float *scores;     // [n]; never NaN, never -inf
    uint64_t *masses;  // [n]; valid if has_masses
    size_t n;
    float max;         // of the scores; finite: rows of +inf become rows of equal scores
    double temperature; // the product so far; in (0, inf)
    bool has_masses;
};

// masses[n] of the scores at the temperature so far.
void tempera_candidates_weigh(struct tempera_candidates *c);

// The sum of masses[n].
tempera_u128 tempera_candidates_total(const struct tempera_candidates *c);

// Keeps the candidates whose place in the order (score descending, id ascending) is before the
// threshold: those with scores above `score`, and the first `n_ties` of those equal to it.
void tempera_candidates_keep(struct tempera_candidates *c, float score, size_t n_ties);

// The filters, see select.c.
void tempera_select_top_k(struct tempera_candidates *c, size_t k);
void tempera_select_top_p(struct tempera_candidates *c, float top_p);
void tempera_select_min_p(struct tempera_candidates *c, float min_p);

// How many tokens of the history the last `window` hold, and token number i of them, the latest
// first.
size_t tempera_state_n_recent(const struct tempera_sampler_state *state, size_t window);
int32_t tempera_state_recent(const struct tempera_sampler_state *state, size_t i);

// Subtracts and divides as TEMPERA_STAGE_PENALTIES says.
void tempera_apply_penalties(struct tempera_candidates *c, const struct tempera_stage *stage,
                             const struct tempera_sampler_state *state);
void tempera_apply_logit_bias(struct tempera_candidates *c, const struct tempera_stage *stage);

// OK, or INVALID_ARGUMENT if the state's block or its window don't suit the sampler.
enum tempera_status tempera_state_check(const struct tempera_sampler_state *state,
                                        const struct tempera_sampler *sampler);

// The draw as a function of its bits: the first index whose prefix sum exceeds
// floor(bits W / 2^128), W = the sum of masses[n] > 0.
size_t tempera_draw_index(const uint64_t *masses, size_t n, tempera_u128 bits);

// 128 random bits of (seed, stream, step, draw).
tempera_u128 tempera_draw_bits(uint64_t seed, uint32_t stream, uint64_t step, uint32_t draw);

#endif
