// SPDX-License-Identifier: MIT
#include "train_setup.h"

char *wordy_text(size_t nbytes, uint64_t seed)
{
    static const char *const words[] = {"the ", "king ",   "sat ", "on ",    "a ",
                                        "wall", "and ",    "all ", "his ",   "men",
                                        ", ",   "horses ", ".\n",  "great ", "fall "};
    char *text = malloc(nbytes + 16);
    size_t n = 0;
    for (uint64_t state = seed; n < nbytes;) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const char *word = words[(state >> 33) % (COUNT_OF(words))];
        size_t length = strlen(word);
        memcpy(text + n, word, length);
        n += length;
    }
    return text;
}

struct training training_small(const char *text, size_t nbytes)
{
    struct training t = {.options = tempera_train_options_default(),
                         .corpus = {.text = text, .nbytes = nbytes}};
    t.options.steps = 12;
    t.options.batch = 3;
    t.options.context = 16;
    t.options.warmup_steps = 4;
    t.options.evaluate_every = 5;
    t.options.learning_rate = 3e-3f;
    t.options.min_learning_rate = 3e-4f;
    t.options.seed = 42;
    return t;
}

enum tempera_status training_begin(struct training *t, size_t n_threads,
                                   struct tempera_error *error)
{
    struct tempera_model_config config = tempera_model_config_default();
    config.vocab_size = 257;
    if (t->tokenizer != NULL)
        config.vocab_size = (uint32_t)tempera_tokenizer_n_tokens(t->tokenizer);
    config.context_length = 32;
    config.n_layers = 2;
    config.dim = 24;
    config.n_heads = 2;
    config.n_kv_heads = 1;
    config.hidden_dim = 40;
    if (t->tokenizer == NULL)
        CHECK_STATUS(tempera_tokenizer_bytes(&t->tokenizer), TEMPERA_OK);
    if (t->model == NULL)
        CHECK_STATUS(tempera_model_create(&t->model, &config, 7, error), TEMPERA_OK);
    if (n_threads > 0)
        CHECK_STATUS(tempera_thread_pool_open(&t->pool, n_threads), TEMPERA_OK);
    return tempera_trainer_open(&t->trainer, t->model, t->tokenizer, &t->corpus, &t->options,
                                tempera_thread_pool_executor(t->pool), error);
}

void training_end(struct training *t)
{
    tempera_trainer_close(&t->trainer);
    tempera_thread_pool_close(&t->pool);
    tempera_model_close(&t->model);
    tempera_tokenizer_close(&t->tokenizer);
}
