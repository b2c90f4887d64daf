// SPDX-License-Identifier: MIT
// Divergences between teacher and student, forward and backward in one call. The contract is in
// include/tempera/distillation.h, the arithmetic in kernels/divergence_tmpl.h.
#include <tempera/distillation.h>

#include <math.h>

#include "base/fpenv.h"
#include "base/matrix.h"
#include "base/size.h"
#include "kernels/scalars.h"
#include "parallel/row_loop.h"
#include "score/loss/row_losses.h"
#include "score/softmax/row_reduction.h"

// Elements in work at a time: their buffers, and what is written, stay in the first cache.
enum { PIECE = 1024 };

struct distillation_job {
    const struct tempera_kernels *kernels;
    const struct tempera_matrix *teacher, *student, *d_student;
    struct tempera_distillation_options options;
    struct tempera_temperature_params params;
    enum tempera_divergence_kind kind;
    double scale; // of the gradient of D's row
};

struct tempera_distillation_options tempera_distillation_options_default(void)
{
    return (struct tempera_distillation_options){
        .struct_size = sizeof(struct tempera_distillation_options),
        .temperature = 1,
        .ignore_index = TEMPERA_IGNORE_INDEX,
        .reduction = TEMPERA_REDUCTION_MEAN,
        .gradient_scale = 1,
    };
}

// ------------------------------------------------------------------------------------------------
// One row

// One of the two rows, as the kernel can take it.
struct side {
    struct tempera_row_source source;
    struct tempera_row_reduction reduction;
};

static struct side side_of(const struct distillation_job *job, const struct tempera_matrix *m,
                           size_t r)
{
    struct side side = {.source = tempera_row_source_of(job->kernels, m, r)};
    side.reduction = tempera_row_reduce(&side.source, &job->params);
    return side;
}

// The maximum to subtract. Scores of +inf, where there are any, are taken as 0 and all else is
// masked.
static double max_of(const struct side *side)
{
    return side->reduction.kind == TEMPERA_ROW_UNIFORM_MAX ? 0 : (double)side->reduction.max;
}

static const float *piece_of(const struct side *side, size_t at, size_t n, float *buffer)
{
    const float *x = tempera_row_piece(&side->source, at, n, buffer);
    if (side->reduction.kind != TEMPERA_ROW_UNIFORM_MAX)
        return x;
    for (size_t i = 0; i < n; i++)
        buffer[i] = x[i] == INFINITY ? 0 : -INFINITY;
    return buffer;
}

// One sweep: adds up the lanes, and writes the gradient if asked to.
static void sweep(const struct distillation_job *job, size_t r, const struct side *teacher,
                  const struct side *student, const struct tempera_divergence *how, bool writes,
                  double sums[2])
{
    float buffers[3][PIECE];
    double lanes[2][16] = {{0}};
    const struct tempera_matrix *d = job->d_student;
    bool direct = writes && d->dtype == TEMPERA_F32;
    for (size_t at = 0, cols = job->student->cols; at < cols; at += PIECE) {
        size_t n = tempera_min(cols - at, PIECE);
        const float *t = piece_of(teacher, at, n, buffers[0]);
        const float *s = piece_of(student, at, n, buffers[1]);
        float *out = !writes ? NULL : direct ? tempera_matrix_element(d, r, at) : buffers[2];
        job->kernels->loss.divergence(how, t, s, n, out, lanes);
        if (writes && !direct)
            job->kernels->convert.narrow(out, n, d->dtype, tempera_matrix_element(d, r, at));
    }
    sums[0] = tempera_sum_lanes(lanes[0]);
    sums[1] = tempera_sum_lanes(lanes[1]);
}

// The same value in the whole of a row of the gradient: 0 or NaN.
static void fill_gradient(const struct distillation_job *job, size_t r, bool with_nan)
{
    const struct tempera_matrix *d = job->d_student;
    if (d != NULL)
        tempera_row_fill(tempera_matrix_element(d, r, 0), d->dtype, d->cols, with_nan);
}

static double divergence_row(const struct distillation_job *job, size_t r,
                             const struct side *teacher, const struct side *student)
{
    struct tempera_divergence how = {.kind = job->kind,
                                     .teacher_max = max_of(teacher),
                                     .teacher_ln_S = teacher->reduction.ln_S,
                                     .student_max = max_of(student),
                                     .student_ln_S = student->reduction.ln_S,
                                     .inverse_T = 1 / job->params.T,
                                     .beta = (double)job->options.beta,
                                     .V = -1, // of KL_FORWARD: less the sum of p
                                     .scale = job->scale};
    double sums[2], unused[2];
    bool writes = job->d_student != NULL, at_once = job->kind == TEMPERA_KL_FORWARD;
    sweep(job, r, teacher, student, &how, writes && at_once, sums);
    if (sums[0] == INFINITY) {
        fill_gradient(job, r, false);
    } else if (writes && !at_once) {
        how.V = job->kind == TEMPERA_KL_REVERSE ? sums[0] : sums[1]; // sums[0] is more exact
        sweep(job, r, teacher, student, &how, true, unused);
    }
    return sums[0];
}

