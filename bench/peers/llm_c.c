// SPDX-License-Identifier: MIT
// The cross-entropy of llm.c, whose own file is compiled into this program: a line of JSON for each
// size and number of threads, as tempera-bench loss prints them.
#define TESTING // leaves out its main
#include "train_gpt2.c"

#include <omp.h>

#include "timing.h"

enum { ROWS = 512, TURNS = 9 };

struct job {
    int cols, padded; // it wants multiples of 128
    float *logits, *probs, *losses, *d_losses, *d_logits;
    int *targets;
};

static void run_forward(void *context)
{
    struct job *j = context;
    softmax_forward(j->probs, j->logits, 1, ROWS, j->cols, j->padded);
    crossentropy_forward(j->losses, j->probs, j->targets, 1, ROWS, j->padded);
}

static void run_both(void *context)
{
    struct job *j = context;
    run_forward(j);
    crossentropy_softmax_backward(j->d_logits, j->d_losses, j->probs, j->targets, 1, ROWS, j->cols,
                                  j->padded);
}

// It adds to the gradient.
static void clear_gradient(void *context)
{
    struct job *j = context;
    memset(j->d_logits, 0, sizeof(float) * ROWS * (size_t)j->padded);
}

static void measure(int cols, int n_threads)
{
    size_t padded = ((size_t)cols + 127) / 128 * 128, n = ROWS * padded;
    struct job job = {.cols = cols, .padded = (int)padded};
    job.logits = bench_alloc(n, sizeof(float));
    job.probs = bench_alloc(n, sizeof(float));
    job.d_logits = bench_alloc(n, sizeof(float));
    job.losses = bench_alloc(ROWS, sizeof(float));
    job.d_losses = bench_alloc(ROWS, sizeof(float));
    job.targets = bench_alloc(ROWS, sizeof(int));
    bench_fill(job.logits, n, 3, 1);
    for (int r = 0; r < ROWS; r++) {
        job.d_losses[r] = 1.0f / ROWS;
        job.targets[r] = r * 7919 % cols;
    }
    omp_set_num_threads(n_threads);
    struct bench_contestant all[] = {
        {.name = "forward", .run = run_forward, .context = &job},
        {.name = "forward+backward", .run = run_both, .prepare = clear_gradient, .context = &job},
    };
    bench_take_turns(all, 2, TURNS);
    for (int i = 0; i < 2; i++)
        printf("{\"what\":\"%s\",\"rows\":%d,\"cols\":%d,\"threads\":%d,\"ns_per_element\":%.4f}\n",
               all[i].name, ROWS, cols, n_threads, all[i].seconds / ROWS / cols * 1e9);
    free(job.logits);
    free(job.probs);
    free(job.d_logits);
    free(job.losses);
    free(job.d_losses);
    free(job.targets);
}

int main(void)
{
    for (int n_threads = 1; n_threads <= 2; n_threads++) {
        measure(50257, n_threads);
        measure(128256, n_threads);
    }
    return 0;
}
