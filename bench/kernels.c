// SPDX-License-Identifier: MIT
// Every operation of the score path on every instruction set, on one thread and on two, beside
// reading and copying the same memory.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/tempera.h>

#include "commands.h"
#include "operations.h"
#include "timing.h"

enum { TURNS = 15, N_THREADS = 2, MOST_ISAS = 4 }; // of one processor
enum { MOST = 2 + N_OPERATIONS * MOST_ISAS * N_THREADS };

// A contestant: an operation on an instruction set.
struct setting {
    const struct operation *operation;
    enum tempera_isa isa;
    size_t n_threads;
    struct operation_inputs in;
    float *out;
};

static void choose_isa(void *context)
{
    const struct setting *s = context;
    tempera_cpu_set_mask(s->isa);
}

static void run_operation(void *context)
{
    const struct setting *s = context;
    size_t n_out;
    enum tempera_status status = s->operation->run(&s->in, s->out, &n_out);
    if (status != TEMPERA_OK) {
        fprintf(stderr, "tempera-bench: %s: %s\n", s->operation->name, tempera_status_text(status));
        exit(1);
    }
}

static void print_line(const struct bench_contestant *c, const char *isa, size_t n_threads,
                       const struct operation_inputs *in, double copy_seconds, bool json)
{
    double to_ns = 1e9 / (double)(in->rows * in->n);
    if (json)
        printf("{\"benchmark\":\"kernels\",\"what\":\"%s\",\"isa\":\"%s\",\"rows\":%zu,"
               "\"cols\":%zu,\"threads\":%zu,\"ns_per_element\":%.4f,\"copies\":%.3f}\n",
               c->name, isa, in->rows, in->n, n_threads, c->seconds * to_ns,
               c->seconds / copy_seconds);
    else
        printf("%4zu x %-7zu %zu thread%s %-18s %-7s %8.3f ns an element, %6.1f copies\n", in->rows,
               in->n, n_threads, n_threads == 1 ? " " : "s", c->name, isa, c->seconds * to_ns,
               c->seconds / copy_seconds);
}

static void bench_shape(size_t rows, size_t cols, const struct tempera_executor *executor,
                        bool json)
{
    size_t n = rows * cols;
    float *z = bench_alloc(n, sizeof *z), *other = bench_alloc(n, sizeof *other);
    float *out = bench_alloc(n + 1, sizeof *out);
    uint16_t *halves = bench_alloc(n, sizeof *halves);
    bench_fill(z, n, 3.5, 1);
    bench_fill(other, n, 1, 2);
    for (size_t i = 0; i < n; i++) { // the upper half of a small float: a number of either type
        float small = z[i] / 8;
        uint32_t bits;
        memcpy(&bits, &small, sizeof bits);
        halves[i] = (uint16_t)(bits >> 16);
    }
    struct operation_inputs in = {z, other, halves, rows, cols, cols, 1, NULL};
    struct bench_memory ceiling = {z, out, n, NULL, 0};
    size_t repeats = 1 + 1000000 / (n + 500), n_settings = 0; // turns of a millisecond or so
    struct setting settings[MOST];
    struct bench_contestant contestants[MOST] = {
        {.name = "copy", .run = bench_copy, .context = &ceiling, .repeats = repeats},
        {.name = "read", .run = bench_read, .context = &ceiling, .repeats = repeats},
    };
    const uint32_t usable = tempera_cpu_detected() & tempera_cpu_compiled();
    for (size_t o = 0; o < N_OPERATIONS; o++)
        for (uint32_t isa = 1; isa <= usable; isa *= 2)
            for (size_t n_threads = 1; n_threads <= N_THREADS && n_settings < MOST - 2;
                 n_threads++) {
                if ((usable & isa) == 0)
                    continue;
                struct setting *s = &settings[n_settings];
                *s = (struct setting){&operations[o], (enum tempera_isa)isa, n_threads, in, out};
                s->in.executor = n_threads == 1 ? NULL : executor;
                contestants[2 + n_settings++] =
                    (struct bench_contestant){.name = operations[o].name,
                                              .prepare = choose_isa,
                                              .run = run_operation,
                                              .context = s,
                                              .repeats = repeats};
            }
    bench_take_turns(contestants, 2 + n_settings, TURNS);
    for (size_t i = 0; i < 2; i++)
        print_line(&contestants[i], "-", 1, &in, contestants[0].seconds, json);
    for (size_t i = 0; i < n_settings; i++)
        print_line(&contestants[2 + i], tempera_isa_name(settings[i].isa), settings[i].n_threads,
                   &in, contestants[0].seconds, json);
    free(z);
    free(other);
    free(out);
    free(halves);
}

int bench_kernels(bool json)
{
    static const size_t shapes[][2] = {{1, 128256}, {1, 1024}, {16, 1024}, {16, 64}, {16, 4096}};
    struct tempera_thread_pool *pool = NULL;
    if (tempera_thread_pool_open(&pool, N_THREADS) != TEMPERA_OK)
        return 1;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        bench_shape(shapes[s][0], shapes[s][1], tempera_thread_pool_executor(pool), json);
    tempera_thread_pool_close(&pool);
    return 0;
}
