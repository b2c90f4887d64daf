// SPDX-License-Identifier: MIT
// One long row on several threads, with the bits that one thread gives.
#ifndef TEMPERA_SCORE_SOFTMAX_LONG_ROW_H
#define TEMPERA_SCORE_SOFTMAX_LONG_ROW_H

#include <stdbool.h>
#include <stddef.h>

#include <tempera/parallel.h>

#include "kernels/kernels.h"

// True if threads do better to share each row than to take rows of their own.
bool tempera_long_row_pays(size_t n_rows, size_t n, const struct tempera_executor *executor);

// out[n] = softmax or log-softmax of z[n]; out may be z. Returns false, and has written nothing,
// for a row that isn't an f32 row.
bool tempera_long_row(const struct tempera_kernels *kernels,
                      const struct tempera_temperature_params *params, const float *z, size_t n,
                      bool is_log, float *out, const struct tempera_executor *executor);

#endif
