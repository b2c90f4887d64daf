// SPDX-License-Identifier: MIT
// Cross-entropy from logits, forward and backward in one call: its arguments. Read next:
// loss_rows.c.
// The contract, with every edge, is in include/tempera/loss.h; a row's arithmetic is in loss_row.c.
#include "score/loss/cross_entropy.h"

#include "base/fpenv.h"
#include "base/matrix.h"

struct loss_job {
    struct tempera_loss loss;
    const struct tempera_matrix *logits;
    const int32_t *classes;
    const struct tempera_matrix *soft; // targets, if classes is NULL
    struct tempera_cross_entropy_outputs outputs;
};

// ------------------------------------------------------------------------------------------------
// Arguments

static enum tempera_status check_matrices(const struct loss_job *job)
{
    const struct tempera_matrix *d_logits = job->outputs.d_logits;
    enum tempera_status status = tempera_matrix_check(job->logits);
    if (status == TEMPERA_OK && job->soft != NULL)
        status = tempera_matrix_check(job->soft);
    if (status == TEMPERA_OK && d_logits != NULL)
        status = tempera_matrix_check(d_logits);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    TEMPERA_CHECK(job->soft == NULL || tempera_matrix_same_shape(job->logits, job->soft),
                  TEMPERA_INVALID_ARGUMENT);
    if (d_logits == NULL)
        return TEMPERA_OK;
    TEMPERA_CHECK(tempera_matrix_same_shape(job->logits, d_logits) &&
                      tempera_matrix_may_write(d_logits, job->logits),
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(job->soft == NULL || (job->soft->data != d_logits->data &&
                                        tempera_matrix_may_write(d_logits, job->soft)),
                  TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

// Everything before the first row. Runs with the default floating-point modes.
__attribute__((noinline)) static enum tempera_status
begin(struct loss_job *job, const struct tempera_cross_entropy_options *options)
{
    struct tempera_loss *loss = &job->loss;
    TEMPERA_CHECK((job->classes != NULL) != (job->soft != NULL), TEMPERA_INVALID_ARGUMENT);
    enum tempera_status status = tempera_loss_read_options(options, &loss->options);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    status = check_matrices(job);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    const struct tempera_loss_memory memory = {
        .rows = job->logits->rows,
        .cols = job->logits->cols,
        .classes = job->classes,
        .class_weights = loss->options.class_weights,
        .matrices = {job->logits, job->soft, job->outputs.d_logits},
    };
    status = tempera_loss_check_vectors(&memory, &job->outputs);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
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

// ------------------------------------------------------------------------------------------------
// The call

enum tempera_status tempera_cross_entropy(const struct tempera_matrix *logits,
                                          const struct tempera_targets *targets,
                                          const struct tempera_cross_entropy_options *options,
                                          const struct tempera_cross_entropy_outputs *outputs,
                                          const struct tempera_executor *executor)
{
    TEMPERA_CHECK(targets != NULL, TEMPERA_INVALID_ARGUMENT);
    struct loss_job job = {.logits = logits, .classes = targets->classes, .soft = targets->probs};
    enum tempera_status status = tempera_loss_read_outputs(outputs, &job.outputs);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    struct tempera_fpenv env = tempera_fpenv_enter();
    status = begin(&job, options);
    if (status == TEMPERA_OK) {
        struct tempera_loss_totals totals = {.worst = TEMPERA_OK};
        const struct tempera_loss_rows rows = {.loss = &job.loss,
                                               .logits = logits,
                                               .d_logits = job.outputs.d_logits,
                                               .soft = job.soft,
                                               .classes = job.classes,
                                               .outputs = &job.outputs};
        tempera_loss_do_rows(&rows, executor, &totals);
        status = tempera_loss_finish(&job.loss, &totals, &job.outputs);
    }
    tempera_fpenv_leave(env);
    return status;
}
