// SPDX-License-Identifier: MIT
// Divergences between teacher and student, forward and backward in one call. The contract is in
// include/tempera/distillation.h, the arithmetic in kernels/divergence_tmpl.h.
#include <tempera/distillation.h>

#include <math.h>
#include <string.h>

#include "base/fpenv.h"
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
    struct tempera_row_reduction plan;
};

static struct side side_of(const struct distillation_job *job, const struct tempera_matrix *m,
                           size_t r)
{
    struct side side = {.source = tempera_row_source_of(job->kernels, m, r)};
    side.plan = tempera_row_reduce(&side.source, &job->params);
    return side;
}

// The maximum to subtract. Scores of +inf, where there are any, are taken as 0 and all else is
// masked.
static double max_of(const struct side *side)
{
    return side->plan.kind == TEMPERA_ROW_UNIFORM_MAX ? 0 : (double)side->plan.max;
}

static const float *piece_of(const struct side *side, size_t at, size_t n, float *buffer)
{
    const float *x = tempera_row_piece(&side->source, at, n, buffer);
    if (side->plan.kind != TEMPERA_ROW_UNIFORM_MAX)
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
        size_t n = cols - at < PIECE ? cols - at : PIECE;
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
                                     .teacher_ln_S = teacher->plan.ln_S,
                                     .student_max = max_of(student),
                                     .student_ln_S = student->plan.ln_S,
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

static struct tempera_row_loss do_row(const void *context, size_t r)
{
    const struct distillation_job *job = context;
    const struct tempera_distillation_options *o = &job->options;
    if (o->classes != NULL && o->classes[r] == o->ignore_index) {
        fill_gradient(job, r, false);
        return (struct tempera_row_loss){.status = TEMPERA_OK, .loss = 0};
    }
    struct side teacher = side_of(job, job->teacher, r), student = side_of(job, job->student, r);
    enum tempera_status t = tempera_row_reduction_status(&teacher.plan);
    enum tempera_status s = tempera_row_reduction_status(&student.plan), worst = t > s ? t : s;
    if (worst != TEMPERA_OK) {
        fill_gradient(job, r, worst == TEMPERA_NAN_INPUT);
        double loss = worst == TEMPERA_NAN_INPUT ? (double)NAN : (double)INFINITY;
        return (struct tempera_row_loss){.status = worst, .loss = loss};
    }
    double divergence = divergence_row(job, r, &teacher, &student);
    if (divergence == INFINITY)
        return (struct tempera_row_loss){.status = TEMPERA_TARGET_MASKED, .loss = INFINITY};
    return (struct tempera_row_loss){.status = TEMPERA_OK,
                                     .loss = divergence * job->params.T * job->params.T};
}

// ------------------------------------------------------------------------------------------------
// The call

static enum tempera_status check_matrices(const struct distillation_job *job)
{
    const struct tempera_matrix *const all[] = {job->teacher, job->student, job->d_student};
    for (size_t i = 0; i < 3; i++) {
        if (i == 2 && all[i] == NULL)
            return TEMPERA_OK;
        enum tempera_status status = tempera_matrix_check(all[i]);
        TEMPERA_CHECK(status == TEMPERA_OK, status);
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
    const struct tempera_vector vectors[] = {{out->row_loss, rows * sizeof *out->row_loss},
                                             {out->row_status, rows * sizeof *out->row_status},
                                             {job->options.classes, rows * sizeof(int32_t)}};
    const struct tempera_matrix *const matrices[] = {job->teacher, job->student, job->d_student};
    return tempera_vectors_are_apart(vectors, 3, matrices, 3);
}

// Runs with the default floating-point modes.
__attribute__((noinline)) static enum tempera_status
prepare(struct distillation_job *job, const struct tempera_distillation_outputs *out, size_t *count)
{
    const struct tempera_distillation_options *o = &job->options;
    TEMPERA_CHECK(o->temperature > 0 && o->temperature < INFINITY, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(o->beta >= 0 && o->beta <= 1, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(o->gradient_scale - o->gradient_scale == 0, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK((unsigned)o->reduction <= TEMPERA_REDUCTION_NONE, TEMPERA_INVALID_ARGUMENT);
    enum tempera_status status = check_matrices(job);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
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
    TEMPERA_CHECK(outputs != NULL && outputs->struct_size >= sizeof *outputs,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(options == NULL || options->struct_size >= sizeof *options,
                  TEMPERA_INVALID_ARGUMENT);
    struct distillation_job job = {.kernels = tempera_kernels_active(),
                                   .teacher = teacher,
                                   .student = student,
                                   .d_student = outputs->d_student};
    job.options = options != NULL ? *options : tempera_distillation_options_default();
    size_t count;
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = prepare(&job, outputs, &count);
    tempera_fpenv_leave(env);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    const struct tempera_row_outputs rows = {outputs->row_loss, outputs->row_status};
    size_t divisor = job.options.reduction == TEMPERA_REDUCTION_MEAN ? count : 1;
    if (outputs->count != NULL)
        *outputs->count = count;
    return tempera_row_losses_reduce(student->rows, do_row, &job, &rows, divisor, outputs->loss,
                                     executor);
}
