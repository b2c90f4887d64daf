// SPDX-License-Identifier: MIT
// The last layer of a language model and its loss: 512 rows of 768 numbers, 50257 classes, against
// the three matrix products alone.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <tempera/model.h>
#include <tempera/tempera.h>

#include "commands.h"
#include "timing.h"

enum { ROWS = 512, DIM = 768, VOCAB = 50257, TURNS = 7, N_SETTINGS = 3 };

static const size_t most_nbytes[N_SETTINGS] = {14500000, 32000000, 64000000};

struct layer {
    float *hidden, *head, *logits, *d_hidden, *d_head;
    void *scratch;
    int32_t classes[ROWS];
    const struct tempera_executor *executor;
};

static void multiply(const struct tempera_matmul *product, const struct tempera_executor *executor)
{
    if (tempera_model_matmul(NULL, product, executor) != TEMPERA_OK)
        exit(1);
}

// Logits of all rows, and both gradients as if these were theirs.
static void run_products(void *context)
{
    const struct layer *l = context;
    const struct tempera_matmul logits = {.M = ROWS,
                                          .N = VOCAB,
                                          .K = DIM,
                                          .a = l->hidden,
                                          .b = l->head,
                                          .c = l->logits,
                                          .a_stride = DIM,
                                          .b_stride = DIM,
                                          .c_stride = VOCAB,
                                          .b_transposed = true};
    const struct tempera_matmul d_head = {.M = VOCAB,
                                          .N = DIM,
                                          .K = ROWS,
                                          .a = l->logits,
                                          .b = l->hidden,
                                          .c = l->d_head,
                                          .a_stride = VOCAB,
                                          .b_stride = DIM,
                                          .c_stride = DIM,
                                          .a_transposed = true,
                                          .accumulate = true};
    const struct tempera_matmul d_hidden = {.M = ROWS,
                                            .N = DIM,
                                            .K = VOCAB,
                                            .a = l->logits,
                                            .b = l->head,
                                            .c = l->d_hidden,
                                            .a_stride = VOCAB,
                                            .b_stride = DIM,
                                            .c_stride = DIM};
    multiply(&logits, l->executor);
    multiply(&d_head, l->executor);
    multiply(&d_hidden, l->executor);
}

// How much memory for logits a contestant has.
struct setting {
    struct layer *layer;
    size_t scratch_nbytes;
};

static void run_fused(void *context)
{
    const struct setting *s = context;
    struct layer *l = s->layer;
    double loss;
    struct tempera_matrix hidden = tempera_matrix_f32(l->hidden, ROWS, DIM);
    struct tempera_matrix head = tempera_matrix_f32(l->head, VOCAB, DIM);
    struct tempera_matrix d_hidden = tempera_matrix_f32(l->d_hidden, ROWS, DIM);
    struct tempera_matrix d_head = tempera_matrix_f32(l->d_head, VOCAB, DIM);
    const struct tempera_linear_head linear = {.struct_size = sizeof linear,
                                               .hidden = &hidden,
                                               .head = &head,
                                               .d_hidden = &d_hidden,
                                               .d_head = &d_head,
                                               .matmul = tempera_model_matmul};
    const struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs,
                                                          .loss = &loss};
    if (tempera_linear_cross_entropy(&linear, l->classes, NULL, &outputs, l->scratch,
                                     s->scratch_nbytes, l->executor) != TEMPERA_OK)
        exit(1);
}

static void print_line(const struct bench_contestant *c, size_t n_threads, double products_seconds,
                       bool json)
{
    double ms = c->seconds * 1e3;
    if (json)
        printf("{\"benchmark\":\"linear-loss\",\"what\":\"%s\",\"rows\":%d,\"dim\":%d,"
               "\"cols\":%d,\"threads\":%zu,\"ms\":%.2f,\"products\":%.3f}\n",
               c->name, ROWS, DIM, VOCAB, n_threads, ms, c->seconds / products_seconds);
    else
        printf("%d x %d x %d %zu thread%s %-20s %8.1f ms, %5.3f times the products\n", ROWS, DIM,
               VOCAB, n_threads, n_threads == 1 ? " " : "s", c->name, ms,
               c->seconds / products_seconds);
}

