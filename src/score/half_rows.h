// SPDX-License-Identifier: MIT
// Rows of f16 or bf16 that are read and written where they lie, with the bits that copies in f32
// would give.
#ifndef TEMPERA_SCORE_HALF_ROWS_H
#define TEMPERA_SCORE_HALF_ROWS_H

#include "kernels/kernels.h"

struct tempera_half_rows {
    const struct tempera_kernels *kernels;
    const struct tempera_heat *heat;
    enum tempera_dtype dtype; // of both
    const uint16_t *in;
    uint16_t *out; // may be in, with the same stride
    size_t in_stride, out_stride, n_rows, n;
};

// They stop before the first row that isn't ordinary and return how many rows they have done.
size_t tempera_half_softmax_rows(const struct tempera_half_rows *rows);
size_t tempera_half_log_softmax_rows(const struct tempera_half_rows *rows);

#endif
