// SPDX-License-Identifier: MIT
// Classifier-free guidance: from one row of scores towards another.
#include <tempera/decoding.h>

#include <math.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/arguments.h"
#include "base/half.h"
#include "base/matrix.h"
#include "base/size.h"
#include "kernels/kernels.h"
#include "kernels/scalars.h"
#include "parallel/row_loop.h"
#include "score/softmax/row_reduction.h"

// A call, as its rows see it.
struct guide_job {
    const struct tempera_matrix *conditional, *unconditional, *guided;
    float scale;
};

// The largest float of a type: an allowed score must stay finite.
static double largest_of(enum tempera_dtype dtype)
{
    return dtype == TEMPERA_F16 ? 65504 : dtype == TEMPERA_BF16 ? 0x1.fep127 : 0x1.fffffep127;
}

// out may be c or u.
static void guide_piece(const struct guide_job *job, const float *c, const float *u, size_t n,
                        float *out)
{
    double most = largest_of(job->guided->dtype);
    for (size_t i = 0; i < n; i++) {
        if (c[i] == -INFINITY || u[i] == -INFINITY || job->scale == 1) {
            out[i] = c[i];
            continue;
        }
        double x = (double)u[i] + (double)job->scale * ((double)c[i] - (double)u[i]);
        out[i] = (float)(x > most ? most : x < -most ? -most : x);
    }
}

static enum tempera_status guide_row(const void *context, size_t r)
{
    const struct guide_job *job = context;
    const struct tempera_kernels *kernels = tempera_kernels_active();
    struct tempera_temperature_params params = tempera_temperature_params_of(1);
    struct tempera_row_source sources[2] = {tempera_row_source_of(kernels, job->conditional, r),
                                            tempera_row_source_of(kernels, job->unconditional, r)};
    struct tempera_row_reduction plans[2] = {tempera_row_reduce(&sources[0], &params),
                                             tempera_row_reduce(&sources[1], &params)};
    if (plans[0].kind == TEMPERA_ROW_NAN || plans[1].kind == TEMPERA_ROW_NAN) {
        tempera_row_fill(tempera_matrix_element(job->guided, r, 0), job->guided->dtype,
                         job->guided->cols, true);
        return TEMPERA_NAN_INPUT;
    }
    float buffer[TEMPERA_PIECE], logprobs[2][TEMPERA_PIECE];
    for (size_t at = 0; at < job->guided->cols; at += TEMPERA_PIECE) {
        size_t n = tempera_min(job->guided->cols - at, TEMPERA_PIECE);
        for (size_t i = 0; i < 2; i++) {
            const float *x = tempera_row_piece(&sources[i], at, n, buffer);
            tempera_row_reduction_log_softmax(&plans[i], kernels, x, n, logprobs[i]);
        }
        guide_piece(job, logprobs[0], logprobs[1], n, buffer);
        kernels->convert.narrow(buffer, n, job->guided->dtype,
                                tempera_matrix_element(job->guided, r, at));
    }
    return tempera_row_reduction_status(&plans[0]);
}

static enum tempera_status check_matrices(const struct guide_job *job)
{
    const struct tempera_matrix *inputs[] = {job->conditional, job->unconditional};
    TEMPERA_TRY(tempera_matrix_check(job->guided));
    for (size_t i = 0; i < 2; i++)
        TEMPERA_TRY(tempera_matrix_check(inputs[i]));
    for (size_t i = 0; i < 2; i++)
        TEMPERA_CHECK(tempera_matrix_same_shape(inputs[i], job->guided) &&
                          tempera_matrix_may_write(job->guided, inputs[i]),
                      TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

static bool status_is_apart(const struct guide_job *job, const enum tempera_status *row_status)
{
    const struct tempera_span status =
        tempera_span_of(row_status, job->guided->rows, sizeof *row_status, true);
    const struct tempera_span matrices[] = {tempera_matrix_span(job->guided, true),
                                            tempera_matrix_span(job->conditional, false),
                                            tempera_matrix_span(job->unconditional, false)};
    return tempera_spans_are_apart(&status, 1, matrices, 3);
}

enum tempera_status tempera_guide(const struct tempera_matrix *conditional,
                                  const struct tempera_matrix *unconditional, float scale,
                                  const struct tempera_matrix *guided,
                                  enum tempera_status *row_status,
                                  const struct tempera_executor *executor)
{
    const struct guide_job job = {conditional, unconditional, guided, scale};
    TEMPERA_TRY(check_matrices(&job));
    const uint32_t infinity = 0x7F800000u;
    TEMPERA_CHECK((tempera_float_bits(scale) & infinity) != infinity, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(status_is_apart(&job, row_status), TEMPERA_INVALID_ARGUMENT);
    return tempera_for_each_row(guided->rows, guided->cols, guide_row, &job, row_status, executor);
}
