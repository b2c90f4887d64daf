// SPDX-License-Identifier: MIT
// Linear layer and cross-entropy, a chunk of rows at a time. The contract is in
// include/tempera/linear_loss.h, the rows' arithmetic in cross_entropy_row.c.
#include <tempera/linear_loss.h>

#include "base/fpenv.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/size.h"
#include "score/loss/cross_entropy.h"

enum { SCRATCH_MOST = 14500000, ALIGNMENT = 64 };

struct linear_job {
    struct tempera_linear_head linear;
    struct tempera_loss loss;
    struct tempera_cross_entropy_outputs outputs;
    const int32_t *classes;
    struct tempera_matrix logits; // a chunk's, in the scratch
    size_t chunk_rows;
    const struct tempera_executor *executor;
};

// ------------------------------------------------------------------------------------------------
// Chunks

// Rounded down to a multiple of 16 rows, which the matrix kernels prefer; but below 64 every row is
// kept: there the time goes into reading the head again for each chunk.
static size_t whole_vectors(size_t rows)
{
    enum { UNIT = 16, MANY = 64 };
    return rows < MANY ? rows : rows / UNIT * UNIT;
}

// Chunks of equal size, so that the last isn't a few rows. most: as many as the scratch holds, at
// least 1.
static size_t rows_per_chunk(size_t rows, size_t most)
{
    return rows <= most ? rows
                        : tempera_ceil_div(rows, tempera_ceil_div(rows, whole_vectors(most)));
}

size_t tempera_linear_cross_entropy_scratch_nbytes(size_t rows, size_t vocab, size_t most_nbytes)
{
    size_t row_nbytes, nbytes;
    if (rows == 0 || vocab == 0 || !tempera_size_mul(vocab, sizeof(float), &row_nbytes))
        return 0;
    size_t n = (most_nbytes == 0 ? SCRATCH_MOST : most_nbytes) / row_nbytes;
    if (!tempera_size_mul(tempera_min(rows, n == 0 ? 1 : whole_vectors(n)), row_nbytes, &nbytes) ||
        nbytes > SIZE_MAX - ALIGNMENT)
        return 0;
    return tempera_round_up(nbytes, ALIGNMENT);
}

// ------------------------------------------------------------------------------------------------
// Arguments

