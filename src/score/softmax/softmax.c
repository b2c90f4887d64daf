// SPDX-License-Identifier: MIT
// Softmax, log-softmax and logsumexp over the rows of a matrix. Most rows take a fast path, which
// path_of names; what it can't hold, and every special case, is row_reduction.c's.
#include <tempera/softmax.h>

#include <math.h>
#include <string.h>

#include "base/fpenv.h"
#include "base/matrix.h"
#include "base/size.h"
#include "kernels/kernels.h"
#include "kernels/scalars.h"
#include "parallel/row_loop.h"
#include "score/row_source.h"
#include "score/softmax/long_row.h"
#include "score/softmax/row_reduction.h"
#include "score/softmax/rows_16bit.h"

struct tempera_softmax_options tempera_softmax_options_default(void)
{
    return (struct tempera_softmax_options){
        .struct_size = sizeof(struct tempera_softmax_options),
        .temperature = 1,
        .scale = 1,
    };
}

// Which way rows take. Each path but the last leaves a row that isn't an f32 row (a NaN, an
// infinite maximum, a temperature or scores that f32 can't hold: docs/NUMERICS.md) to the last.
//
// path   | logits   | result             | columns        | options
// LONG   | f32      | f32                | from 2 blocks  | temperature; more threads than rows
// F32    | f32      | f32, or logsumexp  | any            | temperature
// 16BIT  | 16 bits  | the same type      | from 129       | temperature
// COPIED | any      | any                | to one piece   | all
// PIECES | any      | any, or logsumexp  | any            | all
enum softmax_path {
    PATH_LONG,   // the threads share each row: long_row.c
    PATH_F32,    // whole rows where they lie: kernels/whole_rows_tmpl.h
    PATH_16BIT,  // whole rows where they lie: rows_16bit.c
    PATH_COPIED, // f32 copies of a few short rows, then as PATH_F32
    PATH_PIECES, // one row, piece by piece: row_reduction.c
};

// A call, as its rows see it.
struct softmax_job {
    const struct tempera_kernels *kernels;
    const struct tempera_matrix *in, *out; // out NULL: logsumexp
    float *logsumexp;
    struct tempera_softmax_options options;
    struct tempera_temperature_params params;
    enum softmax_path path;
    // The two ways to do a row: many f32 rows at once, and any piece of any row.
    size_t (*rows)(const struct tempera_rows *rows,
                   const struct tempera_temperature_params *params);
    void (*piece)(const struct tempera_row_reduction *reduction,
                  const struct tempera_kernels *kernels, const float *x, size_t n, float *out);
};

// Whether the options change no score but by the temperature.
static bool is_bare(const struct softmax_job *job)
{
    const struct tempera_softmax_options *o = &job->options;
    return o->mask == NULL && o->scale == 1 && o->softcap == 0 && o->add == NULL &&
           o->sinks == NULL;
}

static enum softmax_path path_of(const struct softmax_job *job,
                                 const struct tempera_executor *executor)
{
    const size_t long_enough = 129; // below, sixteen f32 copies at a time are faster
    const struct tempera_matrix *in = job->in, *out = job->out;
    if (is_bare(job) && in->dtype == TEMPERA_F32 && (out == NULL || out->dtype == TEMPERA_F32))
        return out != NULL && tempera_long_row_pays(in->rows, in->cols, executor) ? PATH_LONG
                                                                                  : PATH_F32;
    if (out == NULL)
        return PATH_PIECES;
    if (is_bare(job) && in->dtype == out->dtype && in->cols >= long_enough)
        return PATH_16BIT;
    return in->cols <= TEMPERA_PIECE ? PATH_COPIED : PATH_PIECES;
}

// ------------------------------------------------------------------------------------------------
// Arguments

// The options, and what follows from the temperature. Runs with the default floating-point modes:
// the caller's may take a small T for 0, or trap a NaN.
static enum tempera_status read_options_inside(struct softmax_job *job,
                                               const struct tempera_softmax_options *given)
{
    struct tempera_softmax_options *options = &job->options;
    const size_t least = offsetof(struct tempera_softmax_options, scale); // a shorter struct's size
    *options = tempera_softmax_options_default();
    if (given != NULL)
        TEMPERA_TRY(tempera_struct_read(given, least, options, sizeof *options));
    TEMPERA_CHECK(options->temperature >= 0, TEMPERA_INVALID_ARGUMENT);            // no NaN, either
    TEMPERA_CHECK(options->scale - options->scale == 0, TEMPERA_INVALID_ARGUMENT); // finite
    TEMPERA_CHECK(options->softcap >= 0 && options->softcap < INFINITY, TEMPERA_INVALID_ARGUMENT);
    job->params = tempera_temperature_params_of((double)options->temperature);
    return TEMPERA_OK;
}

