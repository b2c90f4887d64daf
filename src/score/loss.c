// SPDX-License-Identifier: MIT
// Cross-entropy from logits, forward and backward in one call: the arguments, and rows on threads.
// The contract, with every edge, is in include/tempera/loss.h; a row's arithmetic is in loss_row.c.
#include "score/loss.h"

#include <math.h>
#include <string.h>

#include "base/fpenv.h"
#include "score/rows.h"

// Rows are reduced in at most this many blocks, each summed in order, then the blocks in order:
// the sum's bits depend on the number of rows alone, and no memory is needed but a small array.
enum { MOST_BLOCKS = 64 };

struct totals {
    double cross_entropy, z_loss;
    size_t n_correct;
    enum tempera_status worst;
};

struct loss_job {
    struct tempera_loss loss;
    const struct tempera_matrix *logits;
    const int32_t *classes;
    const struct tempera_matrix *soft; // targets, if classes is NULL
    struct tempera_cross_entropy_outputs outputs;
    size_t rows_per_block;
    struct totals blocks[MOST_BLOCKS];
};

// ------------------------------------------------------------------------------------------------
// Arguments

struct range {
    const void *at;
    size_t nbytes;
};

// Vectors that are written lie apart from every matrix and from all other vectors; what is only
// read lies apart from the gradient.
static enum tempera_status check_vectors(const struct loss_job *job)
{
    const struct tempera_cross_entropy_outputs *out = &job->outputs;
    const size_t rows = job->logits->rows;
    const struct range ranges[] = {
        {out->row_loss, rows * sizeof *out->row_loss},
        {out->row_logsumexp, rows * sizeof *out->row_logsumexp},
        {out->row_status, rows * sizeof *out->row_status},
        {out->row_entropy, rows * sizeof *out->row_entropy},
        {out->row_correct, rows * sizeof *out->row_correct},
        {job->classes, rows * sizeof *job->classes},
        {job->loss.options.class_weights, job->logits->cols * sizeof(float)},
    };
    enum { N_RANGES = sizeof ranges / sizeof *ranges, N_OUTPUTS = N_RANGES - 2 };
    const struct tempera_matrix *const matrices[] = {out->d_logits, job->logits, job->soft};
    for (size_t i = 0; i < N_RANGES; i++) {
        const size_t n_matrices = i < N_OUTPUTS ? 3 : 1;
        for (size_t m = 0; m < n_matrices; m++)
            TEMPERA_CHECK(ranges[i].at == NULL || matrices[m] == NULL ||
                              tempera_matrix_is_apart(matrices[m], ranges[i].at, ranges[i].nbytes,
                                                      1),
                          TEMPERA_INVALID_ARGUMENT);
        for (size_t j = i + 1; i < N_OUTPUTS && j < N_RANGES; j++)
            TEMPERA_CHECK(tempera_ranges_are_apart(ranges[i].at, ranges[i].nbytes, ranges[j].at,
                                                   ranges[j].nbytes),
                          TEMPERA_INVALID_ARGUMENT);
    }
    return TEMPERA_OK;
}

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
    status = check_vectors(job);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    loss->kernels = tempera_kernels();
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
// Rows

// A computed NaN may have any payload; what is written is the canonical one.
static void store(float *out, size_t r, double value)
{
    if (out == NULL)
        return;
    if (value != value)
        tempera_row_fill_nan(&out[r], 1);
    else
        out[r] = (float)value;
}

static struct tempera_loss_result compute_row(const struct loss_job *job, size_t r)
{
    const struct tempera_matrix *d_logits = job->outputs.d_logits;
    struct tempera_loss_row row = {
        .logits = tempera_matrix_element(job->logits, r, 0),
        .probs = job->soft != NULL ? tempera_matrix_element(job->soft, r, 0) : NULL,
        .d_logits = d_logits != NULL ? tempera_matrix_element(d_logits, r, 0) : NULL,
    };
    if (job->classes != NULL && job->classes[r] == job->loss.options.ignore_index) {
        tempera_loss_fill(&job->loss, row.d_logits, false);
        return (struct tempera_loss_result){.status = TEMPERA_OK};
    }
    row.next = r + 1 < job->logits->rows ? tempera_matrix_element(job->logits, r + 1, 0) : NULL;
    row.y = job->classes != NULL ? (size_t)job->classes[r] : 0;
    return tempera_loss_row(&job->loss, &row);
}

