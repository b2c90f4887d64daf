// SPDX-License-Identifier: MIT
// The last layer of a language model and its loss in one call: logits = hidden head^T, their
// cross-entropy (loss.h), and the gradients of both, without ever holding logits[rows, vocab]. For
// 8192 rows and a vocabulary of 128256 that matrix would be 4.2 GB, and its gradient as much.
//
// Rows are done in chunks: their logits, the loss with its gradient in the logits' place, and from
// it the gradients of hidden and head. Chunks have equal sizes, the last one perhaps fewer rows:
//
//     most     = min(rows, max(1, floor(most_nbytes / (4 vocab)))), from 64 rows on a multiple of
//                16 unless it is all rows
//     scratch  = 4 vocab most bytes, rounded up to a multiple of 64
//     chunks   = ceil(rows / most)
//
// By default a call uses at most 14.5 MB of scratch, and less than 16 MB with its stack and what
// the product takes (0.8 MB for tempera_model_matmul). More scratch makes products faster: see
// docs/PERFORMANCE.md. (The idea of chunks: Liger Kernel, Hsu et al. 2024, arXiv 2410.10989. Cut
// Cross-Entropy, Wijmans et al. 2024, arXiv 2411.09009, computes logits again and needs a fourth
// product.)
//
// libtempera has no matrix product of its own: the caller supplies one. libtempera-lm has
// tempera_model_matmul in model.h: OpenBLAS, or kernels of its own for few rows.
#ifndef TEMPERA_LINEAR_LOSS_H
#define TEMPERA_LINEAR_LOSS_H

#include <stdbool.h>

#include <tempera/loss.h>

#ifdef __cplusplus
extern "C" {
#endif

// C[M, N] = op(A)[M, K] op(B)[K, N], plus C when accumulate. All row-major; strides in elements.
// A is stored [M, K], or [K, M] when a_transposed; B is stored [K, N], or [N, K] when
// b_transposed (how weights lie: [outputs, inputs]). C must not overlap A or B.
struct tempera_matmul {
    size_t M, N, K;
    const float *a;
    const float *b;
    float *c;
    size_t a_stride, b_stride, c_stride;
    bool a_transposed, b_transposed;
    bool accumulate;
};

// Does the product on the executor (NULL: in this thread) and returns OK; any other status ends the
// call that asked for it, with that status. The loss has the same bits at any number of threads if
// the product has.
typedef enum tempera_status tempera_matmul_function(void *self,
                                                    const struct tempera_matmul *product,
                                                    const struct tempera_executor *executor);

// All matrices are of f32. Set struct_size.
struct tempera_linear_head {
    size_t struct_size;
    const struct tempera_matrix *hidden;   // [rows, dim], only read
    const struct tempera_matrix *head;     // [vocab, dim], only read
    const struct tempera_matrix *d_hidden; // [rows, dim], written; NULL: none
    const struct tempera_matrix *d_head;   // [vocab, dim], added to; NULL: none
    tempera_matmul_function *matmul;
    void *self; // handed to matmul
};

// Bytes of scratch that `rows` rows of this vocabulary can use: at most most_nbytes (0: 14.5 MB),
// but at least one row's. 0 for no rows, no vocabulary, or a size that overflows.
TEMPERA_API size_t tempera_linear_cross_entropy_scratch_nbytes(size_t rows, size_t vocab,
                                                               size_t most_nbytes);

// The loss of classes[rows] under softmax(hidden head^T), with the options and outputs of
// tempera_cross_entropy, whose d_logits must be NULL here.
//   scratch   the caller's, aligned to 64, at least one row of logits. How many rows fit decides
//             the chunks, and so the last bits of loss and d_head
//   executor  for the products and the rows; NULL: this thread
// Rows whose status isn't OK: as in loss.h, and a row of NaN makes d_head NaN. Gradients of logits
// that f32 can't hold are infinite, and make d_hidden and d_head infinite or NaN; any NaN there is
// 0x7fc00000. Rows of ignore_index get d_hidden 0; their hidden states must be finite, since 0
// times NaN is NaN.
// Nothing that is written may overlap anything else. Bits do not depend on the executor.
// Returns the worst row's status; or INVALID_ARGUMENT, UNSUPPORTED (a matrix that isn't of f32),
// TARGET_OUT_OF_RANGE, BUFFER_TOO_SMALL: then nothing is written; or what matmul returned: then
// outputs may be written in part. Error: that of the product, and then as in loss.h.
TEMPERA_API enum tempera_status
tempera_linear_cross_entropy(const struct tempera_linear_head *linear, const int32_t *classes,
                             const struct tempera_cross_entropy_options *options,
                             const struct tempera_cross_entropy_outputs *outputs, void *scratch,
                             size_t scratch_nbytes, const struct tempera_executor *executor);

#ifdef __cplusplus
}
#endif
#endif
