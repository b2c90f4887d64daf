// SPDX-License-Identifier: MIT
// From a row of scores to the next token. Exact definitions: docs/SAMPLING.md.
//
// A sampler is an array of stages that the caller fills; they act in the order given:
//
//     struct tempera_stage stages[] = {
//         tempera_stage_top_k(40),
//         tempera_stage_top_p(0.95f),
//         tempera_stage_temperature(0.8f),
//     };
//     struct tempera_sampler sampler = tempera_sampler_of(stages, 3);
//
// The stages are those of sampler_stages.h. The draw takes the first token, by id, where the
// running mass of the kept tokens passes a random share of their total, or the winner of a race.
//
// Masses are integers: w_i = exp((z_i - m) / T), scaled to about 2^51 for the largest score m that
// is left, and rounded to nearest; relative error below 2^-22. Their sums are exact, so kept sets
// and draws do not depend on the order of summation. A token can be drawn if and only if its mass
// is >= 1, about 2^-52 of the largest: nothing rarer, everything else.
//
// Random numbers are Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers:
// as easy as 1, 2, 3") of (seed, stream, step, draw): no hidden state, and the same token on
// every machine, whatever else is in the batch.
//
// Edges, for each row by itself:
//     NaN in an allowed entry  NAN_INPUT: token -1, logprobs and probs the NaN 0x7fc00000
//     nothing allowed or left  ALL_MASKED: token -1, logprobs -inf, probs 0
//     T = 0                    the lowest id among the ties at the maximum, final logprob 0
//     T = +inf                 uniform over what is left
//     scores of +inf           uniform over those; nothing else is a candidate
// Every filter leaves at least one token, so only masks and bans can leave nothing.
//
// No function here allocates or starts a thread. The caller's floating-point modes have no
// influence. All are safe to call from several threads, unless one changes a state meanwhile.
// Read next: explain.h (what each stage did), decoding.h (several draws, speculation, beams).
#ifndef TEMPERA_SAMPLER_H
#define TEMPERA_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include <tempera/matrix.h>
#include <tempera/parallel.h>
#include <tempera/sampler_stages.h>
#include <tempera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

// ------------------------------------------------------------------------------------------------
// Samplers

// How a token is found once the stages are through. The distribution is the same.
enum tempera_draw {
    TEMPERA_DRAW_MASS = 0, // by running mass: one random number, the fastest
    TEMPERA_DRAW_RACE = 1, // Gumbel-max, as an exponential race: noise for each token by itself, so
                           // that like rows give like tokens, and filters don't change the winner
                           // unless they remove it
};

// What to do with a row: a value without hidden state, shared by any number of rows and threads.
struct tempera_sampler {
    size_t struct_size;
    const struct tempera_stage *stages; // [n_stages], borrowed
    size_t n_stages;                    // 0: a plain draw at T = 1
    enum tempera_draw draw;
};

static inline struct tempera_sampler tempera_sampler_of(const struct tempera_stage *stages,
                                                        size_t n_stages)
{
    struct tempera_sampler sampler = {sizeof sampler, stages, n_stages, TEMPERA_DRAW_MASS};
    return sampler;
}

// OK, or INVALID_ARGUMENT with the number of the stage (the first is 0) and what is wrong with it
// in *error, which may be NULL; UNSUPPORTED for a kind of stage that this version doesn't know, but
// INVALID_ARGUMENT for kind 0. Goes through all entries of biases and lists.
TEMPERA_API enum tempera_status tempera_sampler_check(const struct tempera_sampler *sampler,
                                                      struct tempera_error *error);

// TOKEN_OUT_OF_RANGE if a bias or a list of a valid sampler names a token outside a vocabulary of
// this size, else OK. Sampling from a whole vocabulary checks this by itself.
TEMPERA_API enum tempera_status tempera_sampler_check_vocab(const struct tempera_sampler *sampler,
                                                            size_t vocab);

// ------------------------------------------------------------------------------------------------
// State: what was accepted so far. A block without pointers: copy it to clone, put it back to
// roll back, write its nbytes out to save; tempera_sampler_state_check tells whether what comes
// back is one.

struct tempera_sample_result;

struct tempera_sampler_state {
    uint32_t nbytes;  // of the whole block, this head included
    uint32_t version; // of its layout
    uint64_t step;    // tokens accepted so far; counts draws apart
    uint32_t window;  // tokens remembered at most
    uint32_t learner; // kind of the learning stage that it was made for, 0: none
    double level;     // what such a stage has learned: mirostat's threshold in bits, adaptive-p's
                      // mean; 0 without one
    // the block goes on: read it through the functions below only
};