// How much more memory the process needs for a first call than before it. The product's library
// takes buffers of its own with its first product.
static void print_memory(struct layer *l, bool json)
{
    struct setting least = {l, tempera_linear_cross_entropy_scratch_nbytes(ROWS, VOCAB, 0)};
    const struct tempera_matmul small = {.M = 64,
                                         .N = 64,
                                         .K = DIM,
                                         .a = l->hidden,
                                         .b = l->head,
                                         .c = l->d_hidden,
                                         .a_stride = DIM,
                                         .b_stride = DIM,
                                         .c_stride = DIM,
                                         .b_transposed = true};
    multiply(&small, NULL);
    size_t before = bench_peak_memory();
    l->scratch = bench_alloc(least.scratch_nbytes, 1);
    run_fused(&least);
    size_t extra = bench_peak_memory() - before;
    if (json)
        printf("{\"benchmark\":\"linear-loss\",\"what\":\"memory beyond inputs and gradients\","
               "\"nbytes\":%zu}\n",
               extra);
    else
        printf("memory beyond inputs and gradients: %zu bytes\n", extra);
    free(l->scratch);
}

int bench_linear_loss(bool json)
{
    static struct layer l;
    struct tempera_thread_pool *pool = NULL;
    if (tempera_thread_pool_open(&pool, 2) != TEMPERA_OK) {
        fprintf(stderr, "tempera-bench: no threads to be had\n");
        return 1;
    }
    l.hidden = bench_alloc((size_t)ROWS * DIM, sizeof(float));
    l.head = bench_alloc((size_t)VOCAB * DIM, sizeof(float));
    l.d_hidden = bench_alloc((size_t)ROWS * DIM, sizeof(float));
    l.d_head = bench_alloc((size_t)VOCAB * DIM, sizeof(float));
    bench_fill(l.hidden, (size_t)ROWS * DIM, 1, 1);
    bench_fill(l.head, (size_t)VOCAB * DIM, 0.1, 2);
    for (size_t r = 0; r < ROWS; r++)
        l.classes[r] = (int32_t)(r * 7919 % VOCAB);
    print_memory(&l, json);
    struct setting settings[N_SETTINGS];
    for (size_t i = 0; i < N_SETTINGS; i++)
        settings[i] = (struct setting){
            &l, tempera_linear_cross_entropy_scratch_nbytes(ROWS, VOCAB, most_nbytes[i])};
    l.scratch = bench_alloc(settings[N_SETTINGS - 1].scratch_nbytes, 1);
    l.logits = bench_alloc((size_t)ROWS * VOCAB, sizeof(float));
    for (size_t n_threads = 1; n_threads <= 2; n_threads++) {
        l.executor = n_threads == 2 ? tempera_thread_pool_executor(pool) : NULL;
        struct bench_contestant contestants[] = {
            {.name = "three products", .run = run_products, .context = &l},
            {.name = "fused, 14.5 MB", .run = run_fused, .context = &settings[0]},
            {.name = "fused, 32 MB", .run = run_fused, .context = &settings[1]},
            {.name = "fused, 64 MB", .run = run_fused, .context = &settings[2]},
        };
        bench_take_turns(contestants, N_SETTINGS + 1, TURNS);
        for (size_t i = 0; i < N_SETTINGS + 1; i++)
            print_line(&contestants[i], n_threads, contestants[0].seconds, json);
    }
    tempera_thread_pool_close(&pool);
    free(l.hidden);
    free(l.head);
    free(l.d_hidden);
    free(l.d_head);
    free(l.scratch);
    free(l.logits);
    return 0;
}
