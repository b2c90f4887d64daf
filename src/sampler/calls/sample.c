// SPDX-License-Identifier: MIT
// A batch of rows: a token or a distribution for each, on the caller's threads. Read next: chain.c.
#include <tempera/sampler.h>

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arguments.h"
#include "base/fpenv.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "sampler/calls/arguments.h"
#include "sampler/calls/chain.h"
#include "sampler/calls/logprobs.h"
#include "sampler/calls/result.h"
#include "sampler/row/candidates.h"
#include "sampler/row/masses.h"
#include "sampler/stages/stages.h"

// A call, as its rows see it.
struct sample_job {
    const struct tempera_matrix *logits;
    const struct tempera_sample_row *rows;
    struct tempera_sample_result *results;
    const struct tempera_matrix *probs; // NULL: tokens only
    char *scratch;
    size_t slice_nbytes;
    atomic_size_t next_row;
    atomic_int worst;
};

// ------------------------------------------------------------------------------------------------
// Scratch: one slice for each thread.

static size_t n_slices(size_t n_rows, const struct tempera_executor *executor)
{
    size_t n_threads = executor == NULL || executor->n_threads == 0 ? 1 : executor->n_threads;
    return n_rows < n_threads ? n_rows : n_threads;
}

size_t tempera_sample_scratch_nbytes(const struct tempera_matrix *logits,
                                     const struct tempera_sampler *sampler,
                                     const struct tempera_executor *executor)
{
    size_t nbytes;
    if (logits == NULL || logits->cols > INT32_MAX || tempera_dtype_nbytes(logits->dtype) == 0 ||
        tempera_sampler_check(sampler, NULL) != TEMPERA_OK)
        return 0;
    size_t slice = tempera_chain_nbytes(
        logits->cols, tempera_sampler_stage_scratch_nbytes(sampler, logits->cols));
    return tempera_size_mul(slice, n_slices(logits->rows, executor), &nbytes) ? nbytes : 0;
}

// ------------------------------------------------------------------------------------------------
// Rows

static void write_probs(struct tempera_candidates *c, float *probs)
{
    tempera_candidates_gather(c);
    double W = (double)tempera_candidates_fill_masses(c);
    for (size_t i = 0; i < c->n; i++)
        probs[c->ids[i]] = (float)((double)c->masses[i] / W);
}

// probs: NULL, or the row to write.
static struct tempera_sample_result sample_row(const struct sample_job *job, size_t r, char *slice,
                                               float *probs)
{
    const struct tempera_sample_row *row = &job->rows[r];
    struct tempera_chain chain;
    enum tempera_status status = tempera_chain_begin(&chain, job->logits, r, row, slice);
    if (status == TEMPERA_OK)
        status = tempera_chain_run(&chain);
    if (probs != NULL)
        tempera_row_fill(probs, TEMPERA_F32, job->logits->cols, status == TEMPERA_NAN_INPUT);
    if (status != TEMPERA_OK) {
        tempera_report_without_token(row, status);
        return tempera_result_without_token(row, status);
    }
    struct tempera_sample_result result = tempera_chain_result(&chain, tempera_chain_draw(&chain));
    tempera_chain_report(&chain);
    if (probs != NULL)
        write_probs(&chain.c, probs);
    return result;
}

// A task owns a slice and takes rows until there are none left. The result of a row does not depend
// on the task.
static void run_task(void *context, size_t slice)
{
    struct sample_job *job = context;
    char *scratch = job->scratch + slice * job->slice_nbytes;
    int worst = TEMPERA_OK;
    struct tempera_fpenv env = tempera_fpenv_enter();
    for (;;) {
        size_t r = atomic_fetch_add(&job->next_row, 1);
        if (r >= job->logits->rows)
            break;
        float *probs = job->probs == NULL ? NULL : tempera_matrix_row(job->probs, r);
        job->results[r] = sample_row(job, r, scratch, probs);
        int status = (int)job->results[r].status;
        worst = status > worst ? status : worst;
    }
    tempera_fpenv_leave(env);
    int seen = atomic_load(&job->worst);
    while (worst > seen && !atomic_compare_exchange_weak(&job->worst, &seen, worst))
        continue;
}

// ------------------------------------------------------------------------------------------------
// Calls

static enum tempera_status run(struct sample_job *job, size_t scratch_nbytes,
                               const struct tempera_executor *executor)
{
    TEMPERA_CHECK(job->logits != NULL, TEMPERA_INVALID_ARGUMENT);
    struct tempera_call call = {.logits = job->logits,
                                .rows = job->rows,
                                .other = job->probs,
                                .other_is_written = job->probs != NULL,
                                .scratch = job->scratch,
                                .scratch_nbytes = scratch_nbytes,
                                .n_slices = n_slices(job->logits->rows, executor)};
    tempera_call_add(&call, job->results, job->logits->rows, sizeof *job->results, true);
    TEMPERA_TRY(tempera_call_check(&call));
    job->slice_nbytes = call.slice_nbytes;
    atomic_init(&job->next_row, 0);
    atomic_init(&job->worst, TEMPERA_OK);
    tempera_parallel_for(executor, call.n_slices, run_task, job);
    return (enum tempera_status)atomic_load(&job->worst);
}

enum tempera_status tempera_sample(const struct tempera_matrix *logits,
                                   const struct tempera_sample_row *rows,
                                   struct tempera_sample_result *results, void *scratch,
                                   size_t scratch_nbytes, const struct tempera_executor *executor)
{
    struct sample_job job = {
        .logits = logits, .rows = rows, .results = results, .scratch = scratch};
    return run(&job, scratch_nbytes, executor);
}

enum tempera_status
tempera_sampler_probs(const struct tempera_matrix *logits, const struct tempera_sample_row *rows,
                      const struct tempera_matrix *probs, struct tempera_sample_result *results,
                      void *scratch, size_t scratch_nbytes, const struct tempera_executor *executor)
{
    TEMPERA_CHECK(probs != NULL, TEMPERA_INVALID_ARGUMENT);
    struct sample_job job = {
        .logits = logits, .rows = rows, .results = results, .probs = probs, .scratch = scratch};
    return run(&job, scratch_nbytes, executor);
}
