// SPDX-License-Identifier: MIT
// One token from one row of 128256 scores that lies in a cache, on one thread: the chains that
// people use, on ordinary rows and on rows made to be slow.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/tempera.h>

#include "commands.h"
#include "timing.h"

enum { VOCAB = 128256, TURNS = 31, REPEATS = 40, WINDOW = 64, MOST_STAGES = 5 };

// Each draw's row begins a few scores later than the one's before, so that no processor learns a
// row by heart.
enum { STEP = 16, SHIFTS = 64, ROOM = VOCAB + STEP * SHIFTS };

// ------------------------------------------------------------------------------------------------
// Rows

static void fill_normal(float *z)
{
    bench_fill(z, ROOM, 3, 1);
}

static void fill_peaked(float *z)
{
    bench_fill_peaked(z, ROOM, 2);
}

static void fill_equal(float *z)
{
    for (size_t i = 0; i < ROOM; i++)
        z[i] = 1;
}

static void fill_two_values(float *z)
{
    for (size_t i = 0; i < ROOM; i++)
        z[i] = i * 2654435761u % 16 == 0 ? 3 : 1;
}

static void fill_sorted(float *z)
{
    for (size_t i = 0; i < ROOM; i++)
        z[i] = 12 - (float)i * (24.0f / VOCAB);
}

static void fill_geometric(float *z)
{
    for (size_t i = 0; i < ROOM; i++)
        z[i] = 10 * expf(-(float)i / 8192);
}

// Neighbours far apart: every power of two has its scores.
static void fill_scattered(float *z)
{
    for (size_t i = 0; i < ROOM; i++)
        z[i] = ldexpf(1 + (float)(i % 997) / 997, (int)(i * 40503u % 24) - 20) * (i % 2 ? 1 : -1);
}

static const struct row_kind {
    const char *name;
    void (*fill)(float *z);
} rows[] = {
    {"normal", fill_normal},         {"peaked", fill_peaked}, {"equal", fill_equal},
    {"two values", fill_two_values}, {"sorted", fill_sorted}, {"geometric", fill_geometric},
    {"scattered", fill_scattered},
};

enum { N_ROWS = sizeof rows / sizeof *rows };

// ------------------------------------------------------------------------------------------------
// Chains

struct chain {
    const char *name;
    struct tempera_stage stages[MOST_STAGES];
    size_t n_stages;
};

#define CHAIN(name, ...)                                                                           \
    {                                                                                              \
        name, {__VA_ARGS__},                                                                       \
            sizeof((struct tempera_stage[]){__VA_ARGS__}) / sizeof(struct tempera_stage)           \
    }

enum { N_CHAINS = 9 };

static size_t fill_chains(struct chain *chains)
{
    const struct tempera_stage cool = tempera_stage_temperature(0.8f);
    const struct chain all[] = {
        CHAIN("greedy", tempera_stage_temperature(0)),
        CHAIN("default", tempera_stage_top_k(40), tempera_stage_top_p(0.95f),
              tempera_stage_min_p(0.05f), cool),
        CHAIN("default-penalties", tempera_stage_penalties(1.1f, 0.1f, 0.1f, WINDOW),
              tempera_stage_top_k(40), tempera_stage_top_p(0.95f), tempera_stage_min_p(0.05f),
              cool),
        CHAIN("temperature", cool),
        CHAIN("min-p", tempera_stage_min_p(0.05f), cool),
        CHAIN("top-p", tempera_stage_top_p(0.95f), cool),
        CHAIN("typical", tempera_stage_typical(0.95f), cool),
        CHAIN("top-n-sigma", tempera_stage_top_n_sigma(1), cool),
        CHAIN("mirostat-2", cool, tempera_stage_mirostat_2(5, 0.1f)),
    };
    size_t n = sizeof all / sizeof *all;
    for (size_t i = 0; i < n; i++)
        chains[i] = all[i];
    return n;
}

// ------------------------------------------------------------------------------------------------
// Running

// What all contestants share, and one of them.
struct memory {
    float *z, *zeros;
    void *scratch;
    size_t scratch_nbytes;
    struct tempera_matrix logits;
};

struct setting {
    const struct memory *memory;
    struct tempera_sampler sampler;
    struct tempera_sampler_state *state;
    uint64_t seed;
};

