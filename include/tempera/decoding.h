// SPDX-License-Identifier: MIT
// Beyond one token from one row: several draws, draws without replacement. Definitions:
// docs/SAMPLING.md. Read first: sampler.h.
//
// All of these take scratch of tempera_sample_scratch_nbytes, aligned to 64, unless said otherwise.
// No output may overlap an input or another output. No function here allocates or starts a thread.
#ifndef TEMPERA_DECODING_H
#define TEMPERA_DECODING_H

#include <tempera/sampler.h>

#ifdef __cplusplus
extern "C" {
#endif

// ------------------------------------------------------------------------------------------------
// Several draws from one row

// n independent draws, with replacement, from logits[1, vocab]. The stages run once; then each draw
// is a pass over what they left. Draw number 0 is the one that tempera_sample gives.
//   row      input; its logprobs report on the distribution, which is that of all draws
//   results  [n_draws], output, n_draws below 2^30; all alike where the row has no token
// Status as tempera_sample. INVALID_ARGUMENT also for a sampler that races.
TEMPERA_API enum tempera_status tempera_sample_many(const struct tempera_matrix *logits,
                                                    const struct tempera_sample_row *row,
                                                    size_t n_draws,
                                                    struct tempera_sample_result *results,
                                                    void *scratch, size_t scratch_nbytes);

// k different tokens from logits[1, vocab]: draws without replacement, in the order in which they
// come (Gumbel-top-k: Kool, van Hoof, Welling 2019, arXiv 1903.06059). The first is the one that a
// sampler with TEMPERA_DRAW_RACE gives. logprob is that of a first draw.
//   row      input; its logprobs report on the distribution of the first draw
//   results  [k], output; from *n_drawn on left alone
//   n_drawn  output: min(k, tokens that can be drawn); 0 where the row has no token
// Status as tempera_sample, whatever the sampler's draw is.
TEMPERA_API enum tempera_status
tempera_sample_distinct(const struct tempera_matrix *logits, const struct tempera_sample_row *row,
                        size_t k, struct tempera_sample_result *results, size_t *n_drawn,
                        void *scratch, size_t scratch_nbytes);

#ifdef __cplusplus
}
#endif
#endif
