// SPDX-License-Identifier: MIT
#include "base/matrix.h"

#include <string.h>

#include "base/memory.h"

size_t tempera_dtype_nbytes(enum tempera_dtype dtype)
{
    switch (dtype) {
    case TEMPERA_F32:
        return 4;
    case TEMPERA_F16:
    case TEMPERA_BF16:
        return 2;
    }
    return 0;
}

const char *tempera_dtype_name(enum tempera_dtype dtype)
{
    switch (dtype) {
    case TEMPERA_F32:
        return "f32";
    case TEMPERA_F16:
        return "f16";
    case TEMPERA_BF16:
        return "bf16";
    }
    return "?";
}

// Bytes from the first element to the end of the last; false if they don't fit the address space.
static bool extent(const struct tempera_matrix *m, size_t *nbytes)
{
    size_t elements;
    if (m->rows == 0) {
        *nbytes = 0;
        return true;
    }
    return tempera_size_mul(m->rows - 1, m->row_stride, &elements) &&
           tempera_size_add(elements, m->cols, &elements) &&
           tempera_size_mul(elements, tempera_dtype_nbytes(m->dtype), nbytes) &&
           *nbytes <= UINTPTR_MAX - (uintptr_t)m->data;
}

enum tempera_status tempera_matrix_check(const struct tempera_matrix *matrix)
{
    size_t nbytes, element = matrix == NULL ? 0 : tempera_dtype_nbytes(matrix->dtype);
    TEMPERA_CHECK(element != 0 && matrix->cols > 0 && matrix->row_stride >= matrix->cols,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(matrix->rows == 0 || matrix->data != NULL, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK((uintptr_t)matrix->data % element == 0, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(extent(matrix, &nbytes), TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

enum tempera_status tempera_matrix_check_f32(const struct tempera_matrix *matrix)
{
    TEMPERA_TRY(tempera_matrix_check(matrix));
    TEMPERA_CHECK(matrix->dtype == TEMPERA_F32, TEMPERA_UNSUPPORTED);
    return TEMPERA_OK;
}

bool tempera_matrix_same_shape(const struct tempera_matrix *a, const struct tempera_matrix *b)
{
    return a->rows == b->rows && a->cols == b->cols;
}

struct tempera_span tempera_matrix_span(const struct tempera_matrix *matrix, bool is_written)
{
    struct tempera_span span = {.is_written = is_written};
    if (matrix != NULL && extent(matrix, &span.nbytes))
        span.data = matrix->data;
    return span;
}

// True for columns side by side in the same rows of one larger matrix.
static bool are_interleaved(const struct tempera_matrix *a, const struct tempera_matrix *b)
{
    if (a->dtype != b->dtype || a->row_stride != b->row_stride || a->data == b->data)
        return false;
    size_t element = tempera_dtype_nbytes(a->dtype), stride = a->row_stride * element;
    uintptr_t a_start = (uintptr_t)a->data, b_start = (uintptr_t)b->data;
    size_t a_to_b = (b_start - a_start) % stride;
    if (b_start < a_start)
        a_to_b = (stride - (a_start - b_start) % stride) % stride;
    return a_to_b >= a->cols * element && a_to_b + b->cols * element <= stride;
}

bool tempera_matrices_are_apart(const struct tempera_matrix *out, const struct tempera_matrix *in)
{
    if (out == NULL || in == NULL)
        return true;
    const struct tempera_span span = tempera_matrix_span(in, false);
    const struct tempera_span out_span = tempera_matrix_span(out, true);
    return tempera_spans_are_apart(&out_span, 1, &span, 1) || are_interleaved(out, in);
}

bool tempera_matrix_may_write(const struct tempera_matrix *out, const struct tempera_matrix *in)
{
    bool is_same =
        out->data == in->data && out->dtype == in->dtype && out->row_stride == in->row_stride;
    return is_same || tempera_matrices_are_apart(out, in);
}

void tempera_store_float(float *out, double value)
{
    if (value != value)
        tempera_row_fill_nan(out, 1);
    else
        *out = (float)value;
}

void tempera_row_fill_nan(float *row, size_t cols)
{
    const uint32_t nan = TEMPERA_CANONICAL_NAN;
    for (size_t i = 0; i < cols; i++)
        memcpy(&row[i], &nan, sizeof nan);
}

void tempera_row_fill(void *row, enum tempera_dtype dtype, size_t cols, bool with_nan)
{
    const uint16_t nan = dtype == TEMPERA_F16 ? 0x7E00 : 0x7FC0;
    if (!with_nan)
        memset(row, 0, cols * tempera_dtype_nbytes(dtype));
    else if (dtype == TEMPERA_F32)
        tempera_row_fill_nan(row, cols);
    else
        for (size_t i = 0; i < cols; i++)
            ((uint16_t *)row)[i] = nan;
}
