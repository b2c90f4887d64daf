// SPDX-License-Identifier: MIT
// What the calls share: checking what they were given (check.c), and taking one row through its
// stages to the candidates that a token is drawn from (chain.c).
#ifndef TEMPERA_SAMPLER_ROW_CHAIN_H
#define TEMPERA_SAMPLER_ROW_CHAIN_H

#include "sampler/row/row.h"
#include "score/softmax/row_reduction.h"

// ------------------------------------------------------------------------------------------------
// Checks

enum { TEMPERA_SCRATCH_ALIGNMENT = 64 };

// Memory that a call was given.
struct tempera_array {
    const void *data;
    size_t count, nbytes; // entries, and bytes of one
    bool is_written;
};

// Arguments to be checked. rows and scratch are added to the arrays by the check.
struct tempera_call {
    const struct tempera_matrix *logits;
    const struct tempera_sample_row *rows; // [logits->rows]
    const struct tempera_matrix *other;    // NULL, or one that is sound
    bool other_is_written;                 // it must have the logits' shape, and f32
    char *scratch;
    size_t scratch_nbytes;
    size_t n_slices;     // rows that may be in work at a time
    size_t extra_nbytes; // of scratch, behind the slices
    struct tempera_array arrays[8];
    size_t n_arrays;
    size_t slice_nbytes; // of one row's scratch: found by the check
};

void tempera_call_add(struct tempera_call *call, const void *data, size_t count, size_t nbytes,
                      bool is_written);

// The status that the call has to return unless it is OK. Writes to nothing but *call.
enum tempera_status tempera_call_check(struct tempera_call *call);

static inline size_t tempera_scratch_aligned(size_t nbytes)
{
    const size_t alignment = TEMPERA_SCRATCH_ALIGNMENT;
    return (nbytes + alignment - 1) / alignment * alignment;
}

// An array at the beginning of what is left of the scratch.
static inline void *tempera_scratch_take(char **scratch, size_t count, size_t nbytes)
{
    char *taken = *scratch;
    *scratch += tempera_scratch_aligned(count * nbytes);
    return taken;
}

// ------------------------------------------------------------------------------------------------
// One row

struct tempera_optional_reduction {
    bool is_there;
    struct tempera_row_reduction plan;
};

// The masses that are left once the stages are through.
struct tempera_final {
    bool is_there;
    tempera_u128 W;
    struct tempera_scale scale;
    double inverse_T, nll_max;
};

// A row on its way through the stages of its sampler.
struct tempera_chain {
    const struct tempera_sample_row *row;
    struct tempera_row_source source; // the scores as given, those that the mask speaks of
    struct tempera_candidates c;
    struct tempera_final final;           // made when asked for, as all below
    struct tempera_optional_reduction raw, tempered; // of log-probabilities
    int32_t first_maximum;                // -1: not asked for
};

// Bytes of scratch for one row of so many scores, a multiple of the alignment. stage_nbytes: of
// tempera_sampler_stage_scratch_nbytes. Can't overflow: cols is below 2^31, and stage_nbytes is not
// much more than so many floats take.
size_t tempera_chain_nbytes(size_t cols, size_t stage_nbytes);

// Begins with the candidates of row r. scratch: tempera_chain_nbytes, aligned; used as long as the
// chain is. OK, ALL_MASKED or NAN_INPUT.
enum tempera_status tempera_chain_begin(struct tempera_chain *chain,
                                        const struct tempera_matrix *logits, size_t r,
                                        const struct tempera_sample_row *row, char *scratch);

// Lets stage number i act; there is at least one candidate.
void tempera_chain_apply(struct tempera_chain *chain, size_t i);

// Lets all stages act on a chain that has begun. OK, or ALL_MASKED: nothing is left.
enum tempera_status tempera_chain_run(struct tempera_chain *chain);

const struct tempera_final *tempera_chain_final(struct tempera_chain *chain);

// For draws by mass; what it gives holds until something else is asked of the chain but results.
struct tempera_sums tempera_chain_sums(struct tempera_chain *chain);

// The place of the token that the row's sampler takes.
size_t tempera_chain_token(struct tempera_chain *chain);

// What is said of the candidate at a place once the stages are through.
struct tempera_sample_result tempera_chain_result(struct tempera_chain *chain, size_t place);

// What is said of a row without a token.
struct tempera_sample_result tempera_result_without_token(const struct tempera_sample_row *row,
                                                          enum tempera_status status);

// ------------------------------------------------------------------------------------------------
// Log-probabilities, once the stages are through

// -inf for a column that is not allowed.
float tempera_chain_raw_logprob(struct tempera_chain *chain, int32_t column);
float tempera_chain_tempered_logprob(struct tempera_chain *chain, int32_t column);

// The final one of the candidate at a place, SIZE_MAX for none.
float tempera_chain_logprob(struct tempera_chain *chain, size_t place);

// Fills the row's report, if it wants one.
void tempera_chain_report(struct tempera_chain *chain);
void tempera_report_without_token(const struct tempera_sample_row *row, enum tempera_status status);

#endif