static enum tempera_status read_options(struct softmax_job *job,
                                        const struct tempera_softmax_options *given)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(job);
    enum tempera_status status = read_options_inside(job, given);
    tempera_fpenv_carry(&status);
    tempera_fpenv_leave(env);
    return status;
}

// What the options add, and all memory but `out` against `in`. Call after the matrices' checks.
static enum tempera_status check_memory(const struct softmax_job *job,
                                        const enum tempera_status *row_status)
{
    const struct tempera_softmax_options *o = &job->options;
    const struct tempera_matrix *in = job->in, *out = job->out, *add = o->add;
    if (add != NULL) {
        TEMPERA_TRY(tempera_matrix_check(add));
        TEMPERA_CHECK(add->cols == in->cols && (add->rows == in->rows || add->rows == 1),
                      TEMPERA_INVALID_ARGUMENT);
        TEMPERA_CHECK(tempera_matrices_are_apart(out, add), TEMPERA_INVALID_ARGUMENT);
    }
    size_t words = tempera_ceil_div(in->cols, 32);
    if (in->rows > 1)
        words += (in->rows - 1) * o->mask_stride;
    const struct tempera_span vectors[] = {
        tempera_span_of(job->logsumexp, in->rows, sizeof *job->logsumexp, true),
        tempera_span_of(row_status, in->rows, sizeof *row_status, true),
        tempera_span_of(o->mask, in->rows == 0 ? 0 : words, sizeof *o->mask, false),
        tempera_span_of(o->sinks, in->rows, sizeof *o->sinks, false),
    };
    const struct tempera_span matrices[] = {tempera_matrix_span(in, false),
                                            tempera_matrix_span(add, false),
                                            tempera_matrix_span(out, true)};
    TEMPERA_CHECK(tempera_spans_are_apart(vectors, 4, matrices, 3), TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Rows

static struct tempera_row_source source_of(const struct softmax_job *job, size_t r)
{
    const struct tempera_softmax_options *o = &job->options;
    struct tempera_row_source source = {
        .kernels = job->kernels,
        .how = {.dtype = job->in->dtype, .scale = o->scale, .softcap = o->softcap},
        .z = tempera_matrix_element(job->in, r, 0),
        .n = job->in->cols + (o->sinks != NULL),
        .sink = o->sinks != NULL ? &o->sinks[r] : NULL,
        .is_plain = job->in->dtype == TEMPERA_F32 && is_bare(job),
    };
    if (o->mask != NULL)
        source.how.mask = o->mask + r * o->mask_stride;
    if (o->add != NULL) {
        source.how.add = tempera_matrix_element(o->add, o->add->rows == 1 ? 0 : r, 0);
        source.how.add_dtype = o->add->dtype;
    }
    return source;
}

// Rows of f32, those of the call or copies of them. Returns how many were done before one
// that isn't an f32 row.
static size_t do_f32_rows(const struct softmax_job *job, const struct tempera_rows *rows)
{
    return job->params.fits_f32 ? job->rows(rows, &job->params) : 0;
}

// logsumexp: the sums of a few rows at a time.
static size_t do_f32_sums(const struct softmax_job *job, size_t first, size_t n_rows)
{
    enum { MOST = 16 };
    struct tempera_row_sum sums[MOST];
    struct tempera_rows rows = {.in = tempera_matrix_element(job->in, first, 0),
                                .in_stride = job->in->row_stride,
                                .n_rows = tempera_min(n_rows, MOST),
                                .n = job->in->cols};
    size_t done = job->params.fits_f32 ? job->kernels->rows.sum(&rows, &job->params, sums) : 0;
    for (size_t r = 0; r < done; r++)
        job->logsumexp[first + r] =
            (float)((double)sums[r].max / job->params.T + tempera_ln_sum(&sums[r]));
    return done;
}

// A result of 32 MiB leaves a core's caches before it can be read again.
static bool goes_past_caches(const struct softmax_job *job)
{
    const size_t most_elements = (size_t)8 << 20, line = 64;
    const struct tempera_matrix *out = job->out;
    return out->rows >= most_elements / out->cols && out->data != job->in->data &&
           (uintptr_t)out->data % line == 0 && out->row_stride * sizeof(float) % line == 0;
}

// PATH_F32
static size_t do_rows_in_place(const struct softmax_job *job, size_t first, size_t n_rows)
{
    if (job->out == NULL)
        return do_f32_sums(job, first, n_rows);
    struct tempera_rows rows = {.in = tempera_matrix_element(job->in, first, 0),
                                .out = tempera_matrix_element(job->out, first, 0),
                                .in_stride = job->in->row_stride,
                                .out_stride = job->out->row_stride,
                                .n_rows = n_rows,
                                .n = job->in->cols,
                                .stream = goes_past_caches(job)};
    return do_f32_rows(job, &rows);
}

// PATH_COPIED
static size_t do_copied_rows(const struct softmax_job *job, size_t first, size_t n_rows)
{
    enum { MOST = TEMPERA_PIECE + 1 }; // a sink beside a whole piece
    float buffer[MOST];
    size_t n = job->in->cols + (job->options.sinks != NULL);
    n_rows = tempera_min(n_rows, MOST / n);
    for (size_t r = 0; r < n_rows; r++) {
        struct tempera_row_source source = source_of(job, first + r);
        source.is_plain = false; // a copy is wanted
        tempera_row_piece(&source, 0, n, buffer + r * n);
    }
    struct tempera_rows rows = {
        .in = buffer, .out = buffer, .in_stride = n, .out_stride = n, .n_rows = n_rows, .n = n};
    size_t done = do_f32_rows(job, &rows);
    for (size_t r = 0; r < done; r++)
        job->kernels->convert.narrow(buffer + r * n, job->in->cols, job->out->dtype,
                                     tempera_matrix_element(job->out, first + r, 0));
    return done;
}

// PATH_16BIT
static size_t do_rows_16bit(const struct softmax_job *job, size_t first, size_t n_rows)
{
    const struct tempera_rows_16bit rows = {
        .kernels = job->kernels,
        .params = &job->params,
        .dtype = job->in->dtype,
        .in = tempera_matrix_element(job->in, first, 0),
        .out = tempera_matrix_element(job->out, first, 0),
        .in_stride = job->in->row_stride,
        .out_stride = job->out->row_stride,
        .n_rows = n_rows,
        .n = job->in->cols,
    };
    if (!job->params.fits_f32)
        return 0;
    return job->piece == tempera_row_reduction_log_softmax ? tempera_log_softmax_rows_16bit(&rows)
                                                           : tempera_softmax_rows_16bit(&rows);
}

// As many of the rows from `first` on as the path can do at once, maybe none.
static size_t do_fast_rows(const struct softmax_job *job, size_t first, size_t n_rows)
{
    switch (job->path) {
    case PATH_F32:
        return do_rows_in_place(job, first, n_rows);
    case PATH_16BIT:
        return do_rows_16bit(job, first, n_rows);
    case PATH_COPIED:
        return do_copied_rows(job, first, n_rows);
    case PATH_LONG:
    case PATH_PIECES:
        break;
    }
    return 0;
}

// The row's scores, prepared, take the place of its result, which may be the input's.
static void prepare_in_place(struct tempera_row_source *source, float *out, size_t n)
{
    source->kernels->convert.prepare(&source->how, source->z, 0, n, out);
    source->how = (struct tempera_prepare){.dtype = TEMPERA_F32, .scale = 1};
    source->z = out;
    source->is_plain = true;
}

// PATH_PIECES. An f32 result first holds the prepared scores, which may then be done as an f32 row.
// A result of 16 bits can't hold exponentials: the sweep that writes computes each again.
static enum tempera_status do_pieces(const struct softmax_job *job, size_t r)
{
    struct tempera_row_source source = source_of(job, r);
    const size_t cols = job->in->cols;
    if (job->out != NULL && job->out->dtype == TEMPERA_F32 && !source.is_plain) {
        float *out = tempera_matrix_element(job->out, r, 0);
        prepare_in_place(&source, out, cols);
        const struct tempera_rows row = {
            .in = out, .out = out, .in_stride = cols, .out_stride = cols, .n_rows = 1, .n = cols};
        if (source.sink == NULL && do_f32_rows(job, &row) == 1)
            return TEMPERA_OK;
    }
    struct tempera_row_reduction reduction = tempera_row_reduce(&source, &job->params);
    if (job->out == NULL)
        job->logsumexp[r] = tempera_row_reduction_logsumexp(&reduction);
    source.n = cols; // the sink gets no output
    source.sink = NULL;
    for (size_t at = 0; job->out != NULL && at < source.n; at += TEMPERA_PIECE) {
        size_t n = tempera_min(source.n - at, TEMPERA_PIECE);
        float buffer[TEMPERA_PIECE];
        const float *x = tempera_row_piece(&source, at, n, buffer);
        bool direct = job->out->dtype == TEMPERA_F32;
        float *to = direct ? tempera_matrix_element(job->out, r, at) : buffer;
        job->piece(&reduction, job->kernels, x, n, to);
        if (!direct)
            job->kernels->convert.narrow(to, n, job->out->dtype,
                                         tempera_matrix_element(job->out, r, at));
    }
    return tempera_row_reduction_status(&reduction);
}

static enum tempera_status do_rows(const void *context, size_t first, size_t end,
                                   enum tempera_status *row_status)
{
    const struct softmax_job *job = context;
    enum tempera_status worst = TEMPERA_OK;
    while (first < end) {
        size_t done = do_fast_rows(job, first, end - first);
        for (size_t r = 0; row_status != NULL && r < done; r++)
            row_status[first + r] = TEMPERA_OK;
        first += done;
        if (done > 0 || first == end)
            continue;
        enum tempera_status status = do_pieces(job, first);
        if (row_status != NULL)
            row_status[first] = status;
        worst = tempera_worst_status(worst, status);
        first++;
    }
    return worst;
}

// PATH_LONG. A row that isn't an f32 row is one thread's.
static enum tempera_status do_long_rows(const struct softmax_job *job,
                                        enum tempera_status *row_status,
                                        const struct tempera_executor *executor)
{
    enum tempera_status worst = TEMPERA_OK;
    for (size_t r = 0; r < job->in->rows; r++) {
        enum tempera_status status = TEMPERA_OK;
        if (!tempera_long_row(job->kernels, &job->params, tempera_matrix_row(job->in, r),
                              job->in->cols, job->piece == tempera_row_reduction_log_softmax,
                              tempera_matrix_row(job->out, r), executor)) {
            struct tempera_fpenv env = tempera_fpenv_enter();
            status = do_pieces(job, r);
            tempera_fpenv_carry(&status);
            tempera_fpenv_leave(env);
        }
        if (row_status != NULL)
            row_status[r] = status;
        worst = tempera_worst_status(worst, status);
    }
    return worst;
}

// ------------------------------------------------------------------------------------------------
// Calls

// Softmax and log-softmax.
static enum tempera_status map_rows(struct softmax_job *job,
                                    const struct tempera_softmax_options *options,
                                    enum tempera_status *row_status,
                                    const struct tempera_executor *executor)
{
    const struct tempera_matrix *in = job->in, *out = job->out;
    TEMPERA_TRY(read_options(job, options));
    TEMPERA_TRY(tempera_matrix_check(in));
    TEMPERA_TRY(tempera_matrix_check(out));
    TEMPERA_CHECK(tempera_matrix_same_shape(in, out) && tempera_matrix_may_write(out, in),
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_TRY(check_memory(job, row_status));
    job->path = path_of(job, executor);
    if (job->path == PATH_LONG)
        return do_long_rows(job, row_status, executor);
    return tempera_for_row_ranges(in->rows, in->cols, do_rows, job, row_status, executor);
}

enum tempera_status tempera_softmax(const struct tempera_matrix *logits,
                                    const struct tempera_softmax_options *options,
                                    const struct tempera_matrix *probs,
                                    enum tempera_status *row_status,
                                    const struct tempera_executor *executor)
{
    const struct tempera_kernels *k = tempera_kernels_active();
    struct softmax_job job = {.kernels = k,
                              .in = logits,
                              .out = probs,
                              .rows = k->rows.softmax,
                              .piece = tempera_row_reduction_softmax};
    return map_rows(&job, options, row_status, executor);
}

enum tempera_status tempera_log_softmax(const struct tempera_matrix *logits,
                                        const struct tempera_softmax_options *options,
                                        const struct tempera_matrix *logprobs,
                                        enum tempera_status *row_status,
                                        const struct tempera_executor *executor)
{
    const struct tempera_kernels *k = tempera_kernels_active();
    struct softmax_job job = {.kernels = k,
                              .in = logits,
                              .out = logprobs,
                              .rows = k->rows.log_softmax,
                              .piece = tempera_row_reduction_log_softmax};
    return map_rows(&job, options, row_status, executor);
}

enum tempera_status tempera_logsumexp(const struct tempera_matrix *logits,
                                      const struct tempera_softmax_options *options,
                                      float *logsumexp, enum tempera_status *row_status,
                                      const struct tempera_executor *executor)
{
    struct softmax_job job = {
        .kernels = tempera_kernels_active(), .in = logits, .logsumexp = logsumexp};
    TEMPERA_TRY(read_options(&job, options));
    TEMPERA_TRY(tempera_matrix_check(logits));
    TEMPERA_CHECK(logits->rows == 0 || logsumexp != NULL, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_TRY(check_memory(&job, row_status));
    job.path = path_of(&job, executor);
    return tempera_for_row_ranges(logits->rows, logits->cols, do_rows, &job, row_status, executor);
}
