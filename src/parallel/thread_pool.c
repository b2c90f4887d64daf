// SPDX-License-Identifier: MIT
// Our executor: a pool of pthreads that share the indices of one loop at a time.
//
// One atomic word holds the pool's state: the loop's generation, whether the loop is open, and how
// many workers have joined it. The caller fills in the loop, opens it and works on it too. A
// worker joins only while the loop is open, takes indices from one counter until none is left,
// and leaves. The caller, when it finds no index left, closes the loop and waits for the workers
// that joined, and for no other: a worker that wakes too late costs nothing and can't see a loop
// that is over.
//
// Both sides spin for some tens of microseconds before they sleep, since the loops of one token's
// forward pass follow each other closely, and a wake-up costs as much as such a loop.
//
// A child of fork has only the thread that forked: none of a pool's workers, and locks as they were
// at that moment, perhaps held by threads that aren't there. So a pool knows from its number which
// process it belongs to, and in any other it runs loops serially and touches nothing but that.
#define _GNU_SOURCE // sched_getaffinity

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <tempera/parallel.h>

enum {
    MAX_THREADS = 0xffff,
    SPIN_LIMIT = 2000, // pauses: some tens of microseconds, about what a wake-up takes
};

// The fields of the state word, from the lowest bit.
#define JOINED UINT64_C(0xffff) // number of workers in the loop
#define OPEN (UINT64_C(1) << 16)
#define CLOSING (UINT64_C(1) << 17) // the pool ends
#define GENERATION_STEP (UINT64_C(1) << 18)
#define GENERATION (~(GENERATION_STEP - 1)) // counts loops

struct tempera_thread_pool {
    struct tempera_executor executor;
    unsigned spin_limit;
    unsigned n_forks; // when it was opened

    // The loop. Written by its caller while it is closed and no worker is in it.
    size_t n_tasks;
    tempera_task *task;
    void *context;
    atomic_size_t next_index;

    _Atomic uint64_t state;
    pthread_mutex_t loop_mutex;  // held by the thread whose loop runs
    pthread_mutex_t sleep_mutex; // guards the three below
    pthread_cond_t loop_opened;
    pthread_cond_t workers_left;
    atomic_size_t n_sleeping; // workers at loop_opened; the caller reads it unlocked

    size_t n_workers;
    pthread_t workers[];
};

// Whether this thread runs a task of some pool. A loop that a task starts runs serially: its
// pool is busy, and waiting in one pool for another could wait for itself.
static _Thread_local bool in_task;

// How many forks lie between this process and the first. Changed while a child has one thread.
static unsigned n_forks;
static pthread_once_t watch_once = PTHREAD_ONCE_INIT;
static bool watches;

static void count_fork(void)
{
    n_forks++;
}

static void watch_forks(void)
{
    watches = pthread_atfork(NULL, NULL, count_fork) == 0;
}

static bool is_inherited(const struct tempera_thread_pool *pool)
{
    return pool->n_forks != n_forks;
}

