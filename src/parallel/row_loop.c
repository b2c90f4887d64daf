// SPDX-License-Identifier: MIT
#include "parallel/row_loop.h"

#include <stdatomic.h>

#include "base/fpenv.h"

struct rows_job {
    tempera_rows_function *function;
    const void *context;
    enum tempera_status *row_status;
    size_t n_rows, rows_per_task;
    atomic_int worst;
};

static void raise_worst(atomic_int *worst, int status)
{
    int seen = atomic_load(worst);
    while (status > seen && !atomic_compare_exchange_weak(worst, &seen, status))
        continue;
}

static void run_task(void *context, size_t index)
{
    struct rows_job *job = context;
    size_t first = index * job->rows_per_task;
    size_t end =
        job->n_rows - first < job->rows_per_task ? job->n_rows : first + job->rows_per_task;
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status worst = job->function(job->context, first, end, job->row_status);
    tempera_fpenv_leave(env);
    raise_worst(&job->worst, (int)worst);
}

enum tempera_status tempera_rows_run(size_t n_rows, size_t n_cols, tempera_rows_function *function,
                                     const void *context, enum tempera_status *row_status,
                                     const struct tempera_executor *executor)
{
    // A task is tens of microseconds at least, since to start one costs about one, and a sixteenth
    // of a thread's share at most. Rows are fetched ahead within a task, so longer is better.
    const size_t elements_per_task = 16384, tasks_per_thread = 16;
    struct rows_job job = {.function = function, .context = context, .row_status = row_status};
    size_t least = n_cols >= elements_per_task ? 1 : elements_per_task / n_cols;
    size_t n_threads = executor == NULL ? 0 : executor->n_threads;
    size_t share = n_threads == 0 ? n_rows : n_rows / tasks_per_thread / n_threads;
    job.n_rows = n_rows;
    job.rows_per_task = share > least ? share : least;
    atomic_init(&job.worst, TEMPERA_OK);
    size_t n_tasks = n_rows / job.rows_per_task + (n_rows % job.rows_per_task != 0);
    tempera_parallel_for(executor, n_tasks, run_task, &job);
    return (enum tempera_status)atomic_load(&job.worst);
}