static void do_row(const struct loss_job *job, size_t r, struct totals *totals)
{
    const struct tempera_cross_entropy_outputs *out = &job->outputs;
    struct tempera_loss_result result = compute_row(job, r);
    store(out->row_loss, r, result.cross_entropy + result.z_loss);
    store(out->row_logsumexp, r, result.logsumexp);
    store(out->row_entropy, r, result.entropy);
    if (out->row_correct != NULL)
        out->row_correct[r] = result.is_correct;
    if (out->row_status != NULL)
        out->row_status[r] = result.status;
    totals->cross_entropy += result.cross_entropy;
    totals->z_loss += result.z_loss;
    totals->n_correct += result.is_correct;
    if (result.status > totals->worst)
        totals->worst = result.status;
}

static void do_block(struct loss_job *job, size_t block)
{
    size_t first = block * job->rows_per_block, n_rows = job->logits->rows;
    size_t end = n_rows - first < job->rows_per_block ? n_rows : first + job->rows_per_block;
    struct totals totals = {0, 0, 0, TEMPERA_OK};
    for (size_t r = first; r < end; r++)
        do_row(job, r, &totals);
    job->blocks[block] = totals;
}

static void run_block(void *context, size_t block)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    do_block(context, block);
    tempera_fpenv_leave(env);
}

// Behind a call of its own, after the floating-point modes are set.
__attribute__((noinline)) static enum tempera_status finish(const struct loss_job *job,
                                                            size_t n_blocks)
{
    const struct tempera_cross_entropy_outputs *out = &job->outputs;
    struct totals all = {0, 0, 0, TEMPERA_OK};
    for (size_t block = 0; block < n_blocks; block++) {
        all.cross_entropy += job->blocks[block].cross_entropy;
        all.z_loss += job->blocks[block].z_loss;
        all.n_correct += job->blocks[block].n_correct;
        if (job->blocks[block].worst > all.worst)
            all.worst = job->blocks[block].worst;
    }
    if (out->loss != NULL)
        *out->loss = tempera_loss_reduce(&job->loss, all.cross_entropy, all.z_loss);
    if (out->z_loss != NULL)
        *out->z_loss = tempera_loss_reduce(&job->loss, 0, all.z_loss);
    if (out->count != NULL)
        *out->count = job->loss.count;
    if (out->weight_sum != NULL)
        *out->weight_sum = job->loss.weight_sum;
    if (out->n_correct != NULL)
        *out->n_correct = all.n_correct;
    return all.worst;
}

enum tempera_status tempera_cross_entropy(const struct tempera_matrix *logits,
                                          const struct tempera_targets *targets,
                                          const struct tempera_cross_entropy_options *options,
                                          const struct tempera_cross_entropy_outputs *outputs,
                                          const struct tempera_executor *executor)
{
    const size_t least = // version 0.1
        offsetof(struct tempera_cross_entropy_outputs, count) + sizeof(size_t *);
    TEMPERA_CHECK(targets != NULL && outputs != NULL && outputs->struct_size >= least,
                  TEMPERA_INVALID_ARGUMENT);
    struct loss_job job = {.logits = logits, .classes = targets->classes, .soft = targets->probs};
    memcpy(&job.outputs, outputs,
           outputs->struct_size < sizeof job.outputs ? outputs->struct_size : sizeof job.outputs);
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = begin(&job, options);
    if (status == TEMPERA_OK) {
        size_t rows = logits->rows;
        job.rows_per_block = rows / MOST_BLOCKS + (rows % MOST_BLOCKS != 0);
        size_t n_blocks = rows == 0 ? 0 : (rows + job.rows_per_block - 1) / job.rows_per_block;
        tempera_parallel_for(executor, n_blocks, run_block, &job);
        status = finish(&job, n_blocks);
    }
    tempera_fpenv_leave(env);
    return status;
}
