// SPDX-License-Identifier: MIT
// Softmax, log-softmax, logsumexp and the softmax's backward pass over the rows of a matrix. The
// edges of the contract are in row_plan.c, the arithmetic of ordinary rows is in kernels/.
#include <tempera/softmax.h>

#include <math.h>
#include <string.h>

#include "base/fpenv.h"
#include "base/half.h"
#include "kernels/kernels.h"
#include "score/softmax/rows_16bit.h"
#include "score/loss/row_losses.h"
#include "score/softmax/row_reduction.h"
#include "base/matrix.h"
#include "parallel/row_loop.h"
#include "score/softmax/long_row.h"

struct tempera_softmax_options tempera_softmax_options_default(void)
{
    return (struct tempera_softmax_options){
        .struct_size = sizeof(struct tempera_softmax_options),
        .temperature = 1,
        .scale = 1,
    };
}

// A call, as its rows see it.
struct softmax_job {
    const struct tempera_kernels *kernels;
    const struct tempera_matrix *in, *out; // out NULL: logsumexp
    float *logsumexp;
    struct tempera_softmax_options options;
    struct tempera_temperature_params params;
    // The two ways to do a row: many ordinary ones at once, and any piece of any one.
    size_t (*rows)(const struct tempera_rows *rows,
                   const struct tempera_temperature_params *params);
    void (*piece)(const struct tempera_row_reduction *plan, const struct tempera_kernels *kernels,
                  const float *x, size_t n, float *out);
};

// Runs with the default floating-point modes: the caller's may take a small T for 0, or trap a NaN.
__attribute__((noinline)) static enum tempera_status
read_options_inside(const struct tempera_softmax_options *given,
                    struct tempera_softmax_options *options)
{
    *options = tempera_softmax_options_default();
    if (given != NULL) {
        const size_t least = offsetof(struct tempera_softmax_options, scale); // version 0.1
        TEMPERA_CHECK(given->struct_size >= least, TEMPERA_INVALID_ARGUMENT);
        size_t known = given->struct_size < sizeof *options ? given->struct_size : sizeof *options;
        memcpy(options, given, known);
    }
    TEMPERA_CHECK(options->temperature >= 0, TEMPERA_INVALID_ARGUMENT);            // no NaN, either
    TEMPERA_CHECK(options->scale - options->scale == 0, TEMPERA_INVALID_ARGUMENT); // finite
    TEMPERA_CHECK(options->softcap >= 0 && options->softcap < INFINITY, TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

static enum tempera_status read_options(const struct tempera_softmax_options *given,
                                        struct tempera_softmax_options *options)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = read_options_inside(given, options);
    tempera_fpenv_leave(env);
    return status;
}

// The caller's rounding mode has no influence here, either.
static struct tempera_temperature_params heat_of(float temperature)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&temperature);
    struct tempera_temperature_params params = tempera_temperature_params_of((double)temperature);
    tempera_fpenv_carry(&params);
    tempera_fpenv_leave(env);
    return params;
}

// What the options point to, in memory.
static void list_inputs(const struct tempera_softmax_options *o, const struct tempera_matrix *in,
                        struct tempera_vector inputs[2])
{
    size_t words = in->cols / 32 + (in->cols % 32 != 0);
    if (in->rows > 1)
        words += (in->rows - 1) * o->mask_stride;
    bool has_rows = in->rows > 0;
    inputs[0] = (struct tempera_vector){has_rows ? o->mask : NULL, words * sizeof *o->mask};
    inputs[1] = (struct tempera_vector){has_rows ? o->sinks : NULL, in->rows * sizeof *o->sinks};
}

static bool is_apart(const struct tempera_matrix *matrix, const struct tempera_vector *vector)
{
    return matrix == NULL || tempera_matrix_is_apart(matrix, vector->at, 1, vector->nbytes);
}

