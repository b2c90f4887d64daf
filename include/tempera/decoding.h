// SPDX-License-Identifier: MIT
// Beyond one token from one row: several draws, draws without replacement, speculative
// verification, beam search, classifier-free guidance. Definitions: docs/SAMPLING.md. Read first:
// sampler.h.
//
// Scratch has tempera_sample_scratch_nbytes bytes, aligned to 64, unless stated otherwise.
// No output may overlap an input or another output. No function here allocates or starts a thread.
#ifndef TEMPERA_DECODING_H
#define TEMPERA_DECODING_H

#include <tempera/sampler.h>

#ifdef __cplusplus
extern "C" {
#endif

// ------------------------------------------------------------------------------------------------
// Several draws from one row

// n independent draws, with replacement, from logits[1, vocab]. The stages are applied once. A draw
// then reads one sum for each 4096 tokens, and at most 4096 tokens. Draw number 0 is the one of
// tempera_sample.
//   row      input; its logprobs report on the distribution, which all draws share
//   results  [n_draws], output, n_draws below 2^30; all equal if the row has no token
// Status as tempera_sample. INVALID_ARGUMENT also for a sampler with TEMPERA_DRAW_RACE.
TEMPERA_API enum tempera_status tempera_sample_many(const struct tempera_matrix *logits,
                                                    const struct tempera_sample_row *row,
                                                    size_t n_draws,
                                                    struct tempera_sample_result *results,
                                                    void *scratch, size_t scratch_nbytes);

// k different tokens from logits[1, vocab]: draws without replacement, in the order of the draws
// (Gumbel-top-k: Kool, van Hoof, Welling 2019, arXiv 1903.06059). The first is the one that a
// sampler with TEMPERA_DRAW_RACE gives. Each logprob is that of a first draw.
//   row      input; its logprobs report on the distribution of the first draw
//   results  [k], output; not written from *n_drawn on
//   n_drawn  output: min(k, tokens that can be drawn); 0 if the row has no token
// Status as tempera_sample. The sampler's kind of draw has no influence.
TEMPERA_API enum tempera_status
tempera_sample_distinct(const struct tempera_matrix *logits, const struct tempera_sample_row *row,
                        size_t k, struct tempera_sample_result *results, size_t *n_drawn,
                        void *scratch, size_t scratch_nbytes);

// ------------------------------------------------------------------------------------------------
// Speculative verification (Leviathan et al. 2022, arXiv 2211.17192; Chen et al. 2023, 2302.01318)

// Verifies a chain of drafted tokens. p is the sampler's distribution of a row, q the one that the
// drafted token was drawn from. A token x is accepted with probability min(1, p(x) / q(x)); the
// first that is not accepted is replaced by a draw from max(p - q, 0); if all are accepted, one
// more token is drawn. So the tokens are distributed as if drawn one by one from p, to vocab *
// 2^-50 in total variation, plus the error of rounding q to its type. With n_drafted = 0 this is
// tempera_sample.
//   logits       [n_drafted + 1, vocab]: row i has the model's scores after i drafted tokens
//   rows         [n_drafted + 1]: masks, wants and logprobs of each position. All have the same
//                sampler, seed and stream, no state and no tokens
//   state        NULL, or the sequence's, input and output: it accepts every token that is
//                returned. To roll back, restore a copy. With NULL, positions are steps 0, 1, ...
//                without a history
//   drafted      [n_drafted] token ids
//   draft_probs  [n_drafted, vocab], any dtype: q. NULL means q = 1 for each drafted token (such as
//                from an n-gram lookup). Rows need not sum to 1 exactly; a row of zeros means that
//                no draft was made at this position
//   results      [n_drafted + 1], output; not written from *n_tokens on
//   n_tokens     output: accepted tokens and the one after them; at least 1 unless a row fails
//   scratch      as for one row of the logits
// Results and reports are those of p. Stops at the first row that is not OK (ALL_MASKED, NAN_INPUT)
// and returns its status; the tokens before it are valid. Otherwise as tempera_sample;
// INVALID_ARGUMENT also if an element of q is negative, NaN or above 1, and then writes nothing.
TEMPERA_API enum tempera_status tempera_speculative_verify(
    const struct tempera_matrix *logits, const struct tempera_sample_row *rows,
    struct tempera_sampler_state *state, const int32_t *drafted, size_t n_drafted,
    const struct tempera_matrix *draft_probs, struct tempera_sample_result *results,
    size_t *n_tokens, void *scratch, size_t scratch_nbytes);

// ------------------------------------------------------------------------------------------------
// Beam search: one step. The caller keeps the tokens of the beams and decides when one ends.

struct tempera_beam {
    double logprob;  // sum over its tokens
    int32_t token;   // the last one
    uint32_t parent; // the beam that it continues: a row of the logits
};

// The best `width` continuations of n beams, by logprob descending, then parent, then token.
//   logits    [n_beams, vocab], any dtype; vocab at most 2^31 - 1; -inf is banned
//   logprobs  [n_beams]: of the beams so far, below +inf; -inf: this beam has ended, and its row is
//             not read
//   masks     NULL, or [n_beams] pointers, each NULL or ceil(vocab / 32) words as in softmax.h
//   beams     [width], output; logprob = logprobs[parent] + raw logprob of token (sampler.h), in
//             double; not written from *n_found on
//   n_found   output: min(width, continuations with a logprob above -inf)
// No scratch; at most vocab * log(width) steps per row. Returns the worst row's status: rows with a
// NaN and rows without an allowed token give no continuation. INVALID_ARGUMENT: nothing is written.
TEMPERA_API enum tempera_status tempera_beam_step(const struct tempera_matrix *logits,
                                                  const double *logprobs,
                                                  const uint32_t *const *masks,
                                                  struct tempera_beam *beams, size_t width,
                                                  size_t *n_found);

// logprob / length^penalty, to a relative error of 2^-42: the score for comparing beams of
// different lengths. penalty 0: the logprob; 1: the mean. length at least 1, |penalty| at most 8;
// else NaN.
TEMPERA_API double tempera_beam_score(double logprob, size_t length, double penalty);

// ------------------------------------------------------------------------------------------------
// Classifier-free guidance (Sanchez et al. 2023, arXiv 2306.17806)

// guided = u + scale (c - u) in double, rounded to f32 and then to guided's type, where c and u are
// the log-softmax of the two rows. -inf where c is -inf, c where only u is; all other results are
// clamped to the finite range of guided's type. Scale 1 gives c. A NaN makes its row NaN.
//   conditional, unconditional  [rows, vocab], any dtype
//   scale       finite
//   guided      [rows, vocab], any dtype, output; may be exactly one of the inputs
//   row_status  [rows] or NULL, output: OK, ALL_MASKED (c is -inf everywhere), NAN_INPUT
// No scratch. Returns the worst row's status, or INVALID_ARGUMENT: then nothing is written.
TEMPERA_API enum tempera_status tempera_guide(const struct tempera_matrix *conditional,
                                              const struct tempera_matrix *unconditional,
                                              float scale, const struct tempera_matrix *guided,
                                              enum tempera_status *row_status,
                                              const struct tempera_executor *executor);

#ifdef __cplusplus
}
#endif
#endif
