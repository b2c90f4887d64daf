// SPDX-License-Identifier: MIT
#include "score/row_source.h"

#include <math.h>

#include "base/matrix.h"
#include "base/size.h"

struct tempera_row_source tempera_row_source_of(const struct tempera_kernels *kernels,
                                                const struct tempera_matrix *matrix, size_t row)
{
    return (struct tempera_row_source){.kernels = kernels,
                                       .how = {.dtype = matrix->dtype, .scale = 1},
                                       .z = tempera_matrix_element(matrix, row, 0),
                                       .n = matrix->cols,
                                       .is_plain = matrix->dtype == TEMPERA_F32};
}

bool tempera_row_source_is_16bit(const struct tempera_row_source *source)
{
    const struct tempera_prepare *how = &source->how;
    return how->dtype != TEMPERA_F32 && how->mask == NULL && how->add == NULL && how->scale == 1 &&
           how->softcap == 0 && source->sink == NULL;
}

const float *tempera_row_piece(const struct tempera_row_source *source, size_t at, size_t n,
                               float *buffer)
{
    bool has_sink = source->sink != NULL && at + n == source->n;
    if (source->is_plain && !has_sink)
        return (const float *)source->z + at;
    source->kernels->convert.prepare(&source->how, source->z, at, n - has_sink, buffer);
    if (has_sink)
        buffer[n - 1] = *source->sink;
    return buffer;
}

float tempera_row_max(const struct tempera_row_source *source, bool *has_nan)
{
    float buffer[TEMPERA_PIECE], max = -INFINITY;
    if (tempera_row_source_is_16bit(source))
        return source->kernels->pieces_16bit.max(source->z, source->n, source->how.dtype, has_nan);
    *has_nan = false;
    for (size_t at = 0; at < source->n && !*has_nan; at += TEMPERA_PIECE) {
        size_t n = tempera_min(source->n - at, TEMPERA_PIECE);
        float m = source->kernels->pieces.max(tempera_row_piece(source, at, n, buffer), n, has_nan);
        max = m > max ? m : max;
    }
    return max;
}
