// SPDX-License-Identifier: MIT
// The history of a sequence, in a block without pointers: a head and a ring of the last tokens.
// A block may come back from a file, so its numbers are checked before use; but only
// tempera_sampler_state_check knows how many bytes there are to believe them of. In the ring
// stands the id of a token that was drawn, and ~id of one of the prompt.
#include <math.h>
#include <string.h>

#include "sampler/row/row.h"

enum { STATE_VERSION = 2 };

// Nobody accepts so many tokens; so a step never comes round to 0.
#define STEP_MAX (UINT64_C(1) << 63)

static size_t block_nbytes(uint32_t window)
{
    size_t nbytes = sizeof(struct tempera_sampler_state) + window * sizeof(int32_t);
    return (nbytes + 7) / 8 * 8;
}

static uint32_t longest_window(const struct tempera_sampler *sampler)
{
    int32_t longest = 0;
    for (size_t i = 0; i < sampler->n_stages; i++) {
        int32_t window = tempera_stage_window(&sampler->stages[i]);
        longest = window > longest ? window : longest;
    }
    return (uint32_t)longest;
}

// 0: none.
static uint32_t learner_of(const struct tempera_sampler *sampler)
{
    const struct tempera_stage *stage = tempera_feedback_stage(sampler);
    return stage == NULL ? 0 : (uint32_t)stage->kind;
}

static double initial_feedback(const struct tempera_sampler *sampler)
{
    const struct tempera_stage *stage = tempera_feedback_stage(sampler);
    return stage == NULL ? 0 : tempera_stage_type_of(stage->kind)->initial_feedback(stage);
}

static bool is_aligned(const struct tempera_sampler_state *state)
{
    return (uintptr_t)state % 8 == 0;
}

static bool is_sound(const struct tempera_sampler_state *state)
{
    return state->version == STATE_VERSION && state->window <= TEMPERA_WINDOW_MAX &&
           state->nbytes == block_nbytes(state->window) && state->step < STEP_MAX &&
           isfinite(state->level);
}

// Whether its level is one that the learning stage, if any, can come to.
static bool has_possible_level(const struct tempera_sampler_state *state)
{
    if (state->learner == 0)
        return state->level == 0;
    const struct tempera_stage_type *type =
        tempera_stage_type_of((enum tempera_stage_kind)state->learner);
    if (type == NULL || type->initial_feedback == NULL)
        return false;
    bool is_mean = state->learner == TEMPERA_STAGE_ADAPTIVE_P; // of probabilities
    return !is_mean || (state->level >= 0 && state->level <= 1);
}

// Whether everything after the last entry is 0: the places of the ring that no token has reached,
// and what rounds the block up to 8 bytes. The entries themselves are ids, whatever their bits.
static bool has_possible_ring(const struct tempera_sampler_state *state)
{
    const int32_t *ring = (const int32_t *)(state + 1);
    size_t n = (state->nbytes - sizeof *state) / sizeof *ring;
    for (size_t i = state->step < state->window ? (size_t)state->step : state->window; i < n; i++)
        if (ring[i] != 0)
            return false;
    return true;
}

// ------------------------------------------------------------------------------------------------
// The public side

size_t tempera_sampler_state_nbytes(const struct tempera_sampler *sampler)
{
    if (tempera_sampler_check(sampler, NULL) != TEMPERA_OK)
        return 0;
    return block_nbytes(longest_window(sampler));
}

enum tempera_status tempera_sampler_state_init(struct tempera_sampler_state *state, size_t nbytes,
                                               const struct tempera_sampler *sampler)
{
    size_t needed = tempera_sampler_state_nbytes(sampler);
    if (state == NULL || needed == 0 || !is_aligned(state))
        return TEMPERA_INVALID_ARGUMENT;
    if (nbytes < needed)
        return TEMPERA_BUFFER_TOO_SMALL;
    memset(state, 0, needed);
    state->nbytes = (uint32_t)needed;
    state->version = STATE_VERSION;
    state->window = longest_window(sampler);
    state->learner = learner_of(sampler);
    state->level = initial_feedback(sampler);
    return TEMPERA_OK;
}

