// SPDX-License-Identifier: MIT
// What every benchmark here shares: contestants that take turns, medians, and the machine's own
// ceilings, which are contestants like any other, measured in the same turns.
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

#include <stdbool.h>
#include <stddef.h>

#include <tempera/parallel.h>

typedef void bench_function(void *context);

struct bench_contestant {
    const char *name;
    bench_function *prepare; // before each turn, not timed; NULL: nothing
    bench_function *run;
    void *context;
    size_t repeats; // calls a turn, for what takes microseconds; 0 counts as 1
    double seconds; // result: the median over the turns, of one call
};

// Seconds since some moment.
double bench_now(void);

// The values are sorted.
double bench_median(double *values, size_t n);

// One turn that isn't counted, then n_turns, at most BENCH_MOST_TURNS; all contestants in each.
enum { BENCH_MOST_TURNS = 99 };
void bench_take_turns(struct bench_contestant *contestants, size_t n, size_t n_turns);

// The ceilings: reading n floats, copying them, on the executor's threads. The context of both.
struct bench_memory {
    const float *from;
    float *to;
    size_t n;
    const struct tempera_executor *executor;
    float seen; // so that reading isn't optimised away
};

void bench_read(void *memory);
void bench_copy(void *memory);

// `count` objects of `nbytes`, aligned to 64 bytes and written to once, so that no page is new to a
// benchmark. Ends the program where there is no memory.
void *bench_alloc(size_t count, size_t nbytes);

// The most memory that the process has held so far, in bytes.
size_t bench_peak_memory(void);

// Normal numbers times spread, from a seed.
void bench_fill(float *values, size_t n, double spread, unsigned long long seed);

// Scores as a trained model gives them: 200 likely tokens, scattered, above a wide body.
void bench_fill_peaked(float *values, size_t n, unsigned long long seed);

#endif