// The outputs, of which those that aren't there are NULL, against each other and the inputs; but
// not out against in.
static bool are_outputs_apart(const struct tempera_softmax_options *options,
                              const struct tempera_matrix *in, const struct tempera_matrix *out,
                              const float *logsumexp, const enum tempera_status *row_status)
{
    struct tempera_vector inputs[2], outputs[] = {{logsumexp, in->rows * sizeof *logsumexp},
                                                  {row_status, in->rows * sizeof *row_status}};
    list_inputs(options, in, inputs);
    for (size_t i = 0; i < 2; i++) {
        if (!is_apart(in, &outputs[i]) || !is_apart(options->add, &outputs[i]) ||
            !is_apart(out, &outputs[i]) || !is_apart(out, &inputs[i]))
            return false;
        for (size_t k = 0; k < 2; k++)
            if (!tempera_ranges_are_apart(outputs[i].at, outputs[i].nbytes, inputs[k].at,
                                          inputs[k].nbytes))
                return false;
    }
    return tempera_ranges_are_apart(logsumexp, outputs[0].nbytes, row_status, outputs[1].nbytes);
}

// What the options add, and all memory. out and logsumexp: NULL where there is none.
static enum tempera_status check_extras(const struct tempera_softmax_options *options,
                                        const struct tempera_matrix *in,
                                        const struct tempera_matrix *out, const float *logsumexp,
                                        const enum tempera_status *row_status)
{
    const struct tempera_matrix *add = options->add;
    if (add != NULL) {
        enum tempera_status status = tempera_matrix_check(add);
        TEMPERA_CHECK(status == TEMPERA_OK, status);
        TEMPERA_CHECK(add->cols == in->cols && (add->rows == in->rows || add->rows == 1),
                      TEMPERA_INVALID_ARGUMENT);
        TEMPERA_CHECK(out == NULL || (tempera_matrix_may_write(out, add) && out->data != add->data),
                      TEMPERA_INVALID_ARGUMENT);
    }
    TEMPERA_CHECK(are_outputs_apart(options, in, out, logsumexp, row_status),
                  TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Rows

// Of a row, the sink among them.
static size_t n_scores(const struct softmax_job *job)
{
    return job->in->cols + (job->options.sinks != NULL);
}

static bool is_bare(const struct softmax_job *job)
{
    const struct tempera_softmax_options *o = &job->options;
    return o->mask == NULL && o->scale == 1 && o->softcap == 0 && o->add == NULL &&
           o->sinks == NULL;
}

static bool is_plain(const struct softmax_job *job)
{
    return job->in->dtype == TEMPERA_F32 && is_bare(job);
}

// Shorter rows are done sixteen at a time, as copies in f32.
static bool is_half(const struct softmax_job *job)
{
    const size_t long_enough = 129;
    return job->out != NULL && job->in->dtype != TEMPERA_F32 && job->out->dtype == job->in->dtype &&
           job->in->cols >= long_enough && is_bare(job);
}

static struct tempera_row_source source_of(const struct softmax_job *job, size_t r)
{
    const struct tempera_softmax_options *o = &job->options;
    struct tempera_row_source source = {
        .kernels = job->kernels,
        .how = {.dtype = job->in->dtype, .scale = o->scale, .softcap = o->softcap},
        .z = tempera_matrix_element(job->in, r, 0),
        .n = n_scores(job),
        .sink = o->sinks != NULL ? &o->sinks[r] : NULL,
        .is_plain = is_plain(job),
    };
    if (o->mask != NULL)
        source.how.mask = o->mask + r * o->mask_stride;
    if (o->add != NULL) {
        source.how.add = tempera_matrix_element(o->add, o->add->rows == 1 ? 0 : r, 0);
        source.how.add_dtype = o->add->dtype;
    }
    return source;
}

// Rows of f32, those of the call or copies of them. Returns how many were done before one that
// isn't ordinary.
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
                                .n_rows = n_rows < MOST ? n_rows : MOST,
                                .n = job->in->cols};
    size_t done = job->params.fits_f32 ? job->kernels->rows.sum(&rows, &job->params, sums) : 0;
    for (size_t r = 0; r < done; r++)
        job->logsumexp[first + r] =
            (float)((double)sums[r].max / job->params.T + tempera_ln_sum(&sums[r]));
    return done;
}

// A result of 32 MiB leaves a core's caches before anybody can read it again.
static bool goes_past_caches(const struct softmax_job *job)
{
    const size_t most_elements = (size_t)8 << 20, line = 64;
    const struct tempera_matrix *out = job->out;
    return out->rows >= most_elements / out->cols && out->data != job->in->data &&
           (uintptr_t)out->data % line == 0 && out->row_stride * sizeof(float) % line == 0;
}

