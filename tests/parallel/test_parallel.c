// SPDX-License-Identifier: MIT
// The contract of an executor, held by the serial loop, by pools of several sizes and by one that
// a caller supplies: every task exactly once, done when the loop returns, callable from within a
// task and from several threads. And what becomes of a pool in a child of fork. Run under
// ThreadSanitizer too, which sees what counts can't.
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tempera/parallel.h>
#include <tempera/softmax.h>

enum { MAX_TASKS = 5000 };

// Plain, not atomic: a task that ran twice, or a loop that returned before its tasks, is a race.
struct counts {
    unsigned char n_calls[MAX_TASKS + 1];
};

static void count_call(void *context, size_t index)
{
    struct counts *counts = context;
    counts->n_calls[index < MAX_TASKS ? index : MAX_TASKS]++;
}

static void check_loop(const struct tempera_executor *executor, size_t n_tasks)
{
    static struct counts counts, expected;
    memset(&counts, 0, sizeof counts);
    memset(&expected, 0, sizeof expected);
    memset(expected.n_calls, 1, n_tasks);
    tempera_parallel_for(executor, n_tasks, count_call, &counts);
    CHECK_MEM(counts.n_calls, expected.n_calls, sizeof counts.n_calls);
}

static void check_sizes(const struct tempera_executor *executor)
{
    for (size_t n_tasks = 0; n_tasks <= 40; n_tasks++)
        check_loop(executor, n_tasks);
    check_loop(executor, MAX_TASKS);
}

static void serial_runs_every_task_once(void)
{
    check_sizes(NULL);
}

// Also through a call that sizes its tasks by the executor.
static void executor_without_a_loop_is_serial(void)
{
    const struct tempera_executor none = {0}, threads = {.n_threads = 4};
    const struct tempera_executor *executors[] = {&none, &threads};
    for (size_t i = 0; i < 2; i++) {
        check_sizes(executors[i]);
        float z[3] = {1, 2, 3}, p[3] = {0}, expected[3] = {0};
        struct tempera_matrix logits = tempera_matrix_f32(z, 1, 3);
        struct tempera_matrix probs = tempera_matrix_f32(p, 1, 3);
        struct tempera_matrix serial = tempera_matrix_f32(expected, 1, 3);
        CHECK_STATUS(tempera_softmax(&logits, NULL, &serial, NULL, NULL), TEMPERA_OK);
        CHECK_STATUS(tempera_softmax(&logits, NULL, &probs, NULL, executors[i]), TEMPERA_OK);
        CHECK_MEM(p, expected, sizeof p);
    }
}

