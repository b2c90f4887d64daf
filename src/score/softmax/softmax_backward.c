// SPDX-License-Identifier: MIT
// The softmax's backward pass. docs/NUMERICS.md has the formula and its error.
#include <tempera/softmax.h>

#include "base/fpenv.h"
#include "base/half.h"
#include "base/matrix.h"
#include "base/size.h"
#include "kernels/kernels.h"
#include "kernels/rows_f64.h"
#include "kernels/scalars.h"
#include "parallel/row_loop.h"
#include "score/row_source.h"

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
        size_t n = tempera_min(cols - at, TEMPERA_PIECE);
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

static enum tempera_status do_row(const void *context, size_t r)
{
    const struct backward_job *job = context;
    float buffers[3][TEMPERA_PIECE], largest;
    size_t cols = job->probs->cols;
    double dot = dot_row(job, r, &largest);
    bool is_nan = largest != largest || dot - dot != 0;
    // With these bounds, |p| < 4 among them, nothing leaves the range of f32 on the way.
    bool fits_f32 = largest < 0x1p100f && dot > -0x1p101 && dot < 0x1p101 &&
                    job->params.T > 0x1p-25 && job->params.T < 0x1p100;
    for (size_t at = 0; at < cols; at += TEMPERA_PIECE) {
        size_t n = tempera_min(cols - at, TEMPERA_PIECE);
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

enum tempera_status
tempera_softmax_backward(const struct tempera_matrix *probs, const struct tempera_matrix *d_probs,
                         float temperature, const struct tempera_matrix *d_logits,
                         enum tempera_status *row_status, const struct tempera_executor *executor)
{
    struct backward_job job = {.kernels = tempera_kernels_active(),
                               .probs = probs,
                               .d_probs = d_probs,
                               .d_logits = d_logits};
    const struct tempera_matrix *const all[] = {probs, d_probs, d_logits};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        TEMPERA_TRY(tempera_matrix_check(all[i]));
        TEMPERA_CHECK(tempera_matrix_same_shape(probs, all[i]), TEMPERA_INVALID_ARGUMENT);
    }
    // By its bits, from the least float above 0 to the largest: the caller's modes don't matter.
    TEMPERA_CHECK(tempera_float_bits(temperature) - 1 < 0x7F7FFFFFu, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(tempera_matrix_may_write(d_logits, probs) &&
                      tempera_matrix_may_write(d_logits, d_probs),
                  TEMPERA_INVALID_ARGUMENT);
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&temperature);
    job.params = tempera_temperature_params_of((double)temperature);
    tempera_fpenv_carry(&job.params);
    tempera_fpenv_leave(env);
    return tempera_for_each_row(probs->rows, probs->cols, do_row, &job, row_status, executor);
}