enum tempera_status tempera_sampler_state_check(const struct tempera_sampler_state *state,
                                                size_t nbytes)
{
    if (state == NULL || !is_aligned(state))
        return TEMPERA_INVALID_ARGUMENT;
    if (nbytes < sizeof *state)
        return TEMPERA_BUFFER_TOO_SMALL;
    if (!is_sound(state))
        return TEMPERA_STATE_MISMATCH;
    if (nbytes < state->nbytes)
        return TEMPERA_BUFFER_TOO_SMALL;
    return has_possible_level(state) && has_possible_ring(state) ? TEMPERA_OK
                                                                 : TEMPERA_STATE_MISMATCH;
}

enum tempera_status tempera_sampler_accept(struct tempera_sampler_state *state, int32_t token,
                                           const struct tempera_sample_result *drawn)
{
    if (state == NULL || !is_aligned(state) || token < 0 ||
        (drawn != NULL && drawn->token != token))
        return TEMPERA_INVALID_ARGUMENT;
    if (!is_sound(state))
        return TEMPERA_STATE_MISMATCH;
    if (drawn != NULL && state->learner != 0) {
        if (!isfinite(drawn->level))
            return TEMPERA_INVALID_ARGUMENT;
        state->level = drawn->level;
    }
    int32_t *ring = (int32_t *)(state + 1);
    if (state->window > 0)
        ring[state->step % state->window] = drawn != NULL ? token : ~token;
    state->step++;
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// For the stages

enum tempera_status tempera_history_check(const struct tempera_sampler_state *state,
                                          const struct tempera_sampler *sampler)
{
    if (state == NULL)
        return TEMPERA_OK;
    if (!is_aligned(state))
        return TEMPERA_INVALID_ARGUMENT;
    if (!is_sound(state))
        return TEMPERA_STATE_MISMATCH;
    return longest_window(sampler) <= state->window ? TEMPERA_OK : TEMPERA_INVALID_ARGUMENT;
}

enum tempera_status tempera_state_check(const struct tempera_sampler_state *state,
                                        const struct tempera_sampler *sampler)
{
    enum tempera_status status = tempera_history_check(state, sampler);
    if (state == NULL || status != TEMPERA_OK)
        return status;
    uint32_t learner = learner_of(sampler);
    return learner == 0 || learner == state->learner ? TEMPERA_OK : TEMPERA_INVALID_ARGUMENT;
}

size_t tempera_state_n_recent(const struct tempera_sampler_state *state, size_t window)
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

int32_t tempera_state_recent(const struct tempera_sampler_state *state, size_t i)
{
    int32_t entry = entry_of(state, i);
    return entry < 0 ? ~entry : entry;
}

bool tempera_state_recent_was_drawn(const struct tempera_sampler_state *state, size_t i)
{
    return entry_of(state, i) >= 0;
}

// The Z-algorithm, on the history backwards: what was found equal up to `end`, from `begin` on, is
// the beginning again, whose matches are known.
void tempera_state_matches(const struct tempera_sampler_state *state, size_t n, int32_t *matches)
{
    size_t begin = 0, end = 0;
    for (size_t i = 1; i < n; i++) {
        size_t length = 0;
        if (i < end) {
            length = (size_t)matches[i - begin];
            length = length < end - i ? length : end - i;
        }
        while (i + length < n &&
               tempera_state_recent(state, length) == tempera_state_recent(state, i + length))
            length++;
        matches[i] = (int32_t)length;
        if (i + length > end) {
            begin = i;
            end = i + length;
        }
    }
}

double tempera_row_feedback(const struct tempera_sample_row *row)
{
    return row->state == NULL ? initial_feedback(row->sampler) : row->state->level;
}
