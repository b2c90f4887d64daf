// SPDX-License-Identifier: MIT
// Rows of f16 or bf16 that are read and written where they lie, with the bits that copies in f32
// would give.
#ifndef TEMPERA_SCORE_SOFTMAX_ROWS_16BIT_H
#define TEMPERA_SCORE_SOFTMAX_ROWS_16BIT_H

#include "kernels/kernels.h"

struct tempera_rows_16bit {
    const struct tempera_kernels *kernels;
    const struct tempera_temperature_params *params;
    enum tempera_dtype dtype; // of both
    const uint16_t *in;
    uint16_t *out; // may be in, with the same stride
    size_t in_stride, out_stride, n_rows, n;
};

// They stop before the first row that isn't an f32 row and return how many rows they have done.
size_t tempera_softmax_rows_16bit(const struct tempera_rows_16bit *rows);
size_t tempera_log_softmax_rows_16bit(const struct tempera_rows_16bit *rows);

#endif
