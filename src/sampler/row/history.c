// SPDX-License-Identifier: MIT
#include "sampler/row/history.h"

size_t tempera_history_length(const struct tempera_sampler_state *state, size_t window)
{
    if (state == NULL)
        return 0;
    return state->step < window ? (size_t)state->step : window;
}

static int32_t entry_of(const struct tempera_sampler_state *state, size_t i)
{
    const int32_t *ring = (const int32_t *)(state + 1);
    return ring[(state->step - 1 - i) % state->window];
}

int32_t tempera_history_token(const struct tempera_sampler_state *state, size_t i)
{
    int32_t entry = entry_of(state, i);
    return entry < 0 ? ~entry : entry;
}

bool tempera_history_was_drawn(const struct tempera_sampler_state *state, size_t i)
{
    return entry_of(state, i) >= 0;
}

// The Z-algorithm on the reversed history: what lies in [begin, end) was found equal to the
// beginning, whose matches are known.
void tempera_history_matches(const struct tempera_sampler_state *state, size_t n, int32_t *matches)
{
    size_t begin = 0, end = 0;
    for (size_t i = 1; i < n; i++) {
        size_t length = 0;
        if (i < end) {
            length = (size_t)matches[i - begin];
            length = length < end - i ? length : end - i;
        }
        while (i + length < n &&
               tempera_history_token(state, length) == tempera_history_token(state, i + length))
            length++;
        matches[i] = (int32_t)length;
        if (i + length > end) {
            begin = i;
            end = i + length;
        }
    }
}
