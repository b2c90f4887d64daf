// SPDX-License-Identifier: MIT
// Cross-entropy from logits, forward and backward in one call. The contract is in
// include/tempera/loss.h, the formula in docs/LOSSES.md. Read next: cross_entropy_row.c.
//
// Rows set the default floating-point modes themselves. The rest of a call runs in modes set here,
// since the caller's might flush a small T to 0 or trap on a NaN.
#include "score/loss/cross_entropy.h"

#include <math.h>

#include "base/arguments.h"
#include "base/fpenv.h"
#include "base/matrix.h"
#include "kernels/scalars.h"
#include "parallel/row_loop.h"
#include "score/loss/cross_entropy_terms.h"

struct tempera_cross_entropy_options tempera_cross_entropy_options_default(void)
{
    return (struct tempera_cross_entropy_options){
        .struct_size = sizeof(struct tempera_cross_entropy_options),
        .temperature = 1,
        .ignore_index = TEMPERA_IGNORE_INDEX,
        .reduction = TEMPERA_REDUCTION_MEAN,
        .gradient_scale = 1,
    };
}

// ------------------------------------------------------------------------------------------------
// Options, outputs, memory

// Neither negative, nor infinite, nor NaN.
static bool is_amount(float x)
{
    return x >= 0 && x < INFINITY;
}

