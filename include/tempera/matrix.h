// SPDX-License-Identifier: MIT
// The one description of scores, probabilities and gradients: a row-major matrix in memory that
// the caller owns. Read next: softmax.h.
#ifndef TEMPERA_MATRIX_H
#define TEMPERA_MATRIX_H

#include <stddef.h>
#include <stdint.h>

#include <tempera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

// Types of single elements; the numbers are those of the GGUF file format. That format's block
// types (Q8_0 and so on) don't belong here: every user of this enum treats an element as a scalar.
enum tempera_dtype {
    TEMPERA_F32 = 0,
    TEMPERA_F16 = 1,   // IEEE 754 binary16
    TEMPERA_BF16 = 30, // the upper half of a binary32
};

// Element (r, c) is at data + (r * row_stride + c) elements. row_stride >= cols, in ELEMENTS.
// data must be aligned to its element's size, no more. A function that takes a
// `const struct tempera_matrix *` as an input only reads through data; which parameters are
// outputs is stated by each function.
struct tempera_matrix {
    void *data;
    enum tempera_dtype dtype;
    size_t rows;
    size_t cols;
    size_t row_stride;
};

// A dense f32 matrix over memory that will be written.
static inline struct tempera_matrix tempera_matrix_f32(float *data, size_t rows, size_t cols)
{
    struct tempera_matrix m = {data, TEMPERA_F32, rows, cols, cols};
    return m;
}

// A dense f32 matrix over memory that will only be read: pass it as an input.
static inline struct tempera_matrix tempera_matrix_const_f32(const float *data, size_t rows,
                                                             size_t cols)
{
    struct tempera_matrix m = {(float *)(uintptr_t)data, TEMPERA_F32, rows, cols, cols};
    return m;
}

// Bytes of one element: 4, 2, 2; 0 for a value that is not a dtype.
TEMPERA_API size_t tempera_dtype_nbytes(enum tempera_dtype dtype);

// "f32", "f16", "bf16"; "?" for a value that is not a dtype.
TEMPERA_API const char *tempera_dtype_name(enum tempera_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
