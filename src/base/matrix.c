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

// Bytes from the first element to behind the last; false if they don't fit the address space.
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
    enum tempera_status status = tempera_matrix_check(matrix);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    TEMPERA_CHECK(matrix->dtype == TEMPERA_F32, TEMPERA_UNSUPPORTED);
    return TEMPERA_OK;
}

bool tempera_matrix_same_shape(const struct tempera_matrix *a, const struct tempera_matrix *b)
{
    return a->rows == b->rows && a->cols == b->cols;
}

static bool ranges_are_apart(uintptr_t a, size_t a_nbytes, uintptr_t b, size_t b_nbytes)
{
    if (a == 0 || b == 0 || a_nbytes == 0 || b_nbytes == 0)
        return true;
    return a <= b ? b - a >= a_nbytes : a - b >= b_nbytes;
}

bool tempera_ranges_are_apart(const void *a, size_t a_nbytes, const void *b, size_t b_nbytes)
{
    return ranges_are_apart((uintptr_t)a, a_nbytes, (uintptr_t)b, b_nbytes);
}

bool tempera_matrix_may_write(const struct tempera_matrix *out, const struct tempera_matrix *in)
{
    size_t out_nbytes = 0, in_nbytes = 0;
    extent(out, &out_nbytes);
    extent(in, &in_nbytes);
    uintptr_t a = (uintptr_t)out->data, b = (uintptr_t)in->data;
    if (ranges_are_apart(a, out_nbytes, b, in_nbytes))
        return true;
    if (out->dtype != in->dtype || out->row_stride != in->row_stride)
        return false;
    if (a == b)
        return true;
    // Columns side by side in the same rows of one larger matrix.
    size_t stride = out->row_stride * tempera_dtype_nbytes(out->dtype);
    size_t a_to_b = (b - a) % stride, width = out->cols * tempera_dtype_nbytes(out->dtype);
    if (b < a)
        a_to_b = (stride - (a - b) % stride) % stride;
    return a_to_b >= width && a_to_b + in->cols * tempera_dtype_nbytes(in->dtype) <= stride;
}

bool tempera_matrix_is_apart(const struct tempera_matrix *matrix, const void *values, size_t count,
                             size_t nbytes)
{
    size_t matrix_nbytes = 0;
    extent(matrix, &matrix_nbytes);
    return ranges_are_apart((uintptr_t)matrix->data, matrix_nbytes, (uintptr_t)values,
                            count * nbytes);
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
