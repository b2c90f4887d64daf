// SPDX-License-Identifier: MIT
// The time from a prompt to its first token: with the row of all its encodings, and with the row
// after the prompt's own tokens (raw).
//   tempera-bench prompt        run from the project's root: the model is models/tempera-kjv.gguf
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/model.h>

#include "commands.h"
#include "timing.h"

enum { TURNS = 31, REPEATS = 4, N_PROMPTS = 4 };

static const char path[] = "models/tempera-kjv.gguf";

static const char *const prompts[N_PROMPTS] = {
    "he was a great king",
    "he was a great k",
    "And it came to pass in the morning, that he said unto them, ",
    "And the LORD spake unto Moses, saying, Speak unto the children of Israel, and say unto them, "
    "When ye be come into the land of Canaan, which I give to you for a possession, and I put the "
    "plague of leprosy in a house of the land of your possession; And he that owneth the house "
    "shall come and tell the priest, saying, It seemeth to me there is as it were a plag",
};

struct first_token {
    struct tempera_decoder *decoder;
    const struct tempera_tokenizer *tokenizer;
    const char *prompt;
    bool raw;
};

static bool stop(void *context, const struct tempera_generated *generated)
{
    (void)context;
    (void)generated;
    return false;
}

static void run(void *context)
{
    const struct first_token *f = context;
    struct tempera_generate_options options = tempera_generate_options_default();
    options.raw = f->raw;
    if (tempera_decoder_rewind(f->decoder, 0) != TEMPERA_OK ||
        tempera_generate(f->decoder, f->tokenizer, f->prompt, strlen(f->prompt), &options, stop,
                         NULL, NULL, NULL) != TEMPERA_OK)
        exit(1);
}

static void print(const char *prompt, const struct bench_contestant *both, bool json)
{
    double all = 1e3 * both[0].seconds, raw = 1e3 * both[1].seconds;
    if (json)
        printf("{\"benchmark\":\"prompt\",\"prompt_bytes\":%zu,\"ms\":%.4g,\"ms_raw\":%.4g}\n",
               strlen(prompt), all, raw);
    else
        printf("%4zu bytes, \"...%s\"   %7.2f ms   raw %7.2f ms   %.2f times\n", strlen(prompt),
               prompt + (strlen(prompt) > 12 ? strlen(prompt) - 12 : 0), all, raw, all / raw);
}

int bench_prompt(bool json)
{
    struct tempera_model *model = NULL;
    struct tempera_tokenizer *tokenizer = NULL;
    struct tempera_decoder *decoder = NULL;
    struct tempera_error error = {0};
    enum tempera_status status = tempera_model_load(path, &model, &tokenizer, &error);
    if (status == TEMPERA_OK)
        status = tempera_decoder_open(&decoder, model, 0, NULL);
    if (status != TEMPERA_OK)
        fprintf(stderr, "tempera-bench prompt: %s: %s\n", path,
                error.message[0] != '\0' ? error.message : tempera_status_text(status));
    for (size_t i = 0; i < N_PROMPTS && status == TEMPERA_OK; i++) {
        struct first_token all = {decoder, tokenizer, prompts[i], false}, raw = all;
        raw.raw = true;
        struct bench_contestant both[] = {{.run = run, .context = &all, .repeats = REPEATS},
                                          {.run = run, .context = &raw, .repeats = REPEATS}};
        bench_take_turns(both, 2, TURNS);
        print(prompts[i], both, json);
    }
    tempera_decoder_close(&decoder);
    tempera_tokenizer_close(&tokenizer);
    tempera_model_close(&model);
    return status == TEMPERA_OK ? 0 : 1;
}
