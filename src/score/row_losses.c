// SPDX-License-Identifier: MIT
#include "score/row_losses.h"

#include <math.h>

#include "base/fpenv.h"

// Rows are summed in at most this many blocks, each in order, then the blocks in order: no memory
// is needed but a small array.
enum { MOST_BLOCKS = 64 };

struct losses_job {
    tempera_row_loss_function *function;
    const void *context;
    struct tempera_row_outputs outputs;
    size_t n_rows, rows_per_block;
    double sums[MOST_BLOCKS];
    enum tempera_status statuses[MOST_BLOCKS];
};

void tempera_store_float(float *out, double value)
{
    if (value != value)
        tempera_row_fill_nan(out, 1);
    else
        *out = (float)value;
}

static void do_block(struct losses_job *job, size_t block)
{
    size_t first = block * job->rows_per_block;
    size_t end =
        job->n_rows - first < job->rows_per_block ? job->n_rows : first + job->rows_per_block;
    job->sums[block] = 0;
    job->statuses[block] = TEMPERA_OK;
    for (size_t r = first; r < end; r++) {
        struct tempera_row_loss row = job->function(job->context, r);
        job->sums[block] += row.loss;
        if (row.status > job->statuses[block])
            job->statuses[block] = row.status;
        if (job->outputs.loss != NULL)
            tempera_store_float(&job->outputs.loss[r], row.loss);
        if (job->outputs.status != NULL)
            job->outputs.status[r] = row.status;
    }
}

static void run_block(void *context, size_t block)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    do_block(context, block);
    tempera_fpenv_leave(env);
}

__attribute__((noinline)) static double reduce(const struct losses_job *job, size_t n_blocks,
                                               size_t divisor)
{
    double sum = 0;
    for (size_t block = 0; block < n_blocks; block++)
        sum += job->sums[block];
    if (divisor > 1)
        sum /= (double)divisor;
    return sum == sum ? sum : NAN;
}

enum tempera_status tempera_row_losses_run(size_t n_rows, tempera_row_loss_function *function,
                                           const void *context,
                                           const struct tempera_row_outputs *outputs,
                                           size_t divisor, double *loss,
                                           const struct tempera_executor *executor)
{
    struct losses_job job = {
        .function = function, .context = context, .outputs = *outputs, .n_rows = n_rows};
    job.rows_per_block = n_rows / MOST_BLOCKS + (n_rows % MOST_BLOCKS != 0);
    size_t n_blocks = n_rows == 0 ? 0 : (n_rows + job.rows_per_block - 1) / job.rows_per_block;
    tempera_parallel_for(executor, n_blocks, run_block, &job);
    struct tempera_fpenv env = tempera_fpenv_enter();
    if (loss != NULL)
        *loss = reduce(&job, n_blocks, divisor);
    tempera_fpenv_leave(env);
    enum tempera_status worst = TEMPERA_OK;
    for (size_t block = 0; block < n_blocks; block++)
        worst = job.statuses[block] > worst ? job.statuses[block] : worst;
    return worst;
}

bool tempera_vectors_are_apart(const struct tempera_vector *vectors, size_t n_vectors,
                               const struct tempera_matrix *const *matrices, size_t n_matrices)
{
    for (size_t i = 0; i < n_vectors; i++) {
        for (size_t m = 0; m < n_matrices; m++)
            if (matrices[m] != NULL &&
                !tempera_matrix_is_apart(matrices[m], vectors[i].at, 1, vectors[i].nbytes))
                return false;
        for (size_t j = i + 1; j < n_vectors; j++)
            if (!tempera_ranges_are_apart(vectors[i].at, vectors[i].nbytes, vectors[j].at,
                                          vectors[j].nbytes))
                return false;
    }
    return true;
}