// As many of the rows from `first` on as the kernels can do where they lie.
static size_t do_plain_rows(const struct softmax_job *job, size_t first, size_t n_rows)
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

// The same for rows of other types and masked rows, through f32 copies of a few short ones.
static size_t do_copied_rows(const struct softmax_job *job, size_t first, size_t n_rows)
{
    enum { MOST = TEMPERA_PIECE + 1 }; // a sink beside a whole piece
    float buffer[MOST];
    size_t n = n_scores(job), most = MOST / n;
    n_rows = n_rows < most ? n_rows : most;
    for (size_t r = 0; r < n_rows; r++) {
        struct tempera_row_source source = source_of(job, first + r);
        source.is_plain = false; // a copy is wanted
        tempera_row_piece(&source, 0, n, buffer + r * n);
    }
    struct tempera_rows rows = {buffer, buffer, n, n, n_rows, n, false};
    size_t done = do_f32_rows(job, &rows);
    for (size_t r = 0; r < done; r++)
        job->kernels->convert.narrow(buffer + r * n, job->in->cols, job->out->dtype,
                                     tempera_matrix_element(job->out, first + r, 0));
    return done;
}

static size_t do_half_rows(const struct softmax_job *job, size_t first, size_t n_rows)
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

static size_t do_ordinary_rows(const struct softmax_job *job, size_t first, size_t n_rows)
{
    if (is_half(job))
        return do_half_rows(job, first, n_rows);
    bool converts = job->out != NULL && job->out->dtype != TEMPERA_F32;
    if (is_plain(job) && !converts)
        return do_plain_rows(job, first, n_rows);
    if (job->out == NULL)
        return 0;
    return job->in->cols <= TEMPERA_PIECE ? do_copied_rows(job, first, n_rows) : 0;
}

// The row's scores, prepared, take the place of its result, be that the input's, too.
static void prepare_in_place(struct tempera_row_source *source, float *out, size_t n)
{
    source->kernels->convert.prepare(&source->how, source->z, 0, n, out);
    source->how = (struct tempera_prepare){.dtype = TEMPERA_F32, .scale = 1};
    source->z = out;
    source->is_plain = true;
}

// A row of any kind, piece by piece. Where its exponentials have no place to lie, the sweep that
// writes takes every one again.
static enum tempera_status do_any_row(const struct softmax_job *job, size_t r)
{
    struct tempera_row_source source = source_of(job, r);
    const size_t cols = job->in->cols;
    if (job->out != NULL && job->out->dtype == TEMPERA_F32 && !source.is_plain) {
        float *out = tempera_matrix_element(job->out, r, 0);
        prepare_in_place(&source, out, cols);
        const struct tempera_rows row = {out, out, cols, cols, 1, cols, false};
        if (source.sink == NULL && do_f32_rows(job, &row) == 1)
            return TEMPERA_OK;
    }
    struct tempera_row_reduction plan = tempera_row_reduce(&source, &job->params);
    if (job->out == NULL)
        job->logsumexp[r] = tempera_row_reduction_logsumexp(&plan);
    source.n = cols; // the sink gets no output
    source.sink = NULL;
    for (size_t at = 0; job->out != NULL && at < source.n; at += TEMPERA_PIECE) {
        size_t n = source.n - at < TEMPERA_PIECE ? source.n - at : TEMPERA_PIECE;
        float buffer[TEMPERA_PIECE];
        const float *x = tempera_row_piece(&source, at, n, buffer);
        bool direct = job->out->dtype == TEMPERA_F32;
        float *to = direct ? tempera_matrix_element(job->out, r, at) : buffer;
        job->piece(&plan, job->kernels, x, n, to);
        if (!direct)
            job->kernels->convert.narrow(to, n, job->out->dtype,
                                         tempera_matrix_element(job->out, r, at));
    }
    return tempera_row_reduction_status(&plan);
}

static enum tempera_status do_rows(const void *context, size_t first, size_t end,
                                   enum tempera_status *row_status)
{
    const struct softmax_job *job = context;
    enum tempera_status worst = TEMPERA_OK;
    while (first < end) {
        size_t done = do_ordinary_rows(job, first, end - first);
        for (size_t r = 0; row_status != NULL && r < done; r++)
            row_status[first + r] = TEMPERA_OK;
        first += done;
        if (done > 0 || first == end)
            continue;
        enum tempera_status status = do_any_row(job, first);
        if (row_status != NULL)
            row_status[first] = status;
        worst = status > worst ? status : worst;
        first++;
    }
    return worst;
}

