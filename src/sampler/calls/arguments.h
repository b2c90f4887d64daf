// SPDX-License-Identifier: MIT
// What all calls of the sampler check before they write anything.
#ifndef TEMPERA_SAMPLER_CALLS_ARGUMENTS_H
#define TEMPERA_SAMPLER_CALLS_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include <tempera/sampler.h>

#include "base/arguments.h"

// The arguments of a call. The check adds rows, scratch and matrices to the spans.
struct tempera_call {
    const struct tempera_matrix *logits;
    const struct tempera_sample_row *rows; // [logits->rows]
    const struct tempera_matrix *other;    // NULL, or a valid one
    bool other_is_written;                 // then it has to be f32, of the logits' shape
    char *scratch;
    size_t scratch_nbytes;
    size_t n_slices;     // rows that may be worked on at a time
    size_t extra_nbytes; // of scratch, after the slices
    struct tempera_span spans[10];
    size_t n_spans;
    size_t slice_nbytes; // of one row's scratch: found by the check
};

void tempera_call_add(struct tempera_call *call, const void *data, size_t count, size_t nbytes,
                      bool is_written);

// The status that the call has to return unless it is OK. Writes to nothing but *call.
enum tempera_status tempera_call_check(struct tempera_call *call);

#endif