static enum tempera_status do_row(const void *context, size_t r, double *loss)
{
    const struct distillation_job *job = context;
    const struct tempera_distillation_options *o = &job->options;
    *loss = 0;
    if (o->classes != NULL && o->classes[r] == o->ignore_index) {
        fill_gradient(job, r, false);
        return TEMPERA_OK;
    }
    struct side teacher = side_of(job, job->teacher, r), student = side_of(job, job->student, r);
    enum tempera_status status =
        tempera_worst_status(tempera_row_reduction_status(&teacher.reduction),
                             tempera_row_reduction_status(&student.reduction));
    if (status != TEMPERA_OK) {
        fill_gradient(job, r, status == TEMPERA_NAN_INPUT);
        *loss = status == TEMPERA_NAN_INPUT ? (double)NAN : (double)INFINITY;
        return status;
    }
    double divergence = divergence_row(job, r, &teacher, &student);
    if (divergence == INFINITY) {
        *loss = INFINITY;
        return TEMPERA_TARGET_MASKED;
    }
    *loss = divergence * job->params.T * job->params.T;
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// The call

static enum tempera_status check_matrices(const struct distillation_job *job)
{
    const struct tempera_matrix *const all[] = {job->teacher, job->student, job->d_student};
    for (size_t i = 0; i < 3; i++) {
        if (i == 2 && all[i] == NULL)
            return TEMPERA_OK;
        TEMPERA_TRY(tempera_matrix_check(all[i]));
        TEMPERA_CHECK(tempera_matrix_same_shape(all[0], all[i]), TEMPERA_INVALID_ARGUMENT);
    }
    TEMPERA_CHECK(tempera_matrix_may_write(job->d_student, job->teacher) &&
                      tempera_matrix_may_write(job->d_student, job->student),
                  TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

static bool vectors_are_apart(const struct distillation_job *job,
                              const struct tempera_distillation_outputs *out)
{
    size_t rows = job->student->rows;
    const struct tempera_span vectors[] = {
        tempera_span_of(out->row_loss, rows, sizeof *out->row_loss, true),
        tempera_span_of(out->row_status, rows, sizeof *out->row_status, true),
        tempera_span_of(job->options.classes, rows, sizeof *job->options.classes, false),
    };
    const struct tempera_span matrices[] = {tempera_matrix_span(job->teacher, false),
                                            tempera_matrix_span(job->student, false),
                                            tempera_matrix_span(job->d_student, true)};
    return tempera_spans_are_apart(vectors, 3, matrices, 3);
}

// Runs with the default floating-point modes.
static enum tempera_status prepare(struct distillation_job *job,
                                   const struct tempera_distillation_outputs *out, size_t *count)
{
    const struct tempera_distillation_options *o = &job->options;
    TEMPERA_CHECK(o->temperature > 0 && o->temperature < INFINITY, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(o->beta >= 0 && o->beta <= 1, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(o->gradient_scale - o->gradient_scale == 0, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK((unsigned)o->reduction <= TEMPERA_REDUCTION_NONE, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_TRY(check_matrices(job));
    TEMPERA_CHECK(vectors_are_apart(job, out), TEMPERA_INVALID_ARGUMENT);
    *count = job->student->rows;
    for (size_t r = 0; o->classes != NULL && r < job->student->rows; r++)
        *count -= o->classes[r] == o->ignore_index;
    job->params = tempera_temperature_params_of((double)o->temperature);
    job->kind = o->beta == 0   ? TEMPERA_KL_FORWARD
                : o->beta == 1 ? TEMPERA_KL_REVERSE
                               : TEMPERA_MIXTURE;
    job->scale = job->params.T * (double)o->gradient_scale;
    if (o->reduction == TEMPERA_REDUCTION_MEAN && *count > 0)
        job->scale /= (double)*count;
    return TEMPERA_OK;
}

enum tempera_status tempera_distillation(const struct tempera_matrix *teacher,
                                         const struct tempera_matrix *student,
                                         const struct tempera_distillation_options *options,
                                         const struct tempera_distillation_outputs *outputs,
                                         const struct tempera_executor *executor)
{
    struct tempera_distillation_outputs out;
    TEMPERA_TRY(tempera_struct_read(outputs, sizeof out, &out, sizeof out));
    struct distillation_job job = {.kernels = tempera_kernels_active(),
                                   .teacher = teacher,
                                   .student = student,
                                   .d_student = out.d_student,
                                   .options = tempera_distillation_options_default()};
    if (options != NULL)
        TEMPERA_TRY(tempera_struct_read(options, sizeof *options, &job.options, sizeof *options));
    size_t count = 0;
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&job);
    enum tempera_status status = prepare(&job, &out, &count);
    tempera_fpenv_carry(&status);
    tempera_fpenv_leave(env);
    TEMPERA_TRY(status);
    if (out.count != NULL)
        *out.count = count;
    const struct tempera_row_loss_outputs losses = {
        .row_loss = out.row_loss,
        .row_status = out.row_status,
        .loss = out.loss,
        .divisor = job.options.reduction == TEMPERA_REDUCTION_MEAN ? count : 1,
    };
    return tempera_row_losses(student->rows, do_row, &job, &losses, executor);
}
