// SPDX-License-Identifier: MIT
// Matrix products in f32, through OpenBLAS, cut into fixed panels. Products with few rows (small M)
// and a large matrix go to kernels of our own (small_m.h).
//
// Each panel is one single-threaded library call and one task of the caller's executor. The
// panels depend on the product's shape alone, so the bits do not depend on the number of threads.
// Why OpenBLAS, and which of its builds: docs/MATMUL.md.
#ifndef TEMPERA_MATMUL_MATMUL_H
#define TEMPERA_MATMUL_MATMUL_H

#include <tempera/linear_loss.h>
#include <tempera/parallel.h>
#include <tempera/status.h>

// Sets OpenBLAS to one thread a call, for the whole process. UNSAFE_LIBRARY if this build of it
// cannot be called from several threads. Call it before the first product.
enum tempera_status tempera_matmul_start(void);

// Runs the panels on the executor (NULL: in this thread). Sizes may be 0; K = 0 gives zeros.
void tempera_matmul_parallel(const struct tempera_matmul *product,
                             const struct tempera_executor *executor);

// The whole product in this thread, as one library call: for small products inside a task.
void tempera_matmul_serial(const struct tempera_matmul *product);

#endif
