// SPDX-License-Identifier: MIT
// The token that a chain ends with, and its result.
#ifndef TEMPERA_SAMPLER_CALLS_RESULT_H
#define TEMPERA_SAMPLER_CALLS_RESULT_H

#include <stddef.h>

#include <tempera/sampler.h>

#include "sampler/calls/chain.h"

// The index of the candidate that the row's sampler draws.
size_t tempera_chain_draw(struct tempera_chain *chain);

// The result if the candidate at an index is drawn.
struct tempera_sample_result tempera_chain_result(struct tempera_chain *chain, size_t index);

// The result of a row without a token.
struct tempera_sample_result tempera_result_without_token(const struct tempera_sample_row *row,
                                                          enum tempera_status status);

#endif
