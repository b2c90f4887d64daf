// SPDX-License-Identifier: MIT
// A loop whose tasks run in the default floating-point modes. The threads of an executor have
// modes of their own: those of the thread that started them.
#ifndef TEMPERA_BASE_GUARDED_H
#define TEMPERA_BASE_GUARDED_H

#include <tempera/parallel.h>

#include "base/fpenv.h"

struct tempera_guarded_loop {
    tempera_task *task;
    void *context;
};

static inline void tempera_guarded_task(void *context, size_t index)
{
    const struct tempera_guarded_loop *loop = context;
    struct tempera_fpenv env = tempera_fpenv_enter();
    loop->task(loop->context, index);
    tempera_fpenv_leave(env);
}

// As tempera_parallel_for.
static inline void tempera_guarded_for(const struct tempera_executor *executor, size_t n_tasks,
                                       tempera_task *task, void *context)
{
    struct tempera_guarded_loop loop = {task, context};
    tempera_parallel_for(executor, n_tasks, tempera_guarded_task, &loop);
}

#endif
