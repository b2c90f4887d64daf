// SPDX-License-Identifier: MIT
// Threads are the caller's. What can run in parallel takes an executor: a parallel-for which the
// caller supplies from its own thread pool, or ours below. NULL means: run in this thread.
//
// An executor can't change a bit of any result. Where numbers are summed over tasks, the tasks
// depend on the work's shape alone; independent rows may be grouped by the number of threads.
#ifndef TEMPERA_PARALLEL_H
#define TEMPERA_PARALLEL_H

#include <stddef.h>

#include <tempera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void tempera_task(void *context, size_t index);

// parallel_for(self, n_tasks, task, context) calls task(context, i) exactly once for every i in
// [0, n_tasks), in any order and on any threads, and returns when all calls have returned.
// It must be callable from within a task (running such a nested loop serially is fine).
struct tempera_executor {
    void (*parallel_for)(void *self, size_t n_tasks, tempera_task *task, void *context);
    void *self;
    size_t n_threads; // a hint for sizing scratch and choosing chunks; 0 means 1
};

// Runs the loop on `executor`, or serially in this thread when executor, or its parallel_for, is
// NULL. Every function that takes an executor does the same.
TEMPERA_API void tempera_parallel_for(const struct tempera_executor *executor, size_t n_tasks,
                                      tempera_task *task, void *context);

// ------------------------------------------------------------------------------------------------
// Our executor: a pool of pthreads. The calling thread works too, so n_threads = 2 starts one.
//
// fork() copies no threads. In the child, a pool of the parent's runs its loops in the calling
// thread, with the same bits, and is closed as usual; a pool that the child opens has threads of
// its own. A process may fork at any time, also while other threads are in loops. But when a task
// forks, its child must not return from the task: the rest of that loop is the parent's.

struct tempera_thread_pool;

// The processors this process may run on, which a container or taskset can make fewer than those
// of the machine. At least 1.
TEMPERA_API size_t tempera_processors(void);

// n_threads = 0 stands for tempera_processors(). On success the caller closes *pool. Status:
// INVALID_ARGUMENT, OUT_OF_MEMORY, NO_THREADS.
TEMPERA_API enum tempera_status tempera_thread_pool_open(struct tempera_thread_pool **pool,
                                                         size_t n_threads);

// Ends the threads, frees the pool and sets *pool to NULL. NULL-safe. No loop may be running.
TEMPERA_API void tempera_thread_pool_close(struct tempera_thread_pool **pool);

// The pool as an executor; borrowed, valid until the pool is closed. NULL for a NULL pool. Loops
// started from several threads at once are run one after the other.
TEMPERA_API const struct tempera_executor *
tempera_thread_pool_executor(const struct tempera_thread_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
