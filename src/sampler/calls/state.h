// SPDX-License-Identifier: MIT
// Whether a state serves a sampler, and what its feedback stage has learned.
#ifndef TEMPERA_SAMPLER_CALLS_STATE_H
#define TEMPERA_SAMPLER_CALLS_STATE_H

#include <tempera/sampler.h>

// OK if the state (NULL: none) is sound and remembers enough for the sampler's windows; else
// STATE_MISMATCH or INVALID_ARGUMENT.
enum tempera_status tempera_state_fits_windows(const struct tempera_sampler_state *state,
                                               const struct tempera_sampler *sampler);

// The same, and INVALID_ARGUMENT if it was made for another feedback stage.
enum tempera_status tempera_state_fits_sampler(const struct tempera_sampler_state *state,
                                               const struct tempera_sampler *sampler);

// The level of the row's state; the initial one if it has no state.
double tempera_row_feedback(const struct tempera_sample_row *row);

#endif
