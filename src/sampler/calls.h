// SPDX-License-Identifier: MIT
// What the calls share: checking what they were given (check.c), and taking one row through its
// stages to the candidates that a token is drawn from (chain.c).
#ifndef TEMPERA_SAMPLER_CALLS_H
#define TEMPERA_SAMPLER_CALLS_H

#include "sampler/sampler.h"
#include "score/row_plan.h"

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
    void *scratch;
    size_t scratch_nbytes, needed; // needed 0: there is no call with these logits and samplers
    struct tempera_array arrays[8];
    size_t n_arrays;
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

// A row's scores, the mask and how many of them it speaks of.
struct tempera_allowed {
    const float *z;
    const uint32_t *mask;
    size_t n;
};

struct tempera_planned {
    bool is_there;
    struct tempera_row_plan plan;
};

// A row on its way through the stages of its sampler.
struct tempera_chain {
    const struct tempera_sample_row *row;
    struct tempera_allowed allowed;
    struct tempera_candidates c;
    struct tempera_planned raw, tempered; // made when asked for
    int32_t first_maximum;                // -1: not asked for
};

// Bytes of scratch for one row of these logits, a multiple of the alignment. Can't overflow where
// cols is below 2^31.
size_t tempera_chain_nbytes(const struct tempera_matrix *logits);

// Gathers the candidates of row r. scratch: tempera_chain_nbytes, aligned; used as long as the
// chain is. OK, ALL_MASKED or NAN_INPUT.
enum tempera_status tempera_chain_begin(struct tempera_chain *chain,
                                        const struct tempera_matrix *logits, size_t r,
                                        const struct tempera_sample_row *row, char *scratch);

// Lets stage number i act; there is at least one candidate.
void tempera_chain_apply(struct tempera_chain *chain, size_t i);

// Lets all stages act on a chain that has begun. OK, or ALL_MASKED: nothing is left.
enum tempera_status tempera_chain_run(struct tempera_chain *chain);

// The place of the candidate that the row's luck of a number draws, by mass.
size_t tempera_chain_draw(struct tempera_chain *chain, uint32_t draw);

// The place of the token that the row's sampler takes.
size_t tempera_chain_token(struct tempera_chain *chain);

// What is said of the candidate at a place once the stages are through.
struct tempera_sample_result tempera_chain_result(struct tempera_chain *chain, size_t at);

// What is said of a row without a token.
struct tempera_sample_result tempera_result_without_token(const struct tempera_sample_row *row,
                                                          enum tempera_status status);

// ------------------------------------------------------------------------------------------------
// Log-probabilities, once the stages are through

// -inf for a token that is not allowed.
float tempera_chain_raw_logprob(struct tempera_chain *chain, int32_t token);
float tempera_chain_tempered_logprob(struct tempera_chain *chain, int32_t token);

// The final one of the candidate at a place.
float tempera_chain_logprob(struct tempera_chain *chain, size_t at);

// Fills the row's report, if it wants one.
void tempera_chain_report(struct tempera_chain *chain);
void tempera_report_without_token(struct tempera_logprobs *report, enum tempera_status status);

#endif
