// SPDX-License-Identifier: MIT
#include "timing.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_doubles);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static double time_turn(const struct bench_contestant *c)
{
    size_t repeats = c->repeats > 0 ? c->repeats : 1;
    if (c->prepare != NULL)
        c->prepare(c->context);
    double start = bench_now();
    for (size_t i = 0; i < repeats; i++)
        c->run(c->context);
    return (bench_now() - start) / (double)repeats;
}

void bench_take_turns(struct bench_contestant *contestants, size_t n, size_t n_turns)
{
    double *times = bench_alloc(n * BENCH_MOST_TURNS, sizeof *times);
    n_turns = n_turns < BENCH_MOST_TURNS ? n_turns : BENCH_MOST_TURNS;
    for (size_t i = 0; i < n; i++)
        time_turn(&contestants[i]);
    for (size_t turn = 0; turn < n_turns; turn++)
        for (size_t i = 0; i < n; i++)
            times[i * BENCH_MOST_TURNS + turn] = time_turn(&contestants[i]);
    for (size_t i = 0; i < n; i++)
        contestants[i].seconds = bench_median(times + i * BENCH_MOST_TURNS, n_turns);
    free(times);
}

// ------------------------------------------------------------------------------------------------
// Ceilings

enum { PIECE = 16384 }; // floats of a task

static size_t piece_of(const struct bench_memory *memory, size_t index)
{
    size_t left = memory->n - index * PIECE;
    return left < PIECE ? left : PIECE;
}

static void copy_piece(void *context, size_t index)
{
    const struct bench_memory *memory = context;
    memcpy(memory->to + index * PIECE, memory->from + index * PIECE,
           piece_of(memory, index) * sizeof *memory->to);
}

static void read_piece(void *context, size_t index)
{
    struct bench_memory *memory = context;
    const float *from = memory->from + index * PIECE;
    size_t n = piece_of(memory, index);
    uint32_t all[32] = {0}, words[32], any = 0;
    for (size_t i = 0; i + 32 <= n; i += 32) {
        memcpy(words, from + i, sizeof words);
        for (size_t lane = 0; lane < 32; lane++)
            all[lane] |= words[lane];
    }
    for (size_t lane = 0; lane < 32; lane++)
        any |= all[lane];
    if (any == 0) // never so, and the compiler can't know it
        memory->seen = 1;
}

void bench_copy(void *context)
{
    struct bench_memory *memory = context;
    tempera_parallel_for(memory->executor, (memory->n + PIECE - 1) / PIECE, copy_piece, memory);
}

void bench_read(void *context)
{
    struct bench_memory *memory = context;
    tempera_parallel_for(memory->executor, (memory->n + PIECE - 1) / PIECE, read_piece, memory);
}

// ------------------------------------------------------------------------------------------------
// Memory

void *bench_alloc(size_t count, size_t nbytes)
{
    const size_t line = 64; // aligned_alloc takes whole lines only
    void *memory = NULL;
    if (count <= (SIZE_MAX - line) / nbytes)
        memory = aligned_alloc(line, (count * nbytes + line - 1) / line * line);
    if (memory == NULL) {
        fprintf(stderr, "tempera-bench: no memory for %zu times %zu bytes\n", count, nbytes);
        exit(1);
    }
    return memset(memory, 0, count * nbytes);
}

size_t bench_peak_memory(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss * 1024 : 0;
}

static double next_uniform(uint64_t *state) // in (0, 1)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(*state >> 33) + 0.5) * 0x1p-31;
}

void bench_fill(float *values, size_t n, double spread, unsigned long long seed)
{
    const double two_pi = 6.283185307179586;
    uint64_t state = seed;
    for (size_t i = 0; i < n; i++) { // Box and Muller 1958
        double radius = sqrt(-2 * log(next_uniform(&state)));
        values[i] = (float)(spread * radius * cos(two_pi * next_uniform(&state)));
    }
}

void bench_fill_peaked(float *values, size_t n, unsigned long long seed)
{
    bench_fill(values, n, 2.5, seed);
    for (size_t i = 0; i < 200; i++)
        values[i * 7919 % n] = 22 - 2.5f * logf((float)(1 + i));
}
