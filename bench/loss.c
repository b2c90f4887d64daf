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

// A contestant: which gradient, of which type, with which options.
static const struct variant {
    const char *name;
    enum gradient gradient;
    enum tempera_dtype dtype;
    float smoothing, z_loss, softcap;
    bool weighted;
} variants[] = {
    {"forward", .gradient = FORWARD},
    {"forward+backward apart", .gradient = APART},
    {"forward+backward in place", .gradient = IN_PLACE},
    {"in place, smoothing", .gradient = IN_PLACE, .smoothing = 0.1f},
    {"in place, smoothing, weights", .gradient = IN_PLACE, .smoothing = 0.1f, .weighted = true},
    {"in place, z-loss", .gradient = IN_PLACE, .z_loss = 1e-4f},
    {"in place, softcap", .gradient = IN_PLACE, .softcap = 30},
    {"forward, bf16", .gradient = FORWARD, .dtype = TEMPERA_BF16},
    {"in place, bf16", .gradient = IN_PLACE, .dtype = TEMPERA_BF16},
};

enum { N_VARIANTS = sizeof variants / sizeof *variants };

// The memory of one shape; every contestant's logits lie in the same place.
struct memory {
    size_t cols;
    float *source, *logits, *d_logits, *weights;
    int32_t classes[ROWS];
    const struct tempera_executor *executor;
};

struct setting {
    const struct variant *variant;
    const struct memory *memory;
};

static struct tempera_matrix matrix_of(const struct setting *s, void *data)
{
    return (struct tempera_matrix){data, s->variant->dtype, ROWS, s->memory->cols, s->memory->cols};
}

// In place, the last turn's gradient lies where the logits were. The upper halves of floats are
// bf16 numbers, and as good as any.
static void restore(void *context)
{
    const struct setting *s = context;
    const struct memory *m = s->memory;
    if (s->variant->dtype == TEMPERA_F32) {
        memcpy(m->logits, m->source, ROWS * m->cols * sizeof *m->source);
        return;
    }
    uint16_t *to = (uint16_t *)(void *)m->logits;
    for (size_t i = 0; i < ROWS * m->cols; i++) {
        uint32_t bits;
        memcpy(&bits, &m->source[i], sizeof bits);
        to[i] = (uint16_t)(bits >> 16);
    }
}

static void run_loss(void *context)
{
    const struct setting *s = context;
    const struct variant *v = s->variant;
    double loss;
    struct tempera_matrix logits = matrix_of(s, s->memory->logits);
    struct tempera_matrix apart = matrix_of(s, s->memory->d_logits);
    struct tempera_targets targets = {.classes = s->memory->classes};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs, .loss = &loss};
    options.label_smoothing = v->smoothing;
    options.z_loss = v->z_loss;
    options.softcap = v->softcap;
    options.class_weights = v->weighted ? s->memory->weights : NULL;
    if (v->gradient != FORWARD)
        outputs.d_logits = v->gradient == IN_PLACE ? &logits : &apart;
    enum tempera_status status =
        tempera_cross_entropy(&logits, &targets, &options, &outputs, s->memory->executor);
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
        printf("%d x %-7zu %zu thread%s %-30s %7.3f ns an element, %5.2f copies\n", ROWS, cols,
               n_threads, n_threads == 1 ? " " : "s", c->name, ns, c->seconds / copy_seconds);
}

// How much more memory the process needs for a first call in place than before it.
static void print_memory(const struct memory *m, bool json)
{
    struct setting in_place = {&variants[2], m};
    restore(&in_place);
    size_t before = bench_peak_memory();
    run_loss(&in_place);
    size_t extra = bench_peak_memory() - before;
    if (json)
        printf("{\"benchmark\":\"loss\",\"what\":\"memory beyond the logits\",\"rows\":%d,"
               "\"cols\":%zu,\"threads\":1,\"nbytes\":%zu}\n",
               ROWS, m->cols, extra);
    else
        printf("%d x %-7zu 1 thread  memory beyond the logits %14zu bytes\n", ROWS, m->cols, extra);
}

static void bench_shape(size_t cols, size_t n_threads, const struct tempera_executor *executor,
                        bool json)
{
    size_t n = ROWS * cols;
    struct memory m = {.cols = cols,
                       .source = bench_alloc(n, sizeof(float)),
                       .logits = bench_alloc(n, sizeof(float)),
                       .d_logits = bench_alloc(n, sizeof(float)),
                       .weights = bench_alloc(cols, sizeof(float)),
                       .executor = executor};
    bench_fill(m.source, n, 3, 1);
    for (size_t i = 0; i < cols; i++)
        m.weights[i] = 0.5f + (float)(i % 4) * 0.25f;
    for (size_t r = 0; r < ROWS; r++)
        m.classes[r] = (int32_t)(r * 7919 % cols);
    if (n_threads == 1) // the peak of a later shape may lie below that of an earlier one
        print_memory(&m, json);
    struct bench_memory ceiling = {m.source, m.d_logits, n, executor, 0};
    struct setting settings[N_VARIANTS];
    struct bench_contestant contestants[N_VARIANTS + 2] = {
        {.name = "copy", .run = bench_copy, .context = &ceiling},
        {.name = "read", .run = bench_read, .context = &ceiling},
    };
    for (size_t i = 0; i < N_VARIANTS; i++) {
        settings[i] = (struct setting){&variants[i], &m};
        contestants[i + 2] = (struct bench_contestant){
            .name = variants[i].name, .prepare = restore, .run = run_loss, .context = &settings[i]};
    }
    bench_take_turns(contestants, N_VARIANTS + 2, TURNS);
    for (size_t i = 0; i < N_VARIANTS + 2; i++)
        print_line(&contestants[i], cols, n_threads, contestants[0].seconds, json);
    free(m.source);
    free(m.logits);
    free(m.d_logits);
    free(m.weights);
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
