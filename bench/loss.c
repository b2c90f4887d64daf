// SPDX-License-Identifier: MIT
// Cross-entropy over the logits of a language model: 512 rows of two vocabularies, out of cache.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/tempera.h>

#include "commands.h"
#include "timing.h"

enum { ROWS = 512, TURNS = 9 };

enum gradient { FORWARD, APART, IN_PLACE };

struct setting {
    const float *source; // the logits, kept
    struct tempera_matrix logits, d_logits;
    const int32_t *classes;
    const struct tempera_executor *executor;
    enum gradient gradient;
};

// In place, the last turn's gradient lies where the logits were.
static void restore(void *context)
{
    const struct setting *s = context;
    memcpy(s->logits.data, s->source, s->logits.rows * s->logits.cols * sizeof *s->source);
}

static void run_loss(void *context)
{
    const struct setting *s = context;
    double loss;
    struct tempera_targets targets = {.classes = s->classes};
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs, .loss = &loss};
    if (s->gradient != FORWARD)
        outputs.d_logits = s->gradient == IN_PLACE ? &s->logits : &s->d_logits;
    enum tempera_status status =
        tempera_cross_entropy(&s->logits, &targets, NULL, &outputs, s->executor);
    if (status != TEMPERA_OK) {
        fprintf(stderr, "tempera-bench: %s\n", tempera_status_text(status));
        exit(1);
    }
}

static void print_line(const struct bench_contestant *c, size_t cols, size_t n_threads,
                       double copy_seconds, bool json)
{
    double ns = c->seconds * 1e9 / (double)(ROWS * cols);
    if (json)
        printf("{\"benchmark\":\"loss\",\"what\":\"%s\",\"rows\":%d,\"cols\":%zu,\"threads\":%zu,"
               "\"ns_per_element\":%.4f,\"copies\":%.3f}\n",
               c->name, ROWS, cols, n_threads, ns, c->seconds / copy_seconds);
    else
        printf("%d x %-7zu %zu thread%s %-28s %7.3f ns an element, %5.2f copies\n", ROWS, cols,
               n_threads, n_threads == 1 ? " " : "s", c->name, ns, c->seconds / copy_seconds);
}

static void bench_shape(size_t cols, size_t n_threads, const struct tempera_executor *executor,
                        bool json)
{
    size_t n = ROWS * cols;
    float *source = bench_alloc(n, sizeof *source), *logits = bench_alloc(n, sizeof *logits);
    float *d_logits = bench_alloc(n, sizeof *d_logits);
    int32_t classes[ROWS];
    bench_fill(source, n, 3, 1);
    for (size_t r = 0; r < ROWS; r++)
        classes[r] = (int32_t)(r * 7919 % cols);
    struct bench_memory memory = {source, d_logits, n, executor, 0};
    struct setting forward = {source, tempera_matrix_f32(logits, ROWS, cols),
                              tempera_matrix_f32(d_logits, ROWS, cols), classes, executor, FORWARD};
    struct setting apart = forward, in_place = forward;
    apart.gradient = APART;
    in_place.gradient = IN_PLACE;
    struct bench_contestant contestants[] = {
        {.name = "copy", .run = bench_copy, .context = &memory},
        {.name = "read", .run = bench_read, .context = &memory},
        {.name = "forward", .prepare = restore, .run = run_loss, .context = &forward},
        {.name = "forward+backward apart", .prepare = restore, .run = run_loss, .context = &apart},
        {.name = "forward+backward in place",
         .prepare = restore,
         .run = run_loss,
         .context = &in_place},
    };
    const size_t n_contestants = sizeof contestants / sizeof *contestants;
    bench_take_turns(contestants, n_contestants, TURNS);
    for (size_t i = 0; i < n_contestants; i++)
        print_line(&contestants[i], cols, n_threads, contestants[0].seconds, json);
    free(source);
    free(logits);
    free(d_logits);
}

int bench_loss(bool json)
{
    static const size_t vocabularies[] = {50257, 128256};
    struct tempera_thread_pool *pool = NULL;
    if (tempera_thread_pool_open(&pool, 2) != TEMPERA_OK) {
        fprintf(stderr, "tempera-bench: no threads to be had\n");
        return 1;
    }
    for (size_t i = 0; i < sizeof vocabularies / sizeof *vocabularies; i++)
        for (size_t n_threads = 1; n_threads <= 2; n_threads++)
            bench_shape(vocabularies[i], n_threads,
                        n_threads == 2 ? tempera_thread_pool_executor(pool) : NULL, json);
    tempera_thread_pool_close(&pool);
    return 0;
}