// Bytes of a state for this sampler: its longest window decides. 0 if the sampler is invalid. A
// state serves every sampler whose windows are not longer and whose learning stage, if it has one,
// is of the same kind.
TEMPERA_API size_t tempera_sampler_state_nbytes(const struct tempera_sampler *sampler);

// Makes an empty state in `nbytes` bytes of the caller's, aligned to 8. BUFFER_TOO_SMALL,
// INVALID_ARGUMENT.
TEMPERA_API enum tempera_status tempera_sampler_state_init(struct tempera_sampler_state *state,
                                                           size_t nbytes,
                                                           const struct tempera_sampler *sampler);

// Whether a block that came from a file or the network is a state: to be asked before anything else
// is done with it, since all other functions believe what its head says of its length.
//   nbytes  how many bytes there really are
// OK, INVALID_ARGUMENT (NULL or misaligned), BUFFER_TOO_SMALL (fewer bytes than a head has, or than
// the head says), STATE_MISMATCH (damaged, or another version's). Which tokens there are in a
// vocabulary it can't know: those beyond it are passed over where a history counts.
TEMPERA_API enum tempera_status
tempera_sampler_state_check(const struct tempera_sampler_state *state, size_t nbytes);

// Appends a token, of the prompt or drawn, to the history. Sampling never does this by itself.
//   drawn  what sampling said of the token; NULL for one of the prompt. Learning stages learn it
//          here, and penalties know by it what is not of the prompt
// INVALID_ARGUMENT (state NULL or misaligned, negative id, a result of another token or whose level
// is none), STATE_MISMATCH (a damaged block, or another version's).
TEMPERA_API enum tempera_status tempera_sampler_accept(struct tempera_sampler_state *state,
                                                       int32_t token,
                                                       const struct tempera_sample_result *drawn);

// ------------------------------------------------------------------------------------------------
// Log-probabilities: natural logarithms, never positive; -inf for what can't be drawn.
//
//     raw       over the allowed scores as given, before any stage, at T = 1: the bits that
//               tempera_log_softmax gives
//     tempered  the same at the temperature that the chain ended with (the product of its
//               temperature stages), nothing else: the bits of tempera_log_softmax at T =
//               (float)that. At T = 0 the sampler's answer: 0 for the first maximum, else -inf
//     final     in the distribution that was drawn from: 0 if one token is left. Off by 2^-22 +
//               2^-24 |ln p| at most from what the formulas give for the scores that are left

struct tempera_token_logprob {
    int32_t token;
    float raw, tempered, final;
    int32_t column; // of the row: the token again, unless the row has tokens of its own
};

enum tempera_logprob_order {
    TEMPERA_LOGPROB_ORDER_RAW = 0,   // by raw, descending
    TEMPERA_LOGPROB_ORDER_FINAL = 1, // by final, descending: only what could be drawn
};

// What one row should report. The arrays are the caller's; rows don't share them. Where a row has
// no token, there are no top ones, and those of the named are -inf or NaN as in its result.
struct tempera_logprobs {
    size_t struct_size;
    const int32_t *ids; // [n_ids], tokens to report; columns, where a row has tokens of its own
    size_t n_ids;
    struct tempera_token_logprob *named; // [n_ids], output, in the order of ids
    size_t max_top;                      // how many of the most likely are wanted
    enum tempera_logprob_order order;    // of those; ties by id, ascending
    struct tempera_token_logprob *top;   // [max_top], output; left alone from n_top on
    size_t n_top;                        // output: how many there are, max_top at most
};

// ------------------------------------------------------------------------------------------------
// Rows that are not the vocabulary in order

// Usually, column i of the logits is the score of token i. A row may instead say which token each
// column stands for: a short list of candidates, or the ways in which several texts go on. One
// token may then stand there several times, once after each of several histories.
//
// For such a row, biases, lists and histories mean tokens; they may name tokens that no column
// stands for. Masks, ties, random numbers and what is to be reported go by columns.

// A run of columns: the tokens that may follow one history.
struct tempera_branch {
    size_t end; // the column after its last one; it begins where the branch before it ends
    // What came before these tokens, for penalties, DRY and n-grams; NULL: nothing. Its step and
    // level count for nothing, those of the row's state do.
    const struct tempera_sampler_state *state;
};

