// SPDX-License-Identifier: MIT
#include "score/loss/row_losses.h"

#include "base/fpenv.h"

// Rows are summed in at most this many blocks, each in order, then the blocks in order: no memory
// is needed but a small array.
enum { MOST_BLOCKS = 64 };

struct losses_job {
    tempera_row_loss_function *function;
    const void *context;
    struct tempera_row_outputs outputs;
    size_t n_rows, rows_per_block;
    struct tempera_loss_totals totals[MOST_BLOCKS];
};

void tempera_store_float(float *out, double value)
{
    if (value != value)
        tempera_row_fill_nan(out, 1);
    else
        *out = (float)value;
}

static void add(struct tempera_loss_totals *totals, double loss, double z_loss, size_t n_correct,
                enum tempera_status status)
{
    totals->loss += loss;
    totals->z_loss += z_loss;
    totals->n_correct += n_correct;
    if (status > totals->worst)
        totals->worst = status;
}

static void do_block(struct losses_job *job, size_t block)
{
    size_t first = block * job->rows_per_block;
    size_t end =
        job->n_rows - first < job->rows_per_block ? job->n_rows : first + job->rows_per_block;
    struct tempera_loss_totals totals = {.worst = TEMPERA_OK};
    for (size_t r = first; r < end; r++) {
        struct tempera_row_loss row = job->function(job->context, r);
        add(&totals, row.loss, row.z_loss, row.is_correct, row.status);
        if (job->outputs.loss != NULL)
            tempera_store_float(&job->outputs.loss[r], row.loss + row.z_loss);
        if (job->outputs.status != NULL)
            job->outputs.status[r] = row.status;
    }
    job->totals[block] = totals;
}

static void run_block(void *context, size_t block)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    do_block(context, block);
    tempera_fpenv_leave(env);
}

static void add_blocks(const struct losses_job *job, size_t n_blocks,
                       struct tempera_loss_totals *totals)
{
    for (size_t block = 0; block < n_blocks; block++) {
        const struct tempera_loss_totals *t = &job->totals[block];
        add(totals, t->loss, t->z_loss, t->n_correct, t->worst);
    }
}

void tempera_row_losses_run(size_t n_rows, tempera_row_loss_function *function,
                            const void *context, const struct tempera_row_outputs *outputs,
                            struct tempera_loss_totals *totals,
                            const struct tempera_executor *executor)
{
    struct losses_job job = {
        .function = function, .context = context, .outputs = *outputs, .n_rows = n_rows};
    job.rows_per_block = n_rows / MOST_BLOCKS + (n_rows % MOST_BLOCKS != 0);
    size_t n_blocks = n_rows == 0 ? 0 : (n_rows + job.rows_per_block - 1) / job.rows_per_block;
    tempera_parallel_for(executor, n_blocks, run_block, &job);
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&job);
    tempera_fpenv_carry(totals);
    add_blocks(&job, n_blocks, totals);
    tempera_fpenv_carry(totals);
    tempera_fpenv_leave(env);
}

static double quotient(double sum, size_t divisor)
{
    return divisor > 1 ? sum / (double)divisor : sum;
}

enum tempera_status tempera_row_losses_reduce(size_t n_rows, tempera_row_loss_function *function,
                                              const void *context,
                                              const struct tempera_row_outputs *outputs,
                                              size_t divisor, double *loss,
                                              const struct tempera_executor *executor)
{
    struct tempera_loss_totals totals = {.worst = TEMPERA_OK};
    tempera_row_losses_run(n_rows, function, context, outputs, &totals, executor);
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&totals);
    if (loss != NULL)
        *loss = quotient(totals.loss, divisor);
    tempera_fpenv_leave(env);
    return totals.worst;
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