static enum tempera_status check_matrix(const struct tempera_matrix *matrix, size_t rows,
                                        size_t cols)
{
    TEMPERA_TRY(tempera_matrix_check_f32(matrix));
    TEMPERA_CHECK(matrix->rows == rows && matrix->cols == cols, TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

static enum tempera_status check_matrices(const struct tempera_linear_head *linear)
{
    TEMPERA_CHECK(linear->hidden != NULL && linear->head != NULL, TEMPERA_INVALID_ARGUMENT);
    const size_t rows = linear->hidden->rows, vocab = linear->head->rows, dim = linear->head->cols;
    TEMPERA_TRY(check_matrix(linear->hidden, rows, dim));
    TEMPERA_TRY(check_matrix(linear->head, vocab, dim));
    if (linear->d_hidden != NULL)
        TEMPERA_TRY(check_matrix(linear->d_hidden, rows, dim));
    if (linear->d_head != NULL)
        TEMPERA_TRY(check_matrix(linear->d_head, vocab, dim));
    TEMPERA_CHECK(vocab > 0 && linear->matmul != NULL, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(tempera_matrices_are_apart(linear->d_hidden, linear->hidden) &&
                      tempera_matrices_are_apart(linear->d_hidden, linear->head) &&
                      tempera_matrices_are_apart(linear->d_hidden, linear->d_head) &&
                      tempera_matrices_are_apart(linear->d_head, linear->hidden) &&
                      tempera_matrices_are_apart(linear->d_head, linear->head),
                  TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

static enum tempera_status check_scratch(struct linear_job *job, void *scratch,
                                         size_t scratch_nbytes)
{
    const struct tempera_linear_head *linear = &job->linear;
    const size_t rows = linear->hidden->rows, vocab = linear->head->rows;
    if (rows == 0)
        return TEMPERA_OK;
    TEMPERA_CHECK(scratch != NULL && (uintptr_t)scratch % ALIGNMENT == 0,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(scratch_nbytes / sizeof(float) >= vocab, TEMPERA_BUFFER_TOO_SMALL);
    job->chunk_rows = rows_per_chunk(rows, scratch_nbytes / sizeof(float) / vocab);
    job->logits = tempera_matrix_f32(scratch, job->chunk_rows, vocab);
    const struct tempera_matrix *const matrices[] = {linear->hidden, linear->head, linear->d_hidden,
                                                     linear->d_head};
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
        TEMPERA_CHECK(tempera_matrices_are_apart(&job->logits, matrices[i]),
                      TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

// Everything before the first chunk. Runs with the default floating-point modes.
static enum tempera_status begin(struct linear_job *job,
                                 const struct tempera_cross_entropy_options *options, void *scratch,
                                 size_t scratch_nbytes)
{
    struct tempera_loss *loss = &job->loss;
    TEMPERA_TRY(tempera_loss_read_options(options, &loss->options));
    TEMPERA_TRY(check_matrices(&job->linear));
    TEMPERA_TRY(check_scratch(job, scratch, scratch_nbytes));
    const size_t rows = job->linear.hidden->rows;
    TEMPERA_CHECK(job->classes != NULL || rows == 0, TEMPERA_INVALID_ARGUMENT);
    const struct tempera_loss_memory memory = {
        .rows = rows,
        .cols = job->linear.head->rows,
        .classes = job->classes,
        .class_weights = loss->options.class_weights,
        .read = {job->linear.hidden, job->linear.head},
        .written = {job->linear.d_hidden, job->linear.d_head, rows > 0 ? &job->logits : NULL},
    };
    TEMPERA_TRY(tempera_loss_check_memory(&memory, &job->outputs));
    loss->kernels = tempera_kernels_active();
    loss->cols = job->linear.head->rows;
    loss->dtype = loss->probs_dtype = loss->d_dtype = TEMPERA_F32;
    loss->wants_entropy = job->outputs.row_entropy != NULL;
    loss->wants_correct = job->outputs.row_correct != NULL || job->outputs.n_correct != NULL;
    return tempera_loss_begin(loss, job->classes, rows);
}

// ------------------------------------------------------------------------------------------------
// A chunk

static struct tempera_matmul logits_product(const struct linear_job *job, size_t first, size_t n)
{
    const struct tempera_matrix *hidden = job->linear.hidden, *head = job->linear.head;
    return (struct tempera_matmul){
        .M = n,
        .N = head->rows,
        .K = head->cols,
        .a = tempera_matrix_row(hidden, first),
        .a_stride = hidden->row_stride,
        .b = head->data,
        .b_stride = head->row_stride,
        .b_transposed = true,
        .c = job->logits.data,
        .c_stride = job->logits.row_stride,
    };
}

// d_head += d_logits^T hidden
static struct tempera_matmul d_head_product(const struct linear_job *job, size_t first, size_t n)
{
    const struct tempera_matrix *hidden = job->linear.hidden, *d_head = job->linear.d_head;
    return (struct tempera_matmul){
        .M = d_head->rows,
        .N = d_head->cols,
        .K = n,
        .a = job->logits.data,
        .a_stride = job->logits.row_stride,
        .a_transposed = true,
        .b = tempera_matrix_row(hidden, first),
        .b_stride = hidden->row_stride,
        .c = d_head->data,
        .c_stride = d_head->row_stride,
        .accumulate = true,
    };
}

// d_hidden = d_logits head
static struct tempera_matmul d_hidden_product(const struct linear_job *job, size_t first, size_t n)
{
    const struct tempera_matrix *head = job->linear.head, *d_hidden = job->linear.d_hidden;
    return (struct tempera_matmul){
        .M = n,
        .N = d_hidden->cols,
        .K = head->rows,
        .a = job->logits.data,
        .a_stride = job->logits.row_stride,
        .b = head->data,
        .b_stride = head->row_stride,
        .c = tempera_matrix_row(d_hidden, first),
        .c_stride = d_hidden->row_stride,
    };
}

static enum tempera_status multiply(const struct linear_job *job, struct tempera_matmul product)
{
    return job->linear.matmul(job->linear.self, &product, job->executor);
}

static enum tempera_status do_chunk(const struct linear_job *job, size_t first, size_t n,
                                    struct tempera_loss_totals *totals)
{
    const struct tempera_linear_head *linear = &job->linear;
    TEMPERA_TRY(multiply(job, logits_product(job, first, n)));
    struct tempera_matrix logits = job->logits;
    logits.rows = n;
    bool has_gradient = linear->d_hidden != NULL || linear->d_head != NULL;
    const struct tempera_loss_chunk chunk = {.loss = &job->loss,
                                             .logits = &logits,
                                             .d_logits = has_gradient ? &logits : NULL,
                                             .classes = job->classes,
                                             .first_row = first,
                                             .outputs = &job->outputs};
    tempera_loss_do_chunk(&chunk, job->executor, totals);
    if (linear->d_head != NULL)
        TEMPERA_TRY(multiply(job, d_head_product(job, first, n)));
    if (linear->d_hidden != NULL)
        TEMPERA_TRY(multiply(job, d_hidden_product(job, first, n)));
    return TEMPERA_OK;
}

// Gradients beyond f32 are infinite, and products make NaNs of these, whose sign depends on the
// processor.
enum { ROWS_PER_TASK = 16 };

static void canonicalize_nans(float *row, size_t cols)
{
    for (size_t i = 0; i < cols; i++)
        if (row[i] != row[i])
            tempera_row_fill_nan(&row[i], 1);
}

static void canonicalize_rows(void *context, size_t task)
{
    const struct tempera_matrix *gradient = context;
    const size_t first = task * ROWS_PER_TASK, left = gradient->rows - first;
    struct tempera_fpenv env = tempera_fpenv_enter();
    for (size_t r = first; r < first + tempera_min(left, ROWS_PER_TASK); r++) {
        bool has_nan;
        tempera_kernels_active()->pieces.max(tempera_matrix_row(gradient, r), gradient->cols,
                                             &has_nan);
        if (has_nan)
            canonicalize_nans(tempera_matrix_row(gradient, r), gradient->cols);
    }
    tempera_fpenv_leave(env);
}

static void canonicalize_gradient(const struct linear_job *job,
                                  const struct tempera_matrix *gradient)
{
    if (gradient == NULL)
        return;
    struct tempera_matrix rows = *gradient;
    tempera_parallel_for(job->executor, tempera_ceil_div(rows.rows, ROWS_PER_TASK),
                         canonicalize_rows, &rows);
}

// The caller's product runs with the caller's floating-point modes; the rows set their own.
static enum tempera_status do_chunks(const struct linear_job *job,
                                     struct tempera_loss_totals *totals)
{
    const size_t rows = job->linear.hidden->rows;
    for (size_t first = 0; first < rows; first += job->chunk_rows) {
        size_t n = tempera_min(rows - first, job->chunk_rows);
        TEMPERA_TRY(do_chunk(job, first, n, totals));
    }
    return TEMPERA_OK;
}

enum tempera_status
tempera_linear_cross_entropy(const struct tempera_linear_head *linear, const int32_t *classes,
                             const struct tempera_cross_entropy_options *options,
                             const struct tempera_cross_entropy_outputs *outputs, void *scratch,
                             size_t scratch_nbytes, const struct tempera_executor *executor)
{
    struct linear_job job = {.classes = classes, .executor = executor};
    TEMPERA_TRY(tempera_struct_read(linear, sizeof *linear, &job.linear, sizeof *linear));
    TEMPERA_TRY(tempera_loss_read_outputs(outputs, &job.outputs));
    TEMPERA_CHECK(job.outputs.d_logits == NULL, TEMPERA_INVALID_ARGUMENT);
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&job);
    enum tempera_status status = begin(&job, options, scratch, scratch_nbytes);
    tempera_fpenv_carry(&status);
    tempera_fpenv_leave(env);
    TEMPERA_TRY(status);
    struct tempera_loss_totals totals = {.worst = TEMPERA_OK};
    TEMPERA_TRY(do_chunks(&job, &totals));
    canonicalize_gradient(&job, linear->d_hidden);
    canonicalize_gradient(&job, linear->d_head);
    env = tempera_fpenv_enter();
    tempera_fpenv_carry(&totals);
    status = tempera_loss_finish(&job.loss, &totals, &job.outputs);
    tempera_fpenv_leave(env);
    return status;
}