// ------------------------------------------------------------------------------------------------
// Sampling

// What a row should report beside its token. Each costs two passes over the row.
enum {
    TEMPERA_WANT_RAW_LOGPROB = 1,
    TEMPERA_WANT_TEMPERED_LOGPROB = 2,
};

// One row of a batch. Rows may share samplers, not states that are changed meanwhile.
struct tempera_sample_row {
    const struct tempera_sampler *sampler;
    const struct tempera_sampler_state *state; // NULL: nothing accepted yet, step 0
    uint64_t seed;
    uint32_t stream;      // tells apart sequences that share a seed
    uint32_t mask_nbits;  // tokens the mask speaks of; the others are banned and not read
    const uint32_t *mask; // NULL: all allowed; layout as in softmax.h
    struct tempera_logprobs *logprobs; // NULL: no report
    uint32_t want;                     // TEMPERA_WANT_..., or'ed
    uint32_t reserved;                 // must be 0
    // NULL: column i is token i. Else [vocab], the token of each column, ascending in each branch.
    const int32_t *tokens;
    const struct tempera_branch *branches; // [n_branches], the last one ends at vocab
    size_t n_branches;                     // 0: one branch, with `state`; must be 0 without tokens
};

struct tempera_sample_result {
    enum tempera_status status; // OK, ALL_MASKED, NAN_INPUT
    int32_t token;              // -1 unless OK
    float raw_logprob;          // NaN unless wanted
    float logprob;              // final
    uint64_t n_kept;            // candidates when it was drawn, those of mass 0 included
    double level;               // the state's level once this token is accepted
    float tempered_logprob;     // NaN unless wanted
    int32_t column;             // of the row: the token again, unless the row has its own; -1
                                // without a token
};

// Bytes of scratch for tempera_sample and tempera_sampler_probs with logits of this shape, this
// sampler and this executor (NULL: serial): about 20 * vocab for each thread, of which there are as
// many as rows at most; with adaptive-p 24 * vocab, with DRY or n-grams 4 * window more, and a byte
// for each token up to DRY's highest breaker. Rows with
// several samplers: the largest answer serves. 0 for no rows, a shape that can't be sampled or an
// invalid sampler. Enough for fewer rows, too.
TEMPERA_API size_t tempera_sample_scratch_nbytes(const struct tempera_matrix *logits,
                                                 const struct tempera_sampler *sampler,
                                                 const struct tempera_executor *executor);

// Draws one token for each row of logits[batch, vocab].
//   logits    input, f32, f16 or bf16; vocab at most 2^31 - 1. A row of 16 bits gives the bits that
//             the same numbers in f32 give
//   rows      [batch], input, but for what their logprobs point to
//   results   [batch], output
//   scratch   of the caller, aligned to 64, at least as large as the query says
//   executor  NULL: this thread. One row is one thread's work
// No output may overlap an input or another output. Of what different rows point to, and of lists
// within stages, that isn't checked.
// Returns the worst row's status, or INVALID_ARGUMENT (tempera_sampler_check says more about a
// sampler; a state that remembers less than a window, or learns something else), UNSUPPORTED
// (a dtype, a kind of stage), TOKEN_OUT_OF_RANGE (a bias, list or report that names a token outside
// the vocabulary), STATE_MISMATCH, BUFFER_TOO_SMALL: then nothing is written.
TEMPERA_API enum tempera_status tempera_sample(const struct tempera_matrix *logits,
                                               const struct tempera_sample_row *rows,
                                               struct tempera_sample_result *results, void *scratch,
                                               size_t scratch_nbytes,
                                               const struct tempera_executor *executor);

// The distribution that tempera_sample draws from: probs[batch, vocab] = w_i / sum of w, exactly 0
// for tokens that no draw can give, and within (2^-22 + 2^-24) p + 2^-50 of what the formulas give
// for the scores that are left. results gets what tempera_sample would give. Parameters and
// status otherwise as tempera_sample.
TEMPERA_API enum tempera_status tempera_sampler_probs(const struct tempera_matrix *logits,
                                                      const struct tempera_sample_row *rows,
                                                      const struct tempera_matrix *probs,
                                                      struct tempera_sample_result *results,
                                                      void *scratch, size_t scratch_nbytes,
                                                      const struct tempera_executor *executor);

#ifdef __cplusplus
}
#endif
#endif
