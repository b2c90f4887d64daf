// SPDX-License-Identifier: MIT
// The state of a sequence, a block without pointers: a head and the ring of history.h. It may come
// from a file, so its numbers are checked before use; but only tempera_sampler_state_check knows
// how many bytes there really are.
#include "sampler/calls/state.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sampler/row/history.h"
#include "sampler/stages/stages.h"

enum { STATE_VERSION = 2 };

// Never reached, so a step never wraps to 0.
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

// The kind of the feedback stage, 0 if there is none.
static uint32_t feedback_kind(const struct tempera_sampler *sampler)
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

// Whether its level is one that the feedback stage, if any, can reach.
static bool has_possible_feedback(const struct tempera_sampler_state *state)
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

// Whether everything after the last token is 0: unused entries of the ring, and the padding to 8
// bytes. The tokens themselves may have any bits.
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
// Public functions

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
    state->learner = feedback_kind(sampler);
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
    return has_possible_feedback(state) && has_possible_ring(state) ? TEMPERA_OK
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
// For the other calls

enum tempera_status tempera_state_fits_windows(const struct tempera_sampler_state *state,
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

enum tempera_status tempera_state_fits_sampler(const struct tempera_sampler_state *state,
                                               const struct tempera_sampler *sampler)
{
    enum tempera_status status = tempera_state_fits_windows(state, sampler);
    if (state == NULL || status != TEMPERA_OK)
        return status;
    uint32_t kind = feedback_kind(sampler);
    return kind == 0 || kind == state->learner ? TEMPERA_OK : TEMPERA_INVALID_ARGUMENT;
}

double tempera_row_feedback(const struct tempera_sample_row *row)
{
    return row->state == NULL ? initial_feedback(row->sampler) : row->state->level;
}
