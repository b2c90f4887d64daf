// SPDX-License-Identifier: MIT
// Softmax, log-softmax, logsumexp and the softmax's backward pass. Here live the edges of the
// contract in include/tempera/softmax.h; the arithmetic of ordinary rows is in kernels/.
#include <tempera/softmax.h>

#include <math.h>
#include <string.h>

#include "base/exp.h"
#include "kernels/kernels.h"
#include "score/rows.h"

struct tempera_softmax_options tempera_softmax_options_default(void)
{
    return (struct tempera_softmax_options){
        .struct_size = sizeof(struct tempera_softmax_options),
        .temperature = 1,
    };
}

// A call, as its rows see it.
struct softmax_job {
    const struct tempera_kernels *kernels;
    const struct tempera_matrix *in, *out;
    float *logsumexp;
    struct tempera_softmax_options options;
};

static enum tempera_status read_options(const struct tempera_softmax_options *given,
                                        struct tempera_softmax_options *options)
{
    *options = tempera_softmax_options_default();
    if (given != NULL) {
        TEMPERA_CHECK(given->struct_size >= sizeof *options, TEMPERA_INVALID_ARGUMENT);
        *options = *given;
    }
    TEMPERA_CHECK(options->temperature >= 0, TEMPERA_INVALID_ARGUMENT); // no NaN, either
    return TEMPERA_OK;
}

static const uint32_t *mask_of(const struct softmax_job *job, size_t row)
{
    const uint32_t *mask = job->options.mask;
    return mask == NULL ? NULL : mask + row * job->options.mask_stride;
}

// ------------------------------------------------------------------------------------------------
// Rows

// The limits T = 0, T = inf and scores of +inf spread the mass evenly over `count` entries: those
// at the maximum, or all that are finite. Returns false for ordinary rows.
static bool is_even(const struct tempera_row *row, float T, bool *only_max, size_t *count)
{
    *only_max = T == 0 || row->max == INFINITY;
    *count = *only_max ? row->n_max : row->n_finite;
    return *only_max || T == INFINITY;
}

static void fill_even(const float *z, const uint32_t *mask, size_t n, float max, bool only_max,
                      float inside, float outside, float *out)
{
    for (size_t i = 0; i < n; i++) {
        bool chosen = tempera_mask_allows(mask, i) && (only_max ? z[i] == max : z[i] > -INFINITY);
        out[i] = chosen ? inside : outside;
    }
}

static void fill(float *out, size_t n, float value)
{
    for (size_t i = 0; i < n; i++)
        out[i] = value;
}

static enum tempera_status softmax_row(const void *context, size_t r)
{
    const struct softmax_job *job = context;
    const struct tempera_kernels *k = job->kernels;
    const float *z = tempera_matrix_row(job->in, r);
    float *p = tempera_matrix_row(job->out, r), T = job->options.temperature;
    size_t n = job->in->cols, count;
    const uint32_t *mask = mask_of(job, r);
    struct tempera_row row = k->find(z, mask, n);
    bool only_max;
    if (row.has_nan) {
        tempera_row_fill_nan(p, n);
        return TEMPERA_NAN_INPUT;
    }
    if (row.n_finite == 0) {
        fill(p, n, 0);
        return TEMPERA_ALL_MASKED;
    }
    if (is_even(&row, T, &only_max, &count))
        fill_even(z, mask, n, row.max, only_max, (float)(1.0 / (double)count), 0, p);
    else
        k->softmax(z, mask, n, row.max, T, k->sum_exp(z, mask, n, row.max, T), p);
    return TEMPERA_OK;
}

static enum tempera_status log_softmax_row(const void *context, size_t r)
{
    const struct softmax_job *job = context;
    const struct tempera_kernels *k = job->kernels;
    const float *z = tempera_matrix_row(job->in, r);
    float *log_p = tempera_matrix_row(job->out, r), T = job->options.temperature;
    size_t n = job->in->cols, count;
    const uint32_t *mask = mask_of(job, r);
    struct tempera_row row = k->find(z, mask, n);
    bool only_max;
    if (row.has_nan) {
        tempera_row_fill_nan(log_p, n);
        return TEMPERA_NAN_INPUT;
    }
    if (row.n_finite == 0) {
        fill(log_p, n, -INFINITY);
        return TEMPERA_ALL_MASKED;
    }
    if (is_even(&row, T, &only_max, &count)) {
        float inside = count == 1 ? 0 : (float)-tempera_log((double)count);
        fill_even(z, mask, n, row.max, only_max, inside, -INFINITY, log_p);
    } else {
        double ln_S = tempera_log(k->sum_exp(z, mask, n, row.max, T));
        k->log_softmax(z, mask, n, row.max, T, ln_S, log_p);
    }
    return TEMPERA_OK;
}

static float even_logsumexp(const struct tempera_row *row, float T, size_t count)
{
    if (row->max == INFINITY || (T == 0 && row->max > 0))
        return INFINITY;
    if (T == 0 && row->max < 0)
        return -INFINITY;
    return (float)tempera_log((double)count);
}