// Few long rows: the threads share each of them. A row that isn't ordinary is one thread's.
static enum tempera_status split_rows(const struct softmax_job *job,
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
            status = do_any_row(job, r);
            tempera_fpenv_leave(env);
        }
        if (row_status != NULL)
            row_status[r] = status;
        worst = status > worst ? status : worst;
    }
    return worst;
}

// ------------------------------------------------------------------------------------------------
// Calls

static enum tempera_status
map_rows(const struct tempera_matrix *in, const struct tempera_softmax_options *options,
         const struct tempera_matrix *out, enum tempera_status *row_status,
         const struct tempera_executor *executor, struct softmax_job *job)
{
    job->in = in;
    job->out = out;
    enum tempera_status status = read_options(options, &job->options);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    status = tempera_matrix_check(in);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    status = tempera_matrix_check(out);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    TEMPERA_CHECK(tempera_matrix_same_shape(in, out) && tempera_matrix_may_write(out, in),
                  TEMPERA_INVALID_ARGUMENT);
    status = check_extras(&job->options, in, out, NULL, row_status);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    job->params = heat_of(job->options.temperature);
    if (is_plain(job) && out->dtype == TEMPERA_F32 &&
        tempera_long_row_pays(in->rows, in->cols, executor))
        return split_rows(job, row_status, executor);
    return tempera_rows_run(in->rows, in->cols, do_rows, job, row_status, executor);
}

enum tempera_status tempera_softmax(const struct tempera_matrix *logits,
                                    const struct tempera_softmax_options *options,
                                    const struct tempera_matrix *probs,
                                    enum tempera_status *row_status,
                                    const struct tempera_executor *executor)
{
    const struct tempera_kernels *k = tempera_kernels_active();
    struct softmax_job job = {
        .kernels = k, .rows = k->rows.softmax, .piece = tempera_row_reduction_softmax};
    return map_rows(logits, options, probs, row_status, executor, &job);
}

enum tempera_status tempera_log_softmax(const struct tempera_matrix *logits,
                                        const struct tempera_softmax_options *options,
                                        const struct tempera_matrix *logprobs,
                                        enum tempera_status *row_status,
                                        const struct tempera_executor *executor)
{
    const struct tempera_kernels *k = tempera_kernels_active();
    struct softmax_job job = {
        .kernels = k, .rows = k->rows.log_softmax, .piece = tempera_row_reduction_log_softmax};
    return map_rows(logits, options, logprobs, row_status, executor, &job);
}

enum tempera_status tempera_logsumexp(const struct tempera_matrix *logits,
                                      const struct tempera_softmax_options *options,
                                      float *logsumexp, enum tempera_status *row_status,
                                      const struct tempera_executor *executor)
{
    struct softmax_job job = {
        .kernels = tempera_kernels_active(), .in = logits, .logsumexp = logsumexp};
    enum tempera_status status = read_options(options, &job.options);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    status = tempera_matrix_check(logits);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    TEMPERA_CHECK(logits->rows == 0 || logsumexp != NULL, TEMPERA_INVALID_ARGUMENT);
    status = check_extras(&job.options, logits, NULL, logsumexp, row_status);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    job.params = heat_of(job.options.temperature);
    return tempera_rows_run(logits->rows, logits->cols, do_rows, &job, row_status, executor);
}

// ------------------------------------------------------------------------------------------------
// Backward

struct backward_job {
    const struct tempera_kernels *kernels;
    const struct tempera_matrix *probs, *d_probs, *d_logits;
    struct tempera_temperature_params params;
};

// A piece of a row as f32, where it lies or in buffer.
static const float *piece_of(const struct backward_job *job, const struct tempera_matrix *m,
                             size_t r, size_t at, size_t n, float *buffer)
{
    const struct tempera_prepare how = {.dtype = m->dtype, .scale = 1};
    if (m->dtype == TEMPERA_F32)
        return tempera_matrix_element(m, r, at);
    job->kernels->convert.prepare(&how, tempera_matrix_element(m, r, at), 0, n, buffer);
    return buffer;
}