static void or_end(enum tempera_status status)
{
    if (status == TEMPERA_OK)
        return;
    fprintf(stderr, "tempera-bench: %s\n", tempera_status_text(status));
    exit(1);
}

static void run_chain(void *context)
{
    struct setting *s = context;
    struct tempera_sample_result result;
    struct tempera_sample_row row = {.sampler = &s->sampler, .state = s->state, .seed = s->seed++};
    const float *z = s->memory->z + STEP * (s->seed % SHIFTS);
    const struct tempera_matrix logits = tempera_matrix_const_f32(z, 1, VOCAB);
    or_end(tempera_sample(&logits, &row, &result, s->memory->scratch, s->memory->scratch_nbytes,
                          NULL));
}

// libc reads with the widest loads there are. Of zeros, so that it never finds the 1.
static void run_reading(void *context)
{
    const struct memory *m = context;
    if (memchr(m->zeros, 1, VOCAB * sizeof *m->zeros) != NULL)
        abort();
}

// One pass for the maximum and one for the sum of exponentials.
static void run_logsumexp(void *context)
{
    const struct memory *m = context;
    float lse;
    or_end(tempera_logsumexp(&m->logits, NULL, &lse, NULL, NULL));
}

// The last tokens that were drawn: some likely ones, most of them not.
static struct tempera_sampler_state *new_state(const struct tempera_sampler *sampler)
{
    size_t nbytes = tempera_sampler_state_nbytes(sampler);
    struct tempera_sampler_state *state = bench_alloc(1, nbytes);
    or_end(tempera_sampler_state_init(state, nbytes, sampler));
    for (int32_t i = 0; i < WINDOW; i++)
        or_end(tempera_sampler_accept(state, i * 7919 % VOCAB, NULL));
    return state;
}

static void print_line(const char *row, const struct bench_contestant *c, double read_seconds,
                       bool json)
{
    if (json)
        printf("{\"benchmark\":\"sampler\",\"chain\":\"%s\",\"logits\":\"%s\",\"vocab\":%d,"
               "\"ns\":%.0f,\"reads\":%.2f}\n",
               c->name, row, VOCAB, c->seconds * 1e9, c->seconds / read_seconds);
    else
        printf("%-10s %-18s %8.2f us, %6.2f times reading the row\n", row, c->name,
               c->seconds * 1e6, c->seconds / read_seconds);
}

static void run_row(struct memory *m, const struct row_kind *kind, bool json)
{
    struct chain chains[N_CHAINS];
    struct setting settings[N_CHAINS];
    struct bench_contestant all[N_CHAINS + 2] = {
        {.name = "floor: reading", .run = run_reading, .context = m, .repeats = REPEATS},
        {.name = "floor: logsumexp", .run = run_logsumexp, .context = m, .repeats = REPEATS},
    };
    size_t n = fill_chains(chains);
    kind->fill(m->z);
    for (size_t i = 0; i < n; i++) {
        settings[i] =
            (struct setting){m, tempera_sampler_of(chains[i].stages, chains[i].n_stages), NULL, 1};
        settings[i].state = new_state(&settings[i].sampler);
        all[2 + i] = (struct bench_contestant){
            .name = chains[i].name, .run = run_chain, .context = &settings[i], .repeats = REPEATS};
    }
    bench_take_turns(all, n + 2, TURNS);
    for (size_t i = 0; i < n + 2; i++)
        print_line(kind->name, &all[i], all[0].seconds, json);
    for (size_t i = 0; i < n; i++)
        free(settings[i].state);
}

int bench_sampler(bool json)
{
    struct memory m = {.z = bench_alloc(ROOM, sizeof *m.z), .zeros = bench_alloc(VOCAB, 4)};
    m.logits = tempera_matrix_const_f32(m.z, 1, VOCAB);
    struct tempera_sampler plain = tempera_sampler_of(NULL, 0); // no chain needs more
    m.scratch_nbytes = tempera_sample_scratch_nbytes(&m.logits, &plain, NULL);
    m.scratch = bench_alloc(1, m.scratch_nbytes);
    for (size_t i = 0; i < N_ROWS; i++)
        run_row(&m, &rows[i], json);
    free(m.scratch);
    free(m.zeros);
    free(m.z);
    return 0;
}
