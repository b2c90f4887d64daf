// SPDX-License-Identifier: MIT
#include "score/loss/row_losses.h"

#include "base/fpenv.h"
#include "base/matrix.h"
#include "parallel/row_loop.h"

struct losses_job {
    tempera_row_loss_function *function;
    const void *context;
    float *row_loss;
};

static enum tempera_status do_row(const void *context, size_t r, double *sum)
{
    const struct losses_job *job = context;
    double loss;
    enum tempera_status status = job->function(job->context, r, &loss);
    if (job->row_loss != NULL)
        tempera_store_float(&job->row_loss[r], loss + 0.0); // -0 becomes 0
    *sum += loss;
    return status;
}

enum tempera_status tempera_row_losses(size_t n_rows, tempera_row_loss_function *function,
                                       const void *context,
                                       const struct tempera_row_loss_outputs *outputs,
                                       const struct tempera_executor *executor)
{
    const struct losses_job job = {function, context, outputs->row_loss};
    double sum = 0, scratch[TEMPERA_MOST_ROW_BLOCKS];
    enum tempera_status worst =
        tempera_reduce_rows(n_rows, do_row, &job, 1, &sum, scratch, outputs->row_status, executor);
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&sum);
    if (outputs->loss != NULL)
        *outputs->loss = outputs->divisor > 1 ? sum / (double)outputs->divisor : sum;
    tempera_fpenv_leave(env);
    return worst;
}
