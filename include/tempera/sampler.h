// SPDX-License-Identifier: MIT
// From a row of scores to the next token. Exact definitions: docs/SAMPLING.md.
//
// A sampler is an array of stages that the caller fills; they are applied in this order:
//
//     struct tempera_stage stages[] = {
//         tempera_stage_top_k(40),
//         tempera_stage_top_p(0.95f),
//         tempera_stage_temperature(0.8f),
//     };
//     struct tempera_sampler sampler = tempera_sampler_of(stages, 3);
//
// The stages are those of sampler_stages.h. The draw takes the first token, by id, where the
// running mass of the kept tokens passes a random fraction of their total, or by Gumbel-max.
//
// Masses are integers: w_i = exp((z_i - m) / T), scaled to about 2^51 for the largest score m that
// is left, with a relative error below 2^-22, then rounded to the nearest integer. Their sums are
// exact, so kept sets and draws do not depend on the order of summation. A token of mass 0 (p below
// about 2^-52 p_max) is never drawn.
//
// Random numbers are Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers:
// as easy as 1, 2, 3") of (seed, stream, step, draw): no hidden state, and the same token on
// every machine, whatever else is in the batch.
//
// Special cases, for each row by itself:
//     NaN in an allowed entry  NAN_INPUT: token -1, logprobs and probs the NaN 0x7fc00000
//     nothing allowed or left  ALL_MASKED: token -1, logprobs -inf, probs 0
//     T = 0                    the lowest id among the ties at the maximum, final logprob 0
//     T = +inf                 uniform over what is left
//     scores of +inf           uniform over these; nothing else is a candidate
// Every filter leaves at least one token, so only masks, bans and scores of -inf can leave nothing.
//
// No function here allocates or starts a thread. The caller's floating-point modes have no
// influence. All are safe to call from several threads, unless one of them changes a state.
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

