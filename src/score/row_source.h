// SPDX-License-Identifier: MIT
// Where a row's scores come from: memory of any type, with what softmax's options do to it. They
// are read as f32, a piece at a time.
#ifndef TEMPERA_SCORE_ROW_SOURCE_H
#define TEMPERA_SCORE_ROW_SOURCE_H

#include "kernels/kernels.h"

enum { TEMPERA_PIECE = 4096 }; // elements; a buffer of so many floats lies on the stack

struct tempera_row_source {
    const struct tempera_kernels *kernels;
    struct tempera_prepare how;
    const void *z;
    size_t n;          // scores, the sink among them
    const float *sink; // NULL, or one more score at the end
    bool is_plain;     // f32 and nothing to prepare: pieces are read where they lie
};

// A row of a matrix as it lies there.
struct tempera_row_source tempera_row_source_of(const struct tempera_kernels *kernels,
                                                const struct tempera_matrix *matrix, size_t row);

// True for 16 bits and nothing else to prepare: some kernels read these where they lie.
bool tempera_row_source_is_16bit(const struct tempera_row_source *source);

// Elements [at, at + n) of the row, in place or in buffer.
const float *tempera_row_piece(const struct tempera_row_source *source, size_t at, size_t n,
                               float *buffer);

// The largest score; of no use if there is a NaN.
float tempera_row_max(const struct tempera_row_source *source, bool *has_nan);

#endif
