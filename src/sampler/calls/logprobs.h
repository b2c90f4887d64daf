// SPDX-License-Identifier: MIT
// Log-probabilities of a row, after the stages.
#ifndef TEMPERA_SAMPLER_CALLS_LOGPROBS_H
#define TEMPERA_SAMPLER_CALLS_LOGPROBS_H

#include <stddef.h>
#include <stdint.h>

#include <tempera/sampler.h>

#include "sampler/calls/chain.h"

// -inf for a column that is not allowed.
float tempera_chain_raw_logprob(struct tempera_chain *chain, int32_t column);
float tempera_chain_tempered_logprob(struct tempera_chain *chain, int32_t column);

// The final one of the candidate at an index; -inf for SIZE_MAX.
float tempera_chain_final_logprob(struct tempera_chain *chain, size_t index);

// Fills the row's report, if it wants one.
void tempera_chain_report(struct tempera_chain *chain);
void tempera_report_without_token(const struct tempera_sample_row *row, enum tempera_status status);

#endif
