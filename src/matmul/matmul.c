// SPDX-License-Identifier: MIT
#include "matmul/matmul.h"

#include <cblas.h>
#include <pthread.h>

#include "base/guarded.h"
#include "base/size.h"
#include "matmul/small_m.h"

// ------------------------------------------------------------------------------------------------
// OpenBLAS

static pthread_once_t start_once = PTHREAD_ONCE_INIT;
static enum tempera_status start_status;

// The serial build of OpenBLAS shares buffers between callers: two threads get wrong results.
static void start_library(void)
{
    enum { SERIAL_BUILD = 0 };
    start_status = openblas_get_parallel() == SERIAL_BUILD ? TEMPERA_UNSAFE_LIBRARY : TEMPERA_OK;
    openblas_set_num_threads(1);
}

enum tempera_status tempera_matmul_start(void)
{
    pthread_once(&start_once, start_library);
    return start_status;
}

// ------------------------------------------------------------------------------------------------
// One library call

static const float *element(const float *matrix, size_t stride, bool transposed, size_t row,
                            size_t column)
{
    return transposed ? matrix + column * stride + row : matrix + row * stride + column;
}

// Rows [row, row + M) and columns [column, column + N) of the product.
static void multiply_piece(const struct tempera_matmul *p, size_t row, size_t M, size_t column,
                           size_t N)
{
    const float *a = element(p->a, p->a_stride, p->a_transposed, row, 0);
    const float *b = element(p->b, p->b_stride, p->b_transposed, 0, column);
    float *c = p->c + row * p->c_stride + column;
    float beta = p->accumulate ? 1.0f : 0.0f;
    if (M == 1 && p->b_transposed && !p->a_transposed) {
        // One token: sgemm would pack the whole matrix first, for a single use.
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)N, (int)p->K, 1.0f, b, (int)p->b_stride, a, 1,
                    beta, c, 1);
        return;
    }
    cblas_sgemm(CblasRowMajor, p->a_transposed ? CblasTrans : CblasNoTrans,
                p->b_transposed ? CblasTrans : CblasNoTrans, (int)M, (int)N, (int)p->K, 1.0f, a,
                (int)p->a_stride, b, (int)p->b_stride, beta, c, (int)p->c_stride);
}

static void clear(const struct tempera_matmul *p)
{
    for (size_t m = 0; m < p->M && !p->accumulate; m++)
        for (size_t n = 0; n < p->N; n++)
            p->c[m * p->c_stride + n] = 0;
}

void tempera_matmul_serial(const struct tempera_matmul *product)
{
    if (product->K == 0)
        clear(product);
    else if (product->M > 0 && product->N > 0)
        multiply_piece(product, 0, product->M, 0, product->N);
}

// ------------------------------------------------------------------------------------------------
// Panels

struct panels {
    const struct tempera_matmul *product;
    size_t rows, columns; // of a panel
    size_t n_across;      // panels side by side
};

// The size of equal panels of at most `most`, a multiple of `unit`, for which the library's kernels
// have no remainder.
static size_t panel_size(size_t total, size_t most, size_t unit)
{
    size_t piece = tempera_ceil_div(total, tempera_ceil_div(total, most));
    return tempera_ceil_div(piece, unit) * unit;
}

static struct panels cut_into_panels(const struct tempera_matmul *p)
{
    // `tempera-bench matmul` shows these shapes.
    enum { MOST_ROWS = 256, MOST_COLUMNS = 512, UNIT = 16, ENOUGH_PANELS = 8 };
    const size_t least_work = 1 << 20; // multiply-adds that are worth a task
    size_t most_rows = MOST_ROWS, most_columns = MOST_COLUMNS;
    for (;;) {
        size_t rows = panel_size(p->M, most_rows, UNIT);
        size_t columns = panel_size(p->N, most_columns, UNIT);
        size_t n = tempera_ceil_div(p->M, rows) * tempera_ceil_div(p->N, columns);
        bool small = tempera_min(rows, p->M) * tempera_min(columns, p->N) * p->K <= 2 * least_work;
        if (n >= ENOUGH_PANELS || small || (rows == UNIT && columns == UNIT))
            return (struct panels){p, rows, columns, tempera_ceil_div(p->N, columns)};
        if (columns >= rows)
            most_columns = columns / 2 < UNIT ? UNIT : columns / 2;
        else
            most_rows = rows / 2 < UNIT ? UNIT : rows / 2;
    }
}

static void multiply_panel(void *context, size_t index)
{
    const struct panels *panels = context;
    const struct tempera_matmul *p = panels->product;
    size_t row = index / panels->n_across * panels->rows;
    size_t column = index % panels->n_across * panels->columns;
    multiply_piece(p, row, tempera_min(panels->rows, p->M - row), column,
                   tempera_min(panels->columns, p->N - column));
}

void tempera_matmul_parallel(const struct tempera_matmul *product,
                             const struct tempera_executor *executor)
{
    if (product->K == 0 || product->M == 0 || product->N == 0) {
        clear(product);
        return;
    }
    if (tempera_matmul_small_m(product, executor))
        return;
    struct panels panels = cut_into_panels(product);
    size_t n_panels = tempera_ceil_div(product->M, panels.rows) * panels.n_across;
    tempera_guarded_for(executor, n_panels, multiply_panel, &panels);
}
