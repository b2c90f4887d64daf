// SPDX-License-Identifier: MIT
// What the sampler's test programs share: one row through the public calls, with scratch of
// exactly the size that the query asks for, so that AddressSanitizer sees a byte too many.
#ifndef TEMPERA_TESTS_SAMPLER_SETUP_H
#define TEMPERA_TESTS_SAMPLER_SETUP_H

#include "check.h"

#include <tempera/sampler.h>

// The scratch that these logits need, or NULL; the caller frees it.
void *new_scratch(const struct tempera_matrix *logits, const struct tempera_sampler *sampler,
                  const struct tempera_executor *executor, size_t *nbytes);

struct tempera_sample_result sample_row(const float *z, size_t n,
                                        const struct tempera_sample_row *row);

// The distribution, into probs[n].
struct tempera_sample_result probs_of_row(const float *z, size_t n,
                                          const struct tempera_sample_row *row, float *probs);

// A row through stages with a seed.
struct tempera_sample_result run_stages(const float *z, size_t n,
                                        const struct tempera_stage *stages, size_t n_stages,
                                        uint64_t seed);

struct tempera_sample_result run_stage(const float *z, size_t n, struct tempera_stage stage,
                                       uint64_t seed);

// A stage is refused by its number, and the message says what is wrong.
void check_complaint(struct tempera_stage stage, const char *what);

// The NaN that stands for "nothing" in results.
bool is_canonical_nan(float value);

// A state that has accepted tokens[count]; the caller frees it.
struct tempera_sampler_state *new_state(const struct tempera_sampler *sampler,
                                        const int32_t *tokens, size_t count);

#endif
