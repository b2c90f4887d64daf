// SPDX-License-Identifier: MIT
// The tokens that a state remembers. They are stored after the struct, in a ring: token number s at
// s % window, a token that was drawn as its id, one of the prompt as ~id.
#ifndef TEMPERA_SAMPLER_ROW_HISTORY_H
#define TEMPERA_SAMPLER_ROW_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/sampler.h>

// The longest window; keeps the size of a state within 32 bits.
enum { TEMPERA_WINDOW_MAX = 1 << 28 };

// How many tokens there are in the last `window` of a state; 0 for NULL.
size_t tempera_history_length(const struct tempera_sampler_state *state, size_t window);

// Token number i, counted back from the latest.
int32_t tempera_history_token(const struct tempera_sampler_state *state, size_t i);

// True if that token was drawn, false if it is one of the prompt.
bool tempera_history_was_drawn(const struct tempera_sampler_state *state, size_t i);

// For i in [1, n), matches[i] is how many tokens before token i - 1 equal the last ones of the
// history: then token i - 1 would continue a repetition. Of the last n tokens, in linear time.
void tempera_history_matches(const struct tempera_sampler_state *state, size_t n, int32_t *matches);

#endif
