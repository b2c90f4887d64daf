// SPDX-License-Identifier: MIT
// A version of the sampler that reads like the definitions in docs/SAMPLING.md: it sorts the whole
// row, adds masses one by one and counts tokens by going through the history. Kept sets,
// probabilities and tokens have to agree bit for bit.
#ifndef TEMPERA_TESTS_SAMPLER_ORACLE_H
#define TEMPERA_TESTS_SAMPLER_ORACLE_H

#include "sampler_setup.h"

#include "sampler/row/draw.h"

enum { ORACLE_MAX_TOKENS = 262144 };

// The smallest integer of at least P W.
tempera_u128 ceil_product(float P, tempera_u128 W);

// The library does with the row z[n] what the oracle does; the library's distribution, in probs[n].
// history[n_history]: what the row's state has accepted, the oldest first.
void check_against_oracle(const float *z, size_t n, const struct tempera_sample_row *row,
                          const int32_t *history, size_t n_history, float *probs);

// A kind of the library's table that is a filter and nothing else, and draws nothing.
bool is_filter_by_rank_or_mass(int kind);

// A stage with parameters from all over their ranges.
struct tempera_stage random_parameters(int kind);

// Any such filter of the library's table: later ones too.
struct tempera_stage random_filter(void);

#endif
