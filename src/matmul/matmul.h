// SPDX-License-Identifier: MIT
// Matrix products in f32, through OpenBLAS, cut into fixed panels; those of a few rows with a large
// matrix in kernels of ours (thin.h).
//
// Each panel is one single-threaded library call and one task of the caller's executor. The
// panels depend on the product's shape alone, so the bits do not depend on the number of threads.
// Why OpenBLAS, and which of its builds: docs/MATMUL.md.
#ifndef TEMPERA_MATMUL_MATMUL_H
#define TEMPERA_MATMUL_MATMUL_H

#include <tempera/linear_loss.h>
#include <tempera/parallel.h>
#include <tempera/status.h>

// Readies the library, once for the process: one thread a call. UNSAFE_LIBRARY if the build at
// hand can't be called from several threads. To be called before the first product.
enum tempera_status tempera_matmul_start(void);

// Runs the panels on the executor (NULL: here). Sizes of 0 are fine: K = 0 gives 0.
void tempera_matmul_parallel(const struct tempera_matmul *product,
                             const struct tempera_executor *executor);

// The whole product in this thread, as one piece: for small ones inside a task.
void tempera_matmul_serial(const struct tempera_matmul *product);

#endif