// The sum of p dp. *largest: of |dp| and 2^98 |p|; NaN if there is a NaN.
static double dot_row(const struct backward_job *job, size_t r, float *largest)
{
    float buffers[2][TEMPERA_PIECE];
    size_t cols = job->probs->cols;
    double lanes[16] = {0};
    *largest = 0;
    for (size_t at = 0; at < cols; at += TEMPERA_PIECE) {
        size_t n = cols - at < TEMPERA_PIECE ? cols - at : TEMPERA_PIECE;
        const float *p = piece_of(job, job->probs, r, at, n, buffers[0]);
        const float *dp = piece_of(job, job->d_probs, r, at, n, buffers[1]);
        float m = job->kernels->backward.dot(p, dp, n, lanes);
        if (!(m <= *largest))
            *largest = m;
        if (m != m)
            break;
    }
    return tempera_sum_lanes(lanes);
}

static enum tempera_status do_backward_row(const struct backward_job *job, size_t r)
{
    float buffers[3][TEMPERA_PIECE], largest;
    size_t cols = job->probs->cols;
    double dot = dot_row(job, r, &largest);
    bool is_nan = largest != largest || dot - dot != 0;
    // With these bounds, |p| < 4 among them, nothing leaves the range of f32 on the way.
    bool fits_f32 = largest < 0x1p100f && dot > -0x1p101 && dot < 0x1p101 &&
                    job->params.T > 0x1p-25 && job->params.T < 0x1p100;
    for (size_t at = 0; at < cols; at += TEMPERA_PIECE) {
        size_t n = cols - at < TEMPERA_PIECE ? cols - at : TEMPERA_PIECE;
        const float *p = piece_of(job, job->probs, r, at, n, buffers[0]);
        const float *dp = piece_of(job, job->d_probs, r, at, n, buffers[1]);
        bool direct = job->d_logits->dtype == TEMPERA_F32;
        float *out = direct ? tempera_matrix_element(job->d_logits, r, at) : buffers[2];
        if (is_nan)
            tempera_row_fill_nan(out, n);
        else if (fits_f32)
            job->kernels->backward.map(p, dp, n, dot, &job->params, out);
        else
            tempera_f64_backward(p, dp, n, dot, job->params.T, out);
        if (!direct)
            job->kernels->convert.narrow(out, n, job->d_logits->dtype,
                                         tempera_matrix_element(job->d_logits, r, at));
    }
    return is_nan ? TEMPERA_NAN_INPUT : TEMPERA_OK;
}

static enum tempera_status do_backward_rows(const void *context, size_t first, size_t end,
                                            enum tempera_status *row_status)
{
    enum tempera_status worst = TEMPERA_OK;
    for (size_t r = first; r < end; r++) {
        enum tempera_status status = do_backward_row(context, r);
        if (row_status != NULL)
            row_status[r] = status;
        worst = status > worst ? status : worst;
    }
    return worst;
}

enum tempera_status
tempera_softmax_backward(const struct tempera_matrix *probs, const struct tempera_matrix *d_probs,
                         float temperature, const struct tempera_matrix *d_logits,
                         enum tempera_status *row_status, const struct tempera_executor *executor)
{
    struct backward_job job = {.kernels = tempera_kernels_active(),
                               .probs = probs,
                               .d_probs = d_probs,
                               .d_logits = d_logits,
                               .params = heat_of(temperature)};
    const struct tempera_matrix *const all[] = {probs, d_probs, d_logits};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        enum tempera_status status = tempera_matrix_check(all[i]);
        TEMPERA_CHECK(status == TEMPERA_OK, status);
        TEMPERA_CHECK(tempera_matrix_same_shape(probs, all[i]), TEMPERA_INVALID_ARGUMENT);
    }
    // By its bits, from the least float above 0 to the largest: the caller's modes have no say.
    TEMPERA_CHECK(tempera_float_bits(temperature) - 1 < 0x7F7FFFFFu, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(tempera_matrix_may_write(d_logits, probs) &&
                      tempera_matrix_may_write(d_logits, d_probs),
                  TEMPERA_INVALID_ARGUMENT);
    return tempera_rows_run(probs->rows, probs->cols, do_backward_rows, &job, row_status, executor);
}
