// SPDX-License-Identifier: MIT
// A loop over tasks on the caller's executor, or in this thread. Read next: thread_pool.c.
#include <tempera/parallel.h>

void tempera_parallel_for(const struct tempera_executor *executor, size_t n_tasks,
                          tempera_task *task, void *context)
{
    if (executor != NULL && executor->parallel_for != NULL) {
        executor->parallel_for(executor->self, n_tasks, task, context);
        return;
    }
    for (size_t i = 0; i < n_tasks; i++)
        task(context, i);
}
