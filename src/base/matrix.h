// SPDX-License-Identifier: MIT
// The caller's matrices: checks, whether they overlap, and where an element lies.
#ifndef TEMPERA_BASE_MATRIX_H
#define TEMPERA_BASE_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/matrix.h>
#include <tempera/status.h>

#include "base/arguments.h"

enum { TEMPERA_CANONICAL_NAN = 0x7FC00000 };

// OK for a matrix that can be worked on (of 0 rows, too), else INVALID_ARGUMENT.
enum tempera_status tempera_matrix_check(const struct tempera_matrix *matrix);

// The same, and UNSUPPORTED where it isn't of f32.
enum tempera_status tempera_matrix_check_f32(const struct tempera_matrix *matrix);

bool tempera_matrix_same_shape(const struct tempera_matrix *a, const struct tempera_matrix *b);

// The matrix's memory, from its first element to the end of its last; NULL: none.
struct tempera_span tempera_matrix_span(const struct tempera_matrix *matrix, bool is_written);

// True if they have no element in common, or if one is NULL. They may be columns of a larger one.
bool tempera_matrices_are_apart(const struct tempera_matrix *out, const struct tempera_matrix *in);

// True if writing `out` can't disturb reading `in`: no common element, or exactly the same matrix.
bool tempera_matrix_may_write(const struct tempera_matrix *out, const struct tempera_matrix *in);

// Element (row, col) of a matrix of any type.
static inline void *tempera_matrix_element(const struct tempera_matrix *matrix, size_t row,
                                           size_t col)
{
    size_t nbytes = matrix->dtype == TEMPERA_F32 ? 4 : 2;
    return (char *)matrix->data + (row * matrix->row_stride + col) * nbytes;
}

// A row of a matrix of f32.
static inline float *tempera_matrix_row(const struct tempera_matrix *matrix, size_t row)
{
    return tempera_matrix_element(matrix, row, 0);
}

// Sets a row of any type to 0, or to the type's canonical NaN.
void tempera_row_fill(void *row, enum tempera_dtype dtype, size_t cols, bool with_nan);

// Sets a row of f32 to the canonical NaN, by its bits.
void tempera_row_fill_nan(float *row, size_t cols);

// A computed NaN may have any payload; what is stored is the canonical one.
void tempera_store_float(float *out, double value);

#endif