// How a token is drawn after the stages. The distribution is the same.
enum tempera_draw {
    TEMPERA_DRAW_MASS = 0, // by running mass: one random number, the fastest
    TEMPERA_DRAW_RACE = 1, // Gumbel-max, in its exponential form: independent noise per token, so
                           // similar rows tend to give the same token, and a filter changes the
                           // result only if it removes it
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
// INVALID_ARGUMENT for kind 0. Reads all entries of biases and lists. Calls that sample do this for
// each row, and read them once more to compare them with the vocabulary: where a long list of
// tokens is used again and again, a mask is cheaper.
TEMPERA_API enum tempera_status tempera_sampler_check(const struct tempera_sampler *sampler,
                                                      struct tempera_error *error);

// TOKEN_OUT_OF_RANGE if a bias or a list of a valid sampler names a token outside a vocabulary of
// this size, else OK. Sampling from a whole vocabulary includes this check.
TEMPERA_API enum tempera_status tempera_sampler_check_vocab(const struct tempera_sampler *sampler,
                                                            size_t vocab);

// ------------------------------------------------------------------------------------------------
// State: what was accepted so far. A block without pointers: copy it to clone it, restore a copy to
// roll back, write its nbytes out to save it; tempera_sampler_state_check checks what is read back.

struct tempera_sample_result;

struct tempera_sampler_state {
    uint32_t nbytes;  // of the whole block, this head included
    uint32_t version; // of its layout
    uint64_t step;    // tokens accepted so far: gives each its own random numbers
    uint32_t window;  // tokens remembered at most
    uint32_t learner; // kind of the feedback stage that it was made for, 0: none
    double level;     // the feedback: mirostat's mu in bits, adaptive-p's mean; 0 without a stage
    // the block continues: read it through the functions below only
};

// Bytes of a state for this sampler, by its longest window. 0 if the sampler is invalid. A state
// serves every sampler whose windows are not longer and whose feedback stage, if it has one, is of
// the same kind.
TEMPERA_API size_t tempera_sampler_state_nbytes(const struct tempera_sampler *sampler);

// Makes an empty state in the caller's `nbytes` bytes, aligned to 8. BUFFER_TOO_SMALL,
// INVALID_ARGUMENT.
TEMPERA_API enum tempera_status tempera_sampler_state_init(struct tempera_sampler_state *state,
                                                           size_t nbytes,
                                                           const struct tempera_sampler *sampler);

// Checks a block that came from a file or the network. To be called before anything else is done
// with it, since all other functions trust the length in its head.
//   nbytes  how many bytes there really are
// OK, INVALID_ARGUMENT (NULL or misaligned), BUFFER_TOO_SMALL (fewer bytes than a head has, or than
// the head says), STATE_MISMATCH (damaged, or another version's). It doesn't know the vocabulary:
// tokens of the history that are not in it are ignored later.
TEMPERA_API enum tempera_status
tempera_sampler_state_check(const struct tempera_sampler_state *state, size_t nbytes);

// Appends a token, of the prompt or drawn, to the history. Sampling never does this by itself.
//   drawn  the result of sampling the token; NULL for one of the prompt. It updates the feedback,
//          and tells penalties which tokens were drawn
// INVALID_ARGUMENT (state NULL or misaligned, negative id, a result of another token or with a
// level that is not finite), STATE_MISMATCH (a damaged block, or another version's).
TEMPERA_API enum tempera_status tempera_sampler_accept(struct tempera_sampler_state *state,
                                                       int32_t token,
                                                       const struct tempera_sample_result *drawn);

// ------------------------------------------------------------------------------------------------
// Log-probabilities: natural logarithms, never positive; -inf for what can't be drawn.
//
//     raw       over the allowed scores as given, before any stage, at T = 1: the bits that
//               tempera_log_softmax gives
//     tempered  the same, but at T = (float)(the product of all temperature stages): the bits of
//               tempera_log_softmax at this T. At T = 0: 0 for the first maximum, else -inf
//     final     in the distribution that was drawn from: 0 if one token is left. Error at most
//               2^-22 + 2^-24 |ln p|, against the formulas for the scores that are left

struct tempera_token_logprob {
    int32_t token;
    float raw, tempered, final;
    int32_t column; // of the row: the token again, unless the row has tokens of its own
};

enum tempera_logprob_order {
    TEMPERA_LOGPROB_ORDER_RAW = 0,   // by raw, descending
    TEMPERA_LOGPROB_ORDER_FINAL = 1, // by final, descending: only tokens that could be drawn
};

// What one row should report. The arrays are the caller's; rows must not share them. If a row has
// no token, n_top is 0, and the logprobs of the named are -inf or NaN as in its result.
struct tempera_logprobs {
    size_t struct_size;
    const int32_t *ids; // [n_ids], tokens to report; columns, where a row has tokens of its own
    size_t n_ids;
    struct tempera_token_logprob *named; // [n_ids], output, in the order of ids
    size_t max_top;                      // how many of the most likely are wanted
    enum tempera_logprob_order order;    // of the most likely; ties by id, ascending
    struct tempera_token_logprob *top;   // [max_top], output; not written from n_top on
    size_t n_top;                        // output: at most max_top
};

// ------------------------------------------------------------------------------------------------
// Rows that are not the vocabulary in order

// Usually, column i of the logits is the score of token i. A row may instead give the token of each
// column: a short list of candidates, or the continuations of several texts. A token may then have
// several columns, one after each of several histories.
//
// In such a row, biases, lists and histories still contain tokens, which need not have a column.
// Masks, ties, random numbers and reports go by column.

// A run of columns: the tokens that may follow one history.
struct tempera_branch {
    size_t end; // the column after its last one; it begins where the branch before it ends
    // What came before these tokens, for penalties, DRY and n-grams; NULL: nothing. Its step and
    // level are ignored: the row's state has those.
    const struct tempera_sampler_state *state;
};

// ------------------------------------------------------------------------------------------------
// Sampling

// What a row should report besides its token. Each costs two passes over the row.
enum {
    TEMPERA_WANT_RAW_LOGPROB = 1,
    TEMPERA_WANT_TEMPERED_LOGPROB = 2,
};

// One row of a batch. Rows may share samplers, and states that nothing changes during the call.
struct tempera_sample_row {
    const struct tempera_sampler *sampler;
    const struct tempera_sampler_state *state; // NULL: nothing accepted yet, step 0
    uint64_t seed;
    uint32_t stream;      // gives sequences that share a seed different random numbers
    uint32_t mask_nbits;  // tokens that the mask covers; the others are banned and not read
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
    uint64_t n_kept;            // candidates that it was drawn from, those of mass 0 included
    double level;               // the state's level after accepting this token
    float tempered_logprob;     // NaN unless wanted
    int32_t column;             // of the row: the token again, unless the row has its own; -1
                                // without a token
};

// Bytes of scratch for tempera_sample and tempera_sampler_probs with logits of this shape, this
// sampler and this executor (NULL: serial). For each thread (never more
// threads than rows), about
//     20 * vocab    always
//     4 * vocab     more with adaptive-p
//     4 * window    more with DRY or n-grams
//     1             more for each token up to DRY's highest breaker
// For rows with different samplers, take the largest. Enough for fewer rows as well. 0 for no rows,
// a shape that can't be sampled, or an invalid sampler.
TEMPERA_API size_t tempera_sample_scratch_nbytes(const struct tempera_matrix *logits,
                                                 const struct tempera_sampler *sampler,
                                                 const struct tempera_executor *executor);

// Draws one token for each row of logits[batch, vocab].
//   logits    input, f32, f16 or bf16; vocab at most 2^31 - 1. A 16-bit row gives the same bits as
//             the same numbers in f32
//   rows      [batch], input, except what their logprobs point to
//   results   [batch], output
//   scratch   the caller's, aligned to 64, at least tempera_sample_scratch_nbytes
//   executor  NULL: this thread. A row is never split among threads
// No output may overlap an input or another output. This is not checked for what different rows
// point to, nor for lists within stages.
// Returns the worst row's status, or one of these, and then writes nothing:
//     INVALID_ARGUMENT    also for a state that remembers less than a window, or was made for
//                         another feedback stage. tempera_sampler_check explains an invalid sampler
//     UNSUPPORTED         a dtype or a kind of stage
//     TOKEN_OUT_OF_RANGE  a bias, list or report with a token outside the vocabulary
//     STATE_MISMATCH, BUFFER_TOO_SMALL
TEMPERA_API enum tempera_status tempera_sample(const struct tempera_matrix *logits,
                                               const struct tempera_sample_row *rows,
                                               struct tempera_sample_result *results, void *scratch,
                                               size_t scratch_nbytes,
                                               const struct tempera_executor *executor);

// The distribution that tempera_sample draws from: probs[batch, vocab] = w_i / sum of w, exactly 0
// for tokens that can't be drawn, and within (2^-22 + 2^-24) p + 2^-50 of the formulas for the
// scores that are left. results and everything else are as in tempera_sample.
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
