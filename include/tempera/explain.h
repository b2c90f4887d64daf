// SPDX-License-Identifier: MIT
// What each stage of a sampler did to a row, and why a token was removed. The numbers are those
// that sampling itself uses, defined in docs/SAMPLING.md. Read first: sampler.h.
#ifndef TEMPERA_EXPLAIN_H
#define TEMPERA_EXPLAIN_H

#include <tempera/sampler.h>

#ifdef __cplusplus
extern "C" {
#endif

// The distribution after a stage. Number 0 is the row before any stage, at T = 1: the raw one.
struct tempera_stage_report {
    uint64_t n_left;     // candidates, those of mass 0 included
    double mass_removed; // probability, before this stage, of what it removed
    double entropy;      // in nats, to 2^-20
    double divergence;   // KL(after this stage || raw), in nats, >= 0
    double temperature;  // the product so far; once 0 or inf, it stays so
};

// What happened to a token: the number of the stage that removed it, from 0 as in the sampler's
// array, or one of these.
enum {
    TEMPERA_TOKEN_STAYED = -1,
    TEMPERA_TOKEN_MASKED = -2, // was not a candidate: mask, -inf, or others are +inf
};

struct tempera_token_report {
    int32_t token;
    int32_t column;     // the token again, unless the row has tokens of its own
    int32_t removed_by; // number of a stage, STAYED or MASKED
    double missed_by;   // nats between it and the nearest token (by score) that this stage kept: 0
                        // for a tie that was cut by id, +inf for a ban; 0 unless it was removed
    uint64_t raw_rank;  // 1: the most likely, ties by id; 0 if MASKED
    float raw_logprob, final_logprob; // as in sampler.h
};

// The arrays are the caller's.
struct tempera_explanation {
    size_t struct_size;
    struct tempera_stage_report *stages; // [n_stages], output
    size_t n_stages;                     // must be the sampler's + 1
    const int32_t *token_ids; // [n_tokens], tokens to report on; columns, if the row has tokens of
                              // its own
    struct tempera_token_report *tokens; // [n_tokens], output
    size_t n_tokens;
};

// Bytes of scratch for tempera_explain: about 20 * vocab more than for tempera_sample.
// 0 for an invalid sampler, no rows, or a shape that can't be sampled.
TEMPERA_API size_t tempera_explain_scratch_nbytes(const struct tempera_matrix *logits,
                                                  const struct tempera_sampler *sampler);

// Samples logits[1, vocab] as tempera_sample does, with the same result, and explains it.
//   row          input, except what its logprobs point to
//   explanation  input, except its two output arrays
//   result       output
//   scratch      the caller's, aligned to 64
// If the row has no token (*result has the reason), stages that found nothing left report 0, and
// with a NaN every token is MASKED. No output may overlap an input or another output. Costs a few
// passes over the candidates per stage, and two or three over the row per token; nothing is
// allocated, no thread is started.
// Status as tempera_sample, and INVALID_ARGUMENT for an explanation that doesn't fit the sampler,
// TOKEN_OUT_OF_RANGE for a token outside the vocabulary: then nothing is written.
TEMPERA_API enum tempera_status tempera_explain(const struct tempera_matrix *logits,
                                                const struct tempera_sample_row *row,
                                                const struct tempera_explanation *explanation,
                                                struct tempera_sample_result *result, void *scratch,
                                                size_t scratch_nbytes);

#ifdef __cplusplus
}
#endif
#endif
