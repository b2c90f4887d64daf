// SPDX-License-Identifier: MIT
// The matrix products of a training and of a text, on one thread and on two.
#include <stdio.h>
#include <stdlib.h>

#include <tempera/model.h>
#include <tempera/tempera.h>

#include "commands.h"
#include "timing.h"

enum { TURNS = 15, MOST = 2048 * 1024 };

static const struct shape {
    const char *what;
    size_t M, N, K;
    bool a_transposed, b_transposed, accumulate;
} shapes[] = {
    {"y = x W^T", 2048, 384, 384, .b_transposed = true},
    {"y = x W^T", 2048, 1024, 384, .b_transposed = true},
    {"y = x W^T", 1024, 1024, 1024, .b_transposed = true},
    {"dx = dy W", 2048, 384, 1024, false, false, false},
    {"dW += dy^T x", 384, 384, 2048, .a_transposed = true, .accumulate = true},
    {"dW += dy^T x", 1024, 384, 2048, .a_transposed = true, .accumulate = true},
    {"q k^T of one head", 256, 256, 64, .b_transposed = true},
    {"one token", 1, 1024, 1024, .b_transposed = true},
    {"few: y = x W^T", 16, 2048, 1024, .b_transposed = true},
    {"few: y = x W^T", 64, 2048, 1024, .b_transposed = true},
    {"few: dx = dy W", 64, 512, 4096, false, false, false},
};

struct setting {
    struct tempera_matmul product;
    const struct tempera_executor *executor;
};

static void multiply(void *context)
{
    const struct setting *s = context;
    enum tempera_status status = tempera_model_matmul(NULL, &s->product, s->executor);
    if (status != TEMPERA_OK) {
        fprintf(stderr, "tempera-bench: %s\n", tempera_status_text(status));
        exit(1);
    }
}

static void print_line(const struct shape *shape, const struct bench_contestant *both, bool json)
{
    double flop = 2 * (double)(shape->M * shape->N * shape->K);
    double one = flop / both[0].seconds * 1e-9, two = flop / both[1].seconds * 1e-9;
    if (json)
        printf("{\"benchmark\":\"matmul\",\"what\":\"%s\",\"M\":%zu,\"N\":%zu,\"K\":%zu,"
               "\"gflops_1_thread\":%.1f,\"gflops_2_threads\":%.1f}\n",
               shape->what, shape->M, shape->N, shape->K, one, two);
    else
        printf("%-17s %4zu x %4zu x %4zu   1 thread %6.0f GFLOP/s   2 threads %6.0f GFLOP/s\n",
               shape->what, shape->M, shape->N, shape->K, one, two);
}

int bench_matmul(bool json)
{
    struct tempera_thread_pool *pool = NULL;
    if (tempera_thread_pool_open(&pool, 2) != TEMPERA_OK)
        return 1;
    float *a = bench_alloc(MOST, sizeof *a), *b = bench_alloc(MOST, sizeof *b);
    float *c = bench_alloc(MOST, sizeof *c);
    bench_fill(a, MOST, 1, 1);
    bench_fill(b, MOST, 1, 2);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *shape = &shapes[i];
        const struct tempera_matmul product = {
            .M = shape->M,
            .N = shape->N,
            .K = shape->K,
            .a = a,
            .b = b,
            .c = c,
            .a_stride = shape->a_transposed ? shape->M : shape->K,
            .b_stride = shape->b_transposed ? shape->K : shape->N,
            .c_stride = shape->N,
            .a_transposed = shape->a_transposed,
            .b_transposed = shape->b_transposed,
            .accumulate = shape->accumulate};
        struct setting settings[] = {{product, NULL},
                                     {product, tempera_thread_pool_executor(pool)}};
        struct bench_contestant both[] = {{.run = multiply, .context = &settings[0]},
                                          {.run = multiply, .context = &settings[1]}};
        bench_take_turns(both, 2, TURNS);
        print_line(shape, both, json);
    }
    free(a);
    free(b);
    free(c);
    tempera_thread_pool_close(&pool);
    return 0;
}
