// SPDX-License-Identifier: MIT
// A model run by llama.cpp, its tokens drawn by Tempera: text goes on, twice from the same point.
//
//     llama_sampler MODEL.gguf PROMPT [TOKENS [SEED]]
//
// Needs llama.cpp; the build leaves it out where there is none. With llama.cpp's sources built in
// a folder of their own:
//
//     cmake --preset release -DLLAMA_CPP_DIR=/path/to/llama.cpp
//     cmake --build --preset release --target llama_sampler
//     build/release/bin/llama_sampler models/tempera-kjv.gguf "In the beginning"
//
// The first half is what any llama.cpp program does. Tempera comes in with new_chain; the rest is
// llama.cpp's own sampling calls.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ggml-backend.h>
#include <llama.h>
#include <tempera/llama_adapter.h>
#include <tempera/presets.h>

enum { CONTEXT = 1024, MOST_TOKENS = CONTEXT / 2 };

struct run {
    struct llama_model *model;
    const struct llama_vocab *vocab;
    struct llama_context *context;
    llama_token prompt[MOST_TOKENS];
    int32_t n_prompt;
};

// ------------------------------------------------------------------------------------------------
// llama.cpp

static void print_errors_only(enum ggml_log_level level, const char *text, void *user_data)
{
    (void)user_data;
    if (level == GGML_LOG_LEVEL_ERROR)
        fputs(text, stderr);
}

static bool open_run(struct run *run, const char *path, const char *prompt)
{
    llama_log_set(print_errors_only, NULL);
    ggml_backend_load_all();
    run->model = llama_model_load_from_file(path, llama_model_default_params());
    if (run->model == NULL)
        return false;
    run->vocab = llama_model_get_vocab(run->model);
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = CONTEXT;
    params.n_batch = CONTEXT;
    run->context = llama_init_from_model(run->model, params);
    run->n_prompt = llama_tokenize(run->vocab, prompt, (int32_t)strlen(prompt), run->prompt,
                                   MOST_TOKENS, true, true);
    return run->context != NULL && run->n_prompt > 0;
}

static void close_run(struct run *run)
{
    if (run->context != NULL)
        llama_free(run->context);
    if (run->model != NULL)
        llama_model_free(run->model);
}

static void print_token(const struct run *run, llama_token token)
{
    char piece[256];
    int32_t length = llama_token_to_piece(run->vocab, token, piece, sizeof piece, 0, true);
    if (length > 0)
        fwrite(piece, 1, (size_t)length, stdout);
}

// Lets the prompt go on by up to n_tokens from the chain. False where llama.cpp fails.
static bool go_on(const struct run *run, struct llama_sampler *chain, int n_tokens)
{
    llama_memory_clear(llama_get_memory(run->context), true);
    llama_token tokens[MOST_TOKENS];
    memcpy(tokens, run->prompt, sizeof tokens);
    struct llama_batch batch = llama_batch_get_one(tokens, run->n_prompt);
    for (int32_t i = 0; i < run->n_prompt; i++)
        print_token(run, tokens[i]);

    llama_token token;
    double logprobs = 0;
    int drawn = 0;
    const struct llama_sampler *ours = llama_sampler_chain_get(chain, 0);
    for (; drawn < n_tokens; drawn++) {
        if (llama_decode(run->context, batch) != 0)
            return false;
        token = llama_sampler_sample(chain, run->context, -1); // accepts it, too
        logprobs += (double)tempera_llama_sampler_result(ours)->logprob;
        if (llama_vocab_is_eog(run->vocab, token))
            break;
        print_token(run, token);
        batch = llama_batch_get_one(&token, 1);
    }
    printf("\n(sum of the log-probabilities: %.3f)\n", logprobs);
    return true;
}

// ------------------------------------------------------------------------------------------------
// Tempera

// llama.cpp's defaults and a repetition penalty, with Tempera's ties, tails and random numbers.
static struct llama_sampler *new_chain(const struct run *run, uint64_t seed)
{
    struct tempera_sampling_params params = tempera_sampling_params_llama_cpp();
    params.repetition_penalty = 1.1f;
    struct tempera_stage stages[TEMPERA_PRESET_STAGES];
    struct tempera_sampler sampler =
        tempera_sampler_of(stages, tempera_preset_temperature_last(&params, stages));
    struct llama_sampler *ours =
        tempera_llama_sampler_init(&sampler, llama_vocab_n_tokens(run->vocab), seed, 0);
    if (ours == NULL)
        return NULL;
    struct llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
    llama_sampler_chain_add(chain, ours); // the chain owns it now
    for (int32_t i = 0; i < run->n_prompt; i++)
        llama_sampler_accept(chain, run->prompt[i]);
    return chain;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "Usage: llama_sampler MODEL.gguf PROMPT [TOKENS [SEED]]\n");
        return 2;
    }
    int n_tokens = argc > 3 ? atoi(argv[3]) : 48;
    uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
    if (n_tokens < 1 || n_tokens > MOST_TOKENS) {
        fprintf(stderr, "llama_sampler: TOKENS is from 1 to %d\n", MOST_TOKENS);
        return 2;
    }

    struct run run = {0};
    bool ok = open_run(&run, argv[1], argv[2]);
    struct llama_sampler *chain = ok ? new_chain(&run, seed) : NULL;
    ok = chain != NULL;
    if (ok) {
        // The copy holds the history and the place in the random numbers: both texts are equal.
        struct llama_sampler *copy = llama_sampler_clone(chain);
        ok = go_on(&run, chain, n_tokens) && go_on(&run, copy, n_tokens);
        llama_sampler_free(copy);
        llama_sampler_free(chain);
    }
    close_run(&run);
    if (!ok)
        fprintf(stderr, "llama_sampler: can't run %s\n", argv[1]);
    return ok ? 0 : 1;
}
