// SPDX-License-Identifier: MIT
// One row through the stages of its sampler, to the candidates that a token is drawn from.
#ifndef TEMPERA_SAMPLER_CALLS_CHAIN_H
#define TEMPERA_SAMPLER_CALLS_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/sampler.h>

#include "sampler/row/candidates.h"
#include "sampler/row/draw.h"
#include "sampler/row/masses.h"
#include "sampler/row/u128.h"
#include "score/softmax/row_reduction.h"

struct tempera_optional_reduction {
    bool is_there;
    struct tempera_row_reduction reduction;
};

// The masses that are left after the stages.
struct tempera_final_masses {
    bool is_there;
    tempera_u128 mass; // their sum
    struct tempera_mass_scale scale;
    double inverse_T, nll_max;
};

struct tempera_chain {
    const struct tempera_sample_row *row;
    struct tempera_row_source source; // the scores as given, those that the mask covers
    struct tempera_candidates c;
    // Computed when first asked for:
    struct tempera_final_masses final;
    struct tempera_optional_reduction raw, tempered; // of the log-probabilities
    int32_t first_maximum;                           // -1: not yet
};

// Bytes of scratch for one row of so many scores, a multiple of the alignment. stage_nbytes: of
// tempera_sampler_stage_scratch_nbytes. Can't overflow: cols is below 2^31, and stage_nbytes is not
// much more than so many floats take.
size_t tempera_chain_nbytes(size_t cols, size_t stage_nbytes);

// Starts with the candidates of row r. scratch: tempera_chain_nbytes, aligned, in use as long as
// the chain is. OK, ALL_MASKED or NAN_INPUT.
enum tempera_status tempera_chain_begin(struct tempera_chain *chain,
                                        const struct tempera_matrix *logits, size_t r,
                                        const struct tempera_sample_row *row, char *scratch);

// Applies stage number i; there is at least one candidate.
void tempera_chain_apply(struct tempera_chain *chain, size_t i);

// Applies all stages. OK, or ALL_MASKED if nothing is left.
enum tempera_status tempera_chain_run(struct tempera_chain *chain);

// ------------------------------------------------------------------------------------------------
// After the stages

const struct tempera_final_masses *tempera_chain_final(struct tempera_chain *chain);

// For draws by mass. Valid until something other than results is asked of the chain.
struct tempera_block_sums tempera_chain_block_sums(struct tempera_chain *chain);

#endif