static void pool_runs_every_task_once(void)
{
    for (size_t n_threads = 1; n_threads <= 5; n_threads++) {
        struct tempera_thread_pool *pool;
        CHECK_STATUS(tempera_thread_pool_open(&pool, n_threads), TEMPERA_OK);
        const struct tempera_executor *executor = tempera_thread_pool_executor(pool);
        CHECK_EQ_SIZE(executor->n_threads, n_threads);
        check_sizes(executor);
        for (int i = 0; i < 300; i++) // back to back: workers are still on their way out
            check_loop(executor, 2 + (size_t)i % 7);
        tempera_thread_pool_close(&pool);
        CHECK(pool == NULL);
    }
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void sleep_in_one_task(void *context, size_t index)
{
    if (index == 3)
        sleep_ms(20);
    count_call(context, index);
}

// Long pauses between loops and inside of one send both sides past their spinning, to sleep.
static void pool_wakes_from_sleep(void)
{
    struct tempera_thread_pool *pool;
    CHECK_STATUS(tempera_thread_pool_open(&pool, 2), TEMPERA_OK);
    const struct tempera_executor *executor = tempera_thread_pool_executor(pool);
    for (int i = 0; i < 10; i++) {
        sleep_ms(5);
        struct counts counts = {{0}}, expected = {{1, 1, 1, 1}};
        tempera_parallel_for(executor, 4, sleep_in_one_task, &counts);
        CHECK_MEM(counts.n_calls, expected.n_calls, sizeof counts.n_calls);
    }
    tempera_thread_pool_close(&pool);
}

// A task that waits for the other one: ends only if two threads really work at once.
static void meet(void *context, size_t index)
{
    (void)index;
    atomic_int *n_arrived = context;
    atomic_fetch_add(n_arrived, 1);
    while (atomic_load(n_arrived) < 2)
        sleep_ms(1);
}

static void pool_runs_tasks_at_the_same_time(void)
{
    struct tempera_thread_pool *pool;
    CHECK_STATUS(tempera_thread_pool_open(&pool, 2), TEMPERA_OK);
    atomic_int n_arrived = 0;
    tempera_parallel_for(tempera_thread_pool_executor(pool), 2, meet, &n_arrived);
    CHECK_EQ_INT(n_arrived, 2);
    tempera_thread_pool_close(&pool);
}

enum { N_OUTER = 20, N_INNER = 30 };

struct nest {
    const struct tempera_executor *executor;
    unsigned char n_calls[N_OUTER][N_INNER];
};

struct nest_row {
    struct nest *nest;
    size_t outer;
};

static void count_inner(void *context, size_t index)
{
    struct nest_row *row = context;
    row->nest->n_calls[row->outer][index]++;
}

static void run_inner_loop(void *context, size_t index)
{
    struct nest_row row = {context, index};
    tempera_parallel_for(row.nest->executor, N_INNER, count_inner, &row);
}

static void check_nest(const struct tempera_executor *outer, const struct tempera_executor *inner)
{
    struct nest nest = {.executor = inner};
    unsigned char expected[N_OUTER][N_INNER];
    memset(expected, 1, sizeof expected);
    tempera_parallel_for(outer, N_OUTER, run_inner_loop, &nest);
    CHECK_MEM(nest.n_calls, expected, sizeof expected);
}

static void loops_nest(void)
{
    struct tempera_thread_pool *first, *second;
    CHECK_STATUS(tempera_thread_pool_open(&first, 3), TEMPERA_OK);
    CHECK_STATUS(tempera_thread_pool_open(&second, 2), TEMPERA_OK);
    const struct tempera_executor *a = tempera_thread_pool_executor(first);
    const struct tempera_executor *b = tempera_thread_pool_executor(second);
    for (int i = 0; i < 20; i++) {
        check_nest(a, a);
        check_nest(a, b);
        check_nest(NULL, a);
    }
    tempera_thread_pool_close(&first);
    tempera_thread_pool_close(&second);
}

struct meeting {
    const struct tempera_executor *executor;
    atomic_int n_arrived;
};

static void meet_in_inner_loop(void *context, size_t index)
{
    (void)index;
    struct meeting *meeting = context;
    tempera_parallel_for(meeting->executor, 2, meet, &meeting->n_arrived);
}

// A loop of one task doesn't occupy the pool: the loop inside it is a parallel one.
static void single_task_may_use_the_pool(void)
{
    struct tempera_thread_pool *pool;
    CHECK_STATUS(tempera_thread_pool_open(&pool, 2), TEMPERA_OK);
    struct meeting meeting = {.executor = tempera_thread_pool_executor(pool)};
    tempera_parallel_for(meeting.executor, 1, meet_in_inner_loop, &meeting);
    CHECK_EQ_INT(meeting.n_arrived, 2);
    tempera_thread_pool_close(&pool);
}

struct caller {
    const struct tempera_executor *executor;
    size_t n_wrong;
};

static void *call_many_loops(void *argument)
{
    struct caller *caller = argument;
    for (size_t i = 0; i < 200; i++) {
        struct counts counts = {{0}};
        size_t n_tasks = 1 + i % 50;
        tempera_parallel_for(caller->executor, n_tasks, count_call, &counts);
        for (size_t k = 0; k <= MAX_TASKS; k++)
            caller->n_wrong += counts.n_calls[k] != (k < n_tasks);
    }
    return NULL;
}

static void several_threads_share_a_pool(void)
{
    struct tempera_thread_pool *pool;
    CHECK_STATUS(tempera_thread_pool_open(&pool, 3), TEMPERA_OK);
    enum { N_CALLERS = 4 };
    struct caller callers[N_CALLERS];
    pthread_t threads[N_CALLERS];
    for (size_t i = 0; i < N_CALLERS; i++) {
        callers[i] = (struct caller){.executor = tempera_thread_pool_executor(pool)};
        CHECK_EQ_INT(pthread_create(&threads[i], NULL, call_many_loops, &callers[i]), 0);
    }
    for (size_t i = 0; i < N_CALLERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ_SIZE(callers[i].n_wrong, 0);
    }
    tempera_thread_pool_close(&pool);
}

static void run_backwards(void *self, size_t n_tasks, tempera_task *task, void *context)
{
    ++*(size_t *)self;
    while (n_tasks-- > 0)
        task(context, n_tasks);
}

static void callers_executor_is_used(void)
{
    size_t n_loops = 0;
    struct tempera_executor executor = {run_backwards, &n_loops, 1};
    check_sizes(&executor);
    CHECK_EQ_SIZE(n_loops, 42);
    check_nest(&executor, &executor);
    CHECK_EQ_SIZE(n_loops, 43 + N_OUTER);
}

static void open_and_close_check_arguments(void)
{
    struct tempera_thread_pool *pool;
    CHECK_STATUS(tempera_thread_pool_open(NULL, 2), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_thread_pool_open(&pool, SIZE_MAX), TEMPERA_INVALID_ARGUMENT);
    CHECK(pool == NULL);
    CHECK(tempera_thread_pool_executor(NULL) == NULL);
    tempera_thread_pool_close(NULL);
    tempera_thread_pool_close(&pool);

    CHECK_STATUS(tempera_thread_pool_open(&pool, 0), TEMPERA_OK);
    CHECK(tempera_thread_pool_executor(pool)->n_threads >= 1);
    tempera_thread_pool_close(&pool);
    CHECK(pool == NULL);
}

// Opened and closed without a loop, or straight after one, by every timing a hundred times gives.
static void close_ends_the_threads(void)
{
    for (int i = 0; i < 100; i++) {
        struct tempera_thread_pool *pool;
        CHECK_STATUS(tempera_thread_pool_open(&pool, 4), TEMPERA_OK);
        if (i % 2)
            check_loop(tempera_thread_pool_executor(pool), 8);
        tempera_thread_pool_close(&pool);
    }
}

static void note_blocked_signals(void *context, size_t index)
{
    atomic_int *n_blocked = context;
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    atomic_fetch_add(n_blocked, sigismember(&set, SIGINT));
    (void)index;
    sleep_ms(2); // long enough for the worker to take some of the tasks
}

// Ctrl-C is for the program's own threads; opening a pool leaves their signals as they were.
static void workers_take_no_signals(void)
{
    struct tempera_thread_pool *pool;
    CHECK_STATUS(tempera_thread_pool_open(&pool, 2), TEMPERA_OK);
    atomic_int n_blocked = 0;
    enum { N_TASKS = 40 };
    tempera_parallel_for(tempera_thread_pool_executor(pool), N_TASKS, note_blocked_signals,
                         &n_blocked);
    CHECK(n_blocked > 0);
    CHECK(n_blocked < N_TASKS);
    tempera_thread_pool_close(&pool);
}

// ------------------------------------------------------------------------------------------------
// fork

// Its exit status; -1 if it was killed, by its alarm too.
static int child_status(pid_t child)
{
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void count_on_one_thread(void *context, size_t index)
{
    static pthread_t first;
    if (index == 0)
        first = pthread_self();
    if (pthread_equal(first, pthread_self()))
        count_call(context, index);
}

// Each task ran once and in order, in this thread.
static bool runs_serially(const struct tempera_executor *executor, size_t n_tasks)
{
    static struct counts counts, expected;
    memset(&counts, 0, sizeof counts);
    memset(&expected, 0, sizeof expected);
    memset(expected.n_calls, 1, n_tasks);
    tempera_parallel_for(executor, n_tasks, count_on_one_thread, &counts);
    return memcmp(&counts, &expected, sizeof counts) == 0;
}

static bool gives_the_same_bits(const struct tempera_executor *executor)
{
    enum { ROWS = 50, COLS = 400 };
    static float z[ROWS * COLS], serial[ROWS * COLS], p[ROWS * COLS];
    for (size_t i = 0; i < ROWS * COLS; i++)
        z[i] = (float)(i * 37 % 101) * 0.1f;
    struct tempera_matrix logits = tempera_matrix_f32(z, ROWS, COLS);
    struct tempera_matrix out[] = {tempera_matrix_f32(serial, ROWS, COLS),
                                   tempera_matrix_f32(p, ROWS, COLS)};
    return tempera_softmax(&logits, NULL, &out[0], NULL, NULL) == TEMPERA_OK &&
           tempera_softmax(&logits, NULL, &out[1], NULL, executor) == TEMPERA_OK &&
           memcmp(p, serial, sizeof p) == 0;
}

// What a child does with a pool of its parent's, within a minute; 0 or the number of what failed.
static int use_inherited(struct tempera_thread_pool *pool)
{
    alarm(60); // a child doesn't inherit one
    const struct tempera_executor *executor = tempera_thread_pool_executor(pool);
    if (executor->n_threads != 3)
        return 1;
    for (size_t n_tasks = 0; n_tasks <= 40; n_tasks++)
        if (!runs_serially(executor, n_tasks))
            return 2;
    if (!gives_the_same_bits(executor))
        return 3;
    tempera_thread_pool_close(&pool);
    return pool == NULL ? 0 : 4;
}

// And with one of its own, whose threads meet; in a child of its own that one is inherited too. Not
// in slow builds: qemu and the thread sanitizer start no threads in a child of fork.
static int use_own(void)
{
    struct tempera_thread_pool *pool;
    atomic_int n_arrived = 0;
    if (tempera_thread_pool_open(&pool, 3) != TEMPERA_OK)
        return 5;
    tempera_parallel_for(tempera_thread_pool_executor(pool), 2, meet, &n_arrived);
    if (n_arrived != 2)
        return 6;
    pid_t child = fork();
    if (child == 0)
        _exit(use_inherited(pool));
    int status = child_status(child);
    tempera_thread_pool_close(&pool);
    return status;
}

static void children_use_pools(void)
{
    struct tempera_thread_pool *pool;
    CHECK_STATUS(tempera_thread_pool_open(&pool, 3), TEMPERA_OK);
    for (int i = 0; i < 5; i++) { // workers are asleep, or still awake
        check_loop(tempera_thread_pool_executor(pool), 8);
        sleep_ms(i % 2 * 20);
        pid_t child = fork();
        if (child == 0) {
            int status = use_inherited(pool);
            _exit(status != 0 || i > 0 || check_is_small() ? status : use_own());
        }
        CHECK_EQ_INT(child_status(child), 0);
    }
    check_loop(tempera_thread_pool_executor(pool), 8);
    tempera_thread_pool_close(&pool);
}

struct long_loop {
    struct tempera_thread_pool *pool;
    atomic_int n_arrived;
    atomic_bool may_end;
};

static void stay(void *context, size_t index)
{
    (void)index;
    struct long_loop *loop = context;
    atomic_fetch_add(&loop->n_arrived, 1);
    while (!atomic_load(&loop->may_end))
        sleep_ms(1);
}

static void *run_long_loop(void *argument)
{
    struct long_loop *loop = argument;
    tempera_parallel_for(tempera_thread_pool_executor(loop->pool), 3, stay, loop);
    return NULL;
}

// The pool's locks are held in the child, by threads that aren't there.
static void fork_during_another_threads_loop(void)
{
    struct long_loop loop = {.n_arrived = 0};
    CHECK_STATUS(tempera_thread_pool_open(&loop.pool, 3), TEMPERA_OK);
    pthread_t thread;
    CHECK_EQ_INT(pthread_create(&thread, NULL, run_long_loop, &loop), 0);
    while (atomic_load(&loop.n_arrived) < 3)
        sleep_ms(1);
    pid_t child = fork();
    if (child == 0) {
        _exit(use_inherited(loop.pool));
    }
    CHECK_EQ_INT(child_status(child), 0);
    atomic_store(&loop.may_end, true);
    pthread_join(thread, NULL);
    check_loop(tempera_thread_pool_executor(loop.pool), 100);
    tempera_thread_pool_close(&loop.pool);
}

struct forking {
    struct tempera_thread_pool *pool;
    pid_t children[4];
};

static void fork_in_task(void *context, size_t index)
{
    struct forking *forking = context;
    forking->children[index] = fork();
    if (forking->children[index] == 0) {
        _exit(use_inherited(forking->pool));
    }
}

static void tasks_fork(void)
{
    struct forking forking;
    CHECK_STATUS(tempera_thread_pool_open(&forking.pool, 3), TEMPERA_OK);
    tempera_parallel_for(tempera_thread_pool_executor(forking.pool), 4, fork_in_task, &forking);
    for (size_t i = 0; i < 4; i++)
        CHECK_EQ_INT(child_status(forking.children[i]), 0);
    tempera_thread_pool_close(&forking.pool);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"serial loops run every task once", serial_runs_every_task_once},
        {"an executor without a loop is serial", executor_without_a_loop_is_serial},
        {"a pool runs every task once", pool_runs_every_task_once},
        {"a pool wakes from sleep", pool_wakes_from_sleep},
        {"a pool runs tasks at the same time", pool_runs_tasks_at_the_same_time},
        {"a task may run a loop on its own pool or another", loops_nest},
        {"a single task may use the pool", single_task_may_use_the_pool},
        {"several threads share a pool", several_threads_share_a_pool},
        {"the caller's executor is used", callers_executor_is_used},
        {"open and close check their arguments", open_and_close_check_arguments},
        {"closing ends the threads", close_ends_the_threads},
        {"workers take no signals", workers_take_no_signals},
        {"child processes can use pools", children_use_pools},
        {"a fork during another thread's loop does no harm", fork_during_another_threads_loop},
        {"tasks may fork", tasks_fork},
    };
    return CHECK_RUN(tests, argc, argv);
}