enum tempera_status tempera_loss_read_options(const struct tempera_cross_entropy_options *given,
                                              struct tempera_cross_entropy_options *options)
{
    *options = tempera_cross_entropy_options_default();
    const size_t least = offsetof(struct tempera_cross_entropy_options, label_smoothing);
    if (given != NULL)
        TEMPERA_TRY(tempera_struct_read(given, least, options, sizeof *options));
    TEMPERA_CHECK(options->temperature > 0 && options->temperature < INFINITY,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(options->gradient_scale - options->gradient_scale == 0,
                  TEMPERA_INVALID_ARGUMENT); // no NaN, no infinity
    TEMPERA_CHECK((unsigned)options->reduction <= TEMPERA_REDUCTION_NONE, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(options->label_smoothing >= 0 && options->label_smoothing <= 1,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(is_amount(options->z_loss) && is_amount(options->softcap) &&
                      is_amount(options->focal_gamma),
                  TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

enum tempera_status tempera_loss_read_outputs(const struct tempera_cross_entropy_outputs *given,
                                              struct tempera_cross_entropy_outputs *outputs)
{
    const size_t least = offsetof(struct tempera_cross_entropy_outputs, row_entropy);
    *outputs = (struct tempera_cross_entropy_outputs){.struct_size = sizeof *outputs};
    return tempera_struct_read(given, least, outputs, sizeof *outputs);
}

enum tempera_status tempera_loss_check_memory(const struct tempera_loss_memory *memory,
                                              const struct tempera_cross_entropy_outputs *out)
{
    const size_t rows = memory->rows;
    const struct tempera_span vectors[] = {
        tempera_span_of(out->row_loss, rows, sizeof *out->row_loss, true),
        tempera_span_of(out->row_logsumexp, rows, sizeof *out->row_logsumexp, true),
        tempera_span_of(out->row_status, rows, sizeof *out->row_status, true),
        tempera_span_of(out->row_entropy, rows, sizeof *out->row_entropy, true),
        tempera_span_of(out->row_correct, rows, sizeof *out->row_correct, true),
        tempera_span_of(memory->classes, rows, sizeof *memory->classes, false),
        tempera_span_of(memory->class_weights, memory->cols, sizeof *memory->class_weights, false),
    };
    struct tempera_span matrices[TEMPERA_LOSS_MOST_READ + TEMPERA_LOSS_MOST_WRITTEN];
    size_t n = 0;
    for (size_t i = 0; i < TEMPERA_LOSS_MOST_READ; i++)
        matrices[n++] = tempera_matrix_span(memory->read[i], false);
    for (size_t i = 0; i < TEMPERA_LOSS_MOST_WRITTEN; i++)
        matrices[n++] = tempera_matrix_span(memory->written[i], true);
    TEMPERA_CHECK(tempera_spans_are_apart(vectors, sizeof vectors / sizeof *vectors, matrices, n),
                  TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Normalisers

static enum tempera_status add_class_weights(struct tempera_loss *loss)
{
    const float *weights = loss->options.class_weights;
    loss->class_weights_sum = weights == NULL ? (double)loss->cols : 0;
    loss->largest_class_weight = weights == NULL ? 1 : 0;
    for (size_t i = 0; weights != NULL && i < loss->cols; i++) {
        TEMPERA_CHECK(is_amount(weights[i]), TEMPERA_INVALID_ARGUMENT);
        loss->class_weights_sum += (double)weights[i];
        if ((double)weights[i] > loss->largest_class_weight)
            loss->largest_class_weight = (double)weights[i];
    }
    return TEMPERA_OK;
}

// N and W.
static enum tempera_status count_rows(struct tempera_loss *loss, const int32_t *classes,
                                      size_t rows)
{
    loss->count = rows;
    loss->weight_sum = 0;
    for (size_t r = 0; classes != NULL && r < rows; r++) {
        int32_t y = classes[r];
        if (y == loss->options.ignore_index) {
            loss->count--;
            continue;
        }
        TEMPERA_CHECK(y >= 0 && (size_t)y < loss->cols, TEMPERA_TARGET_OUT_OF_RANGE);
        loss->weight_sum += (double)tempera_loss_class_weight(loss, (size_t)y);
    }
    if (classes == NULL)
        loss->weight_sum = (double)rows;
    return TEMPERA_OK;
}

enum tempera_status tempera_loss_begin(struct tempera_loss *loss, const int32_t *classes,
                                       size_t rows)
{
    const struct tempera_cross_entropy_options *options = &loss->options;
    TEMPERA_CHECK(classes != NULL || options->focal_gamma == 0, TEMPERA_UNSUPPORTED);
    TEMPERA_TRY(add_class_weights(loss));
    TEMPERA_TRY(count_rows(loss, classes, rows));
    loss->params = tempera_temperature_params_of((double)options->temperature);
    loss->slope = (double)options->gradient_scale / (double)options->temperature;
    loss->z_slope = loss->slope;
    if (options->reduction == TEMPERA_REDUCTION_MEAN) {
        loss->slope = loss->weight_sum > 0 ? loss->slope / loss->weight_sum : 0;
        loss->z_slope = loss->count > 0 ? loss->z_slope / (double)loss->count : 0;
    }
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Rows

// r: within the matrix; the batch's row is first_row + r.
static void compute_row(const struct tempera_loss_chunk *chunk, size_t r,
                        struct tempera_loss_result *result)
{
    const struct tempera_matrix *d_logits = chunk->d_logits;
    const int32_t *class = chunk->classes != NULL ? &chunk->classes[chunk->first_row + r] : NULL;
    struct tempera_loss_row row = {
        .logits = tempera_matrix_element(chunk->logits, r, 0),
        .probs = chunk->soft != NULL ? tempera_matrix_element(chunk->soft, r, 0) : NULL,
        .d_logits = d_logits != NULL ? tempera_matrix_element(d_logits, r, 0) : NULL,
    };
    if (class != NULL && *class == chunk->loss->options.ignore_index) {
        if (d_logits != NULL)
            tempera_row_fill(row.d_logits, d_logits->dtype, d_logits->cols, false);
        *result = (struct tempera_loss_result){.status = TEMPERA_OK};
        return;
    }
    row.next = r + 1 < chunk->logits->rows ? tempera_matrix_element(chunk->logits, r + 1, 0) : NULL;
    row.y = class != NULL ? (size_t) * class : 0;
    tempera_cross_entropy_row(chunk->loss, &row, result);
}

enum row_sum { CROSS_ENTROPY, Z_LOSS, N_CORRECT, N_ROW_SUMS };

static enum tempera_status do_row(const void *context, size_t r, double *sums)
{
    const struct tempera_loss_chunk *chunk = context;
    const struct tempera_cross_entropy_outputs *out = chunk->outputs;
    struct tempera_loss_result result;
    compute_row(chunk, r, &result);
    size_t at = chunk->first_row + r;
    if (out->row_loss != NULL)
        tempera_store_float(&out->row_loss[at], result.cross_entropy + result.z_loss);
    if (out->row_logsumexp != NULL)
        tempera_store_float(&out->row_logsumexp[at], result.logsumexp);
    if (out->row_entropy != NULL)
        tempera_store_float(&out->row_entropy[at], result.entropy);
    if (out->row_correct != NULL)
        out->row_correct[at] = result.is_correct;
    sums[CROSS_ENTROPY] += result.cross_entropy;
    sums[Z_LOSS] += result.z_loss;
    sums[N_CORRECT] += result.is_correct;
    return result.status;
}

void tempera_loss_do_chunk(const struct tempera_loss_chunk *chunk,
                           const struct tempera_executor *executor,
                           struct tempera_loss_totals *totals)
{
    enum tempera_status *row_status = chunk->outputs->row_status;
    double sums[N_ROW_SUMS] = {totals->cross_entropy, totals->z_loss, 0};
    double scratch[TEMPERA_MOST_ROW_BLOCKS * N_ROW_SUMS];
    enum tempera_status worst =
        tempera_reduce_rows(chunk->logits->rows, do_row, chunk, N_ROW_SUMS, sums, scratch,
                            row_status != NULL ? row_status + chunk->first_row : NULL, executor);
    totals->cross_entropy = sums[CROSS_ENTROPY];
    totals->z_loss = sums[Z_LOSS];
    totals->n_correct += (size_t)sums[N_CORRECT];
    totals->worst = tempera_worst_status(totals->worst, worst);
}

// The reduced loss from the sums of f ce and of z lse^2.
static double reduced(const struct tempera_loss *loss, double cross_entropy, double z_loss)
{
    if (loss->options.reduction == TEMPERA_REDUCTION_MEAN) {
        if (loss->weight_sum > 0)
            cross_entropy /= loss->weight_sum;
        else if (cross_entropy - cross_entropy == 0) // what is infinite or NaN stays so
            cross_entropy = 0;
        if (loss->count > 0)
            z_loss /= (double)loss->count;
    }
    double sum = cross_entropy + z_loss;
    return sum == sum ? sum : NAN;
}

enum tempera_status tempera_loss_finish(const struct tempera_loss *loss,
                                        const struct tempera_loss_totals *totals,
                                        const struct tempera_cross_entropy_outputs *out)
{
    if (out->loss != NULL)
        *out->loss = reduced(loss, totals->cross_entropy, totals->z_loss);
    if (out->z_loss != NULL)
        *out->z_loss = reduced(loss, 0, totals->z_loss);
    if (out->count != NULL)
        *out->count = loss->count;
    if (out->weight_sum != NULL)
        *out->weight_sum = loss->weight_sum;
    if (out->n_correct != NULL)
        *out->n_correct = totals->n_correct;
    return totals->worst;
}

// ------------------------------------------------------------------------------------------------
// The call

struct loss_job {
    struct tempera_loss loss;
    const struct tempera_matrix *logits;
    const int32_t *classes;
    const struct tempera_matrix *soft; // targets, if classes is NULL
    struct tempera_cross_entropy_outputs outputs;
};

static enum tempera_status check_matrices(const struct loss_job *job)
{
    const struct tempera_matrix *d_logits = job->outputs.d_logits;
    TEMPERA_TRY(tempera_matrix_check(job->logits));
    if (job->soft != NULL)
        TEMPERA_TRY(tempera_matrix_check(job->soft));
    if (d_logits != NULL)
        TEMPERA_TRY(tempera_matrix_check(d_logits));
    TEMPERA_CHECK(job->soft == NULL || tempera_matrix_same_shape(job->logits, job->soft),
                  TEMPERA_INVALID_ARGUMENT);
    if (d_logits == NULL)
        return TEMPERA_OK;
    TEMPERA_CHECK(tempera_matrix_same_shape(job->logits, d_logits) &&
                      tempera_matrix_may_write(d_logits, job->logits),
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(tempera_matrices_are_apart(d_logits, job->soft), TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

// Everything before the first row. Runs with the default floating-point modes.
static enum tempera_status begin(struct loss_job *job,
                                 const struct tempera_cross_entropy_options *options)
{
    struct tempera_loss *loss = &job->loss;
    TEMPERA_CHECK((job->classes != NULL) != (job->soft != NULL), TEMPERA_INVALID_ARGUMENT);
    TEMPERA_TRY(tempera_loss_read_options(options, &loss->options));
    TEMPERA_TRY(check_matrices(job));
    const struct tempera_loss_memory memory = {
        .rows = job->logits->rows,
        .cols = job->logits->cols,
        .classes = job->classes,
        .class_weights = loss->options.class_weights,
        .read = {job->logits, job->soft},
        .written = {job->outputs.d_logits},
    };
    TEMPERA_TRY(tempera_loss_check_memory(&memory, &job->outputs));
    loss->kernels = tempera_kernels_active();
    loss->cols = job->logits->cols;
    loss->dtype = job->logits->dtype;
    loss->probs_dtype = job->soft != NULL ? job->soft->dtype : TEMPERA_F32;
    loss->d_dtype = job->outputs.d_logits != NULL ? job->outputs.d_logits->dtype : TEMPERA_F32;
    loss->wants_entropy = job->outputs.row_entropy != NULL;
    loss->wants_correct = job->outputs.row_correct != NULL || job->outputs.n_correct != NULL;
    TEMPERA_CHECK(!loss->wants_correct || job->classes != NULL, TEMPERA_UNSUPPORTED);
    return tempera_loss_begin(loss, job->classes, job->logits->rows);
}

enum tempera_status tempera_cross_entropy(const struct tempera_matrix *logits,
                                          const struct tempera_targets *targets,
                                          const struct tempera_cross_entropy_options *options,
                                          const struct tempera_cross_entropy_outputs *outputs,
                                          const struct tempera_executor *executor)
{
    TEMPERA_CHECK(targets != NULL, TEMPERA_INVALID_ARGUMENT);
    struct loss_job job = {.logits = logits, .classes = targets->classes, .soft = targets->probs};
    TEMPERA_TRY(tempera_loss_read_outputs(outputs, &job.outputs));
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&job);
    enum tempera_status status = begin(&job, options);
    if (status == TEMPERA_OK) {
        struct tempera_loss_totals totals = {.worst = TEMPERA_OK};
        const struct tempera_loss_chunk batch = {.loss = &job.loss,
                                                 .logits = logits,
                                                 .d_logits = job.outputs.d_logits,
                                                 .soft = job.soft,
                                                 .classes = job.classes,
                                                 .outputs = &job.outputs};
        tempera_loss_do_chunk(&batch, executor, &totals);
        status = tempera_loss_finish(&job.loss, &totals, &job.outputs);
    }
    tempera_fpenv_carry(&status);
    tempera_fpenv_leave(env);
    return status;
}
