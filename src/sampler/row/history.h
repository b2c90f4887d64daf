// SPDX-License-Identifier: MIT
// What a state remembers, as stages see it.
#ifndef TEMPERA_SAMPLER_ROW_HISTORY_H
#define TEMPERA_SAMPLER_ROW_HISTORY_H

#include <stdbool.h>

#include <tempera/sampler.h>

// The longest window; keeps the size of a state within 32 bits.
enum { TEMPERA_WINDOW_MAX = 1 << 28 };

// OK if the state (NULL: none) is sound, remembers enough for the sampler and learns what it does;
// else STATE_MISMATCH or INVALID_ARGUMENT.
enum tempera_status tempera_state_check(const struct tempera_sampler_state *state,
                                        const struct tempera_sampler *sampler);

// The same of a state of which only the history counts.
enum tempera_status tempera_history_check(const struct tempera_sampler_state *state,
                                          const struct tempera_sampler *sampler);

// How many tokens there are in the last `window`, and number i of them, the latest first.
size_t tempera_state_n_recent(const struct tempera_sampler_state *state, size_t window);
int32_t tempera_state_recent(const struct tempera_sampler_state *state, size_t i);

// True if that token was drawn, false if it is one of the prompt.
bool tempera_state_recent_was_drawn(const struct tempera_sampler_state *state, size_t i);

// Into matches[i], for i in [1, n): how many tokens before number i - 1 are also the last ones of
// the history, so that the token i - 1 may come again. Of the last n tokens, in linear time.
void tempera_state_matches(const struct tempera_sampler_state *state, size_t n, int32_t *matches);

// What was learned so far: the state's level, or without a state what learning begins with.
double tempera_row_feedback(const struct tempera_sample_row *row);

#endif