static enum tempera_status logsumexp_row(const void *context, size_t r)
{
    const struct softmax_job *job = context;
    const struct tempera_kernels *k = job->kernels;
    const float *z = tempera_matrix_row(job->in, r);
    float *out = &job->logsumexp[r], T = job->options.temperature;
    size_t n = job->in->cols, count;
    const uint32_t *mask = mask_of(job, r);
    struct tempera_row row = k->find(z, mask, n);
    bool only_max;
    if (row.has_nan) {
        tempera_row_fill_nan(out, 1);
        return TEMPERA_NAN_INPUT;
    }
    if (row.n_finite == 0) {
        *out = -INFINITY;
        return TEMPERA_ALL_MASKED;
    }
    if (is_even(&row, T, &only_max, &count))
        *out = even_logsumexp(&row, T, count);
    else
        *out =
            (float)((double)row.max / (double)T + tempera_log(k->sum_exp(z, mask, n, row.max, T)));
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Calls

static enum tempera_status
map_rows(const struct tempera_matrix *in, const struct tempera_softmax_options *options,
         const struct tempera_matrix *out, enum tempera_status *row_status,
         const struct tempera_executor *executor, tempera_row_function *function)
{
    struct softmax_job job = {.kernels = tempera_kernels(), .in = in, .out = out};
    enum tempera_status status = read_options(options, &job.options);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    status = tempera_matrix_check(in);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    status = tempera_matrix_check(out);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    TEMPERA_CHECK(tempera_matrix_same_shape(in, out) && tempera_matrix_may_write(out, in),
                  TEMPERA_INVALID_ARGUMENT);
    return tempera_rows_run(in->rows, in->cols, function, &job, row_status, executor);
}

enum tempera_status tempera_softmax(const struct tempera_matrix *logits,
                                    const struct tempera_softmax_options *options,
                                    const struct tempera_matrix *probs,
                                    enum tempera_status *row_status,
                                    const struct tempera_executor *executor)
{
    return map_rows(logits, options, probs, row_status, executor, softmax_row);
}

enum tempera_status tempera_log_softmax(const struct tempera_matrix *logits,
                                        const struct tempera_softmax_options *options,
                                        const struct tempera_matrix *logprobs,
                                        enum tempera_status *row_status,
                                        const struct tempera_executor *executor)
{
    return map_rows(logits, options, logprobs, row_status, executor, log_softmax_row);
}

enum tempera_status tempera_logsumexp(const struct tempera_matrix *logits,
                                      const struct tempera_softmax_options *options,
                                      float *logsumexp, enum tempera_status *row_status,
                                      const struct tempera_executor *executor)
{
    struct softmax_job job = {.kernels = tempera_kernels(), .in = logits, .logsumexp = logsumexp};
    enum tempera_status status = read_options(options, &job.options);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    status = tempera_matrix_check(logits);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    TEMPERA_CHECK(logits->rows == 0 || logsumexp != NULL, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(tempera_matrix_is_apart(logits, logsumexp, logits->rows, sizeof *logsumexp),
                  TEMPERA_INVALID_ARGUMENT);
    return tempera_rows_run(logits->rows, logits->cols, logsumexp_row, &job, row_status, executor);
}

// ------------------------------------------------------------------------------------------------
// Backward

struct backward_job {
    const struct tempera_kernels *kernels;
    const struct tempera_matrix *probs, *d_probs, *d_logits;
    float temperature;
};

static enum tempera_status backward_row(const void *context, size_t r)
{
    const struct backward_job *job = context;
    float *d_logits = tempera_matrix_row(job->d_logits, r);
    size_t n = job->probs->cols;
    if (job->kernels->softmax_backward(tempera_matrix_row(job->probs, r),
                                       tempera_matrix_row(job->d_probs, r), n, job->temperature,
                                       d_logits))
        return TEMPERA_OK;
    tempera_row_fill_nan(d_logits, n);
    return TEMPERA_NAN_INPUT;
}

enum tempera_status
tempera_softmax_backward(const struct tempera_matrix *probs, const struct tempera_matrix *d_probs,
                         float temperature, const struct tempera_matrix *d_logits,
                         enum tempera_status *row_status, const struct tempera_executor *executor)
{
    struct backward_job job = {tempera_kernels(), probs, d_probs, d_logits, temperature};
    const struct tempera_matrix *const all[] = {probs, d_probs, d_logits};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        enum tempera_status status = tempera_matrix_check(all[i]);
        TEMPERA_CHECK(status == TEMPERA_OK, status);
        TEMPERA_CHECK(tempera_matrix_same_shape(probs, all[i]), TEMPERA_INVALID_ARGUMENT);
    }
    TEMPERA_CHECK(temperature > 0 && temperature < INFINITY, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(tempera_matrix_may_write(d_logits, probs) &&
                      tempera_matrix_may_write(d_logits, d_probs),
                  TEMPERA_INVALID_ARGUMENT);
    return tempera_rows_run(probs->rows, probs->cols, backward_row, &job, row_status, executor);
}