static void relax_processor(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void run_tasks(struct tempera_thread_pool *pool)
{
    for (;;) {
        size_t index = atomic_fetch_add_explicit(&pool->next_index, 1, memory_order_relaxed);
        if (index >= pool->n_tasks)
            return;
        pool->task(pool->context, index);
    }
}

// ------------------------------------------------------------------------------------------------
// The worker's side.

// Waits until the generation is not `seen`. Returns the state that ended the wait.
static uint64_t wait_for_loop(struct tempera_thread_pool *pool, uint64_t seen)
{
    for (unsigned i = 0; i < pool->spin_limit; i++) {
        uint64_t state = atomic_load(&pool->state);
        if ((state & GENERATION) != seen)
            return state;
        relax_processor();
    }
    // The caller changes the state first and reads n_sleeping then, we the other way round: so
    // either we see the new state here or the caller sees us and signals.
    pthread_mutex_lock(&pool->sleep_mutex);
    atomic_fetch_add(&pool->n_sleeping, 1);
    uint64_t state;
    while (((state = atomic_load(&pool->state)) & GENERATION) == seen)
        pthread_cond_wait(&pool->loop_opened, &pool->sleep_mutex);
    atomic_fetch_sub(&pool->n_sleeping, 1);
    pthread_mutex_unlock(&pool->sleep_mutex);
    return state;
}

static bool join_loop(struct tempera_thread_pool *pool)
{
    uint64_t state = atomic_load(&pool->state);
    while (state & OPEN)
        if (atomic_compare_exchange_weak(&pool->state, &state, state + 1))
            return true;
    return false;
}

static void leave_loop(struct tempera_thread_pool *pool)
{
    uint64_t left = atomic_fetch_sub(&pool->state, 1) - 1;
    if (left & (OPEN | JOINED))
        return;
    pthread_mutex_lock(&pool->sleep_mutex);
    pthread_cond_signal(&pool->workers_left);
    pthread_mutex_unlock(&pool->sleep_mutex);
}

static void *worker_main(void *argument)
{
    struct tempera_thread_pool *pool = argument;
    uint64_t seen = 0;
    in_task = true;
    for (;;) {
        uint64_t state = wait_for_loop(pool, seen);
        if (state & CLOSING)
            return NULL;
        seen = state & GENERATION;
        if (join_loop(pool)) {
            run_tasks(pool);
            leave_loop(pool);
        }
    }
}

// ------------------------------------------------------------------------------------------------
// The caller's side.

// Publishes a new generation with these flags and wakes who sleeps. No worker is in a loop.
static void publish(struct tempera_thread_pool *pool, uint64_t flags)
{
    uint64_t generation = atomic_load(&pool->state) & GENERATION;
    atomic_store(&pool->state, (generation + GENERATION_STEP) | flags);
    if (atomic_load(&pool->n_sleeping) > 0) {
        pthread_mutex_lock(&pool->sleep_mutex);
        pthread_cond_broadcast(&pool->loop_opened);
        pthread_mutex_unlock(&pool->sleep_mutex);
    }
}

// Lets no further worker in and waits for those inside.
static void close_loop(struct tempera_thread_pool *pool)
{
    atomic_fetch_and(&pool->state, ~OPEN);
    for (unsigned i = 0; i < pool->spin_limit; i++) {
        if ((atomic_load(&pool->state) & JOINED) == 0)
            return;
        relax_processor();
    }
    pthread_mutex_lock(&pool->sleep_mutex);
    while (atomic_load(&pool->state) & JOINED)
        pthread_cond_wait(&pool->workers_left, &pool->sleep_mutex);
    pthread_mutex_unlock(&pool->sleep_mutex);
}

static void pool_parallel_for(void *self, size_t n_tasks, tempera_task *task, void *context)
{
    struct tempera_thread_pool *pool = self;
    // A single task stays free to start a parallel loop.
    if (in_task || n_tasks <= 1 || is_inherited(pool)) {
        for (size_t i = 0; i < n_tasks; i++)
            task(context, i);
        return;
    }
    pthread_mutex_lock(&pool->loop_mutex);
    pool->n_tasks = n_tasks;
    pool->task = task;
    pool->context = context;
    atomic_store_explicit(&pool->next_index, 0, memory_order_relaxed);
    publish(pool, OPEN);
    in_task = true;
    run_tasks(pool);
    in_task = false;
    close_loop(pool);
    pthread_mutex_unlock(&pool->loop_mutex);
}

// ------------------------------------------------------------------------------------------------
// Opening and closing.

size_t tempera_processors(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (size_t)CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

// Workers start with all signals blocked, so that handlers run in the caller's own threads.
static bool start_workers(struct tempera_thread_pool *pool, size_t n_workers)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool->n_workers < n_workers &&
           pthread_create(&pool->workers[pool->n_workers], NULL, worker_main, pool) == 0)
        pool->n_workers++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pool->n_workers == n_workers;
}

enum tempera_status tempera_thread_pool_open(struct tempera_thread_pool **pool, size_t n_threads)
{
    if (!pool)
        return TEMPERA_INVALID_ARGUMENT;
    *pool = NULL;
    if (n_threads > MAX_THREADS)
        return TEMPERA_INVALID_ARGUMENT;
    pthread_once(&watch_once, watch_forks);
    if (!watches)
        return TEMPERA_OUT_OF_MEMORY;
    size_t n_processors = tempera_processors();
    if (n_threads == 0)
        n_threads = n_processors < MAX_THREADS ? n_processors : MAX_THREADS;

    struct tempera_thread_pool *new =
        malloc(sizeof *new + (n_threads - 1) * sizeof new->workers[0]);
    if (!new)
        return TEMPERA_OUT_OF_MEMORY;
    *new = (struct tempera_thread_pool){
        .executor = {pool_parallel_for, new, n_threads},
        // Where threads outnumber processors, one that spins keeps another from its work.
        .spin_limit = n_threads <= n_processors ? SPIN_LIMIT : 0,
        .n_forks = n_forks,
        .loop_mutex = PTHREAD_MUTEX_INITIALIZER,
        .sleep_mutex = PTHREAD_MUTEX_INITIALIZER,
        .loop_opened = PTHREAD_COND_INITIALIZER,
        .workers_left = PTHREAD_COND_INITIALIZER,
    };
    *pool = new;
    if (start_workers(new, n_threads - 1))
        return TEMPERA_OK;
    tempera_thread_pool_close(pool);
    return TEMPERA_NO_THREADS;
}

static void end_workers(struct tempera_thread_pool *old)
{
    publish(old, CLOSING);
    for (size_t i = 0; i < old->n_workers; i++)
        pthread_join(old->workers[i], NULL);
    pthread_cond_destroy(&old->workers_left);
    pthread_cond_destroy(&old->loop_opened);
    pthread_mutex_destroy(&old->sleep_mutex);
    pthread_mutex_destroy(&old->loop_mutex);
}

void tempera_thread_pool_close(struct tempera_thread_pool **pool)
{
    if (!pool || !*pool)
        return;
    struct tempera_thread_pool *old = *pool;
    *pool = NULL;
    if (!is_inherited(old))
        end_workers(old);
    free(old);
}

const struct tempera_executor *tempera_thread_pool_executor(const struct tempera_thread_pool *pool)
{
    return pool ? &pool->executor : NULL;
}
