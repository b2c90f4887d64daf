// SPDX-License-Identifier: MIT
// llama.cpp's samplers on the rows and chains of bench/sampler.c, one object of JSON a line, for
// bench/peers/sampler. What is timed begins, as llama_sampler_sample does, with the array of
// candidates that it makes of a row of logits.
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <llama.h>

#include "timing.h"

enum { VOCAB = 128256, TURNS = 21, WINDOW = 64, SEED = 1 };

struct setting {
    const float *z;
    llama_token_data *candidates;
    struct llama_sampler *chain;
};

// Takes the samplers; the list ends with NULL.
static struct llama_sampler *chain_of(struct llama_sampler *const *samplers)
{
    struct llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
    for (; *samplers != NULL; samplers++)
        llama_sampler_chain_add(chain, *samplers);
    for (llama_token i = 0; i < WINDOW; i++)
        llama_sampler_accept(chain, i * 7919 % VOCAB); // as in bench/sampler.c
    return chain;
}

#define CHAIN(...) chain_of((struct llama_sampler *[]){__VA_ARGS__, NULL})

static struct llama_sampler *cool(void)
{
    return llama_sampler_init_temp(0.8f);
}

static struct llama_sampler *dist(void)
{
    return llama_sampler_init_dist(SEED);
}

static struct llama_sampler *new_greedy(void)
{
    return CHAIN(llama_sampler_init_greedy());
}

static struct llama_sampler *new_default(void)
{
    return CHAIN(llama_sampler_init_top_k(40), llama_sampler_init_top_p(0.95f, 1),
                 llama_sampler_init_min_p(0.05f, 1), cool(), dist());
}

static struct llama_sampler *new_default_penalties(void)
{
    return CHAIN(llama_sampler_init_penalties(VOCAB, WINDOW, 1.1f, 0.1f, 0.1f),
                 llama_sampler_init_top_k(40), llama_sampler_init_top_p(0.95f, 1),
                 llama_sampler_init_min_p(0.05f, 1), cool(), dist());
}

static struct llama_sampler *new_temperature(void)
{
    return CHAIN(cool(), dist());
}

static struct llama_sampler *new_min_p(void)
{
    return CHAIN(llama_sampler_init_min_p(0.05f, 1), cool(), dist());
}

static struct llama_sampler *new_top_p(void)
{
    return CHAIN(llama_sampler_init_top_p(0.95f, 1), cool(), dist());
}

static struct llama_sampler *new_typical(void)
{
    return CHAIN(llama_sampler_init_typical(0.95f, 1), cool(), dist());
}

static struct llama_sampler *new_top_n_sigma(void)
{
    return CHAIN(llama_sampler_init_top_n_sigma(1), cool(), dist());
}

static struct llama_sampler *new_mirostat_2(void)
{
    return CHAIN(cool(), llama_sampler_init_mirostat_v2(SEED, 5, 0.1f));
}

static const struct {
    const char *name;
    struct llama_sampler *(*make)(void);
    size_t repeats; // those that take milliseconds, fewer
} chains[] = {
    {"greedy", new_greedy, 8},
    {"default", new_default, 8},
    {"default-penalties", new_default_penalties, 1},
    {"temperature", new_temperature, 1},
    {"min-p", new_min_p, 8},
    {"top-p", new_top_p, 1},
    {"typical", new_typical, 1},
    {"top-n-sigma", new_top_n_sigma, 1},
    {"mirostat-2", new_mirostat_2, 1},
};

enum { N_CHAINS = sizeof chains / sizeof *chains };

static void run_chain(void *context)
{
    const struct setting *s = context;
    for (llama_token i = 0; i < VOCAB; i++)
        s->candidates[i] = (llama_token_data){i, s->z[i], 0};
    llama_token_data_array array = {s->candidates, VOCAB, -1, false};
    llama_sampler_apply(s->chain, &array);
    if (array.selected < 0 || (size_t)array.selected >= array.size) {
        fprintf(stderr, "llama_sampler: no token was drawn\n");
        exit(1);
    }
}

static void run_row(const char *row, const float *z, llama_token_data *candidates)
{
    struct setting settings[N_CHAINS];
    struct bench_contestant all[N_CHAINS];
    for (size_t i = 0; i < N_CHAINS; i++) {
        settings[i] = (struct setting){z, candidates, chains[i].make()};
        all[i] = (struct bench_contestant){.name = chains[i].name,
                                           .run = run_chain,
                                           .context = &settings[i],
                                           .repeats = chains[i].repeats};
    }
    bench_take_turns(all, N_CHAINS, TURNS);
    for (size_t i = 0; i < N_CHAINS; i++) {
        printf("{\"benchmark\":\"sampler\",\"chain\":\"%s\",\"logits\":\"%s\",\"vocab\":%d,"
               "\"ns\":%.0f}\n",
               all[i].name, row, VOCAB, all[i].seconds * 1e9);
        llama_sampler_free(settings[i].chain);
    }
}

int main(void)
{
    float *z = bench_alloc(VOCAB, sizeof *z);
    llama_token_data *candidates = bench_alloc(VOCAB, sizeof *candidates);
    bench_fill(z, VOCAB, 3, 1);
    run_row("normal", z, candidates);
    bench_fill_peaked(z, VOCAB, 2);
    run_row("peaked", z, candidates);
    free(candidates);
    free(z);
    return 0;
}
