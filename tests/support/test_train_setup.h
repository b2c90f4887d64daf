// SPDX-License-Identifier: MIT
// What the tests of training share: a small model on a small text, and its trainer.
#ifndef TEMPERA_TEST_TRAIN_SETUP_H
#define TEMPERA_TEST_TRAIN_SETUP_H

#include <tempera/train.h>

#include "check.h"

// Everything one training holds. Model and tokenizer are borrowed by the trainer.
struct training {
    struct tempera_tokenizer *tokenizer;
    struct tempera_model *model;
    struct tempera_thread_pool *pool;
    struct tempera_trainer *trainer;
    struct tempera_train_options options;
    struct tempera_corpus corpus;
};

static const char humpty[] = "Humpty Dumpty sat on a wall,\n"
                             "Humpty Dumpty had a great fall.\n"
                             "All the king's horses and all the king's men\n"
                             "Couldn't put Humpty together again.\n";

// Words in an order that a seed decides; long enough for blocks to be held out.
__attribute__((unused)) static char *wordy_text(size_t nbytes, uint64_t seed)
{
    static const char *const words[] = {"the ", "king ",  "sat ",  "on ",    "a ",
                                        "wall", "and ",   "all ",  "his ",   "men",
                                        ", ",   "horses ", ".\n",  "great ", "fall "};
    char *text = malloc(nbytes + 16);
    size_t n = 0;
    for (uint64_t state = seed; n < nbytes;) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const char *word = words[(state >> 33) % (sizeof words / sizeof *words)];
        size_t length = strlen(word);
        memcpy(text + n, word, length);
        n += length;
    }
    return text;
}

// The model and the options of most tests; change them before training_begin.
__attribute__((unused)) static struct training training_small(const char *text, size_t nbytes)
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

// Makes tokenizer, model and trainer. n_threads = 0: without an executor.
__attribute__((unused)) static enum tempera_status
training_begin(struct training *t, size_t n_threads, struct tempera_error *error)
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

__attribute__((unused)) static void training_end(struct training *t)
{
    tempera_trainer_close(&t->trainer);
    tempera_thread_pool_close(&t->pool);
    tempera_model_close(&t->model);
    tempera_tokenizer_close(&t->tokenizer);
}

// A file's bytes, the caller's to free; NULL if there is none.
__attribute__((unused)) static char *read_file(const char *path, size_t *nbytes)
{
    *nbytes = 0;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    size_t capacity = 1 << 16;
    char *bytes = malloc(capacity);
    for (size_t n; (n = fread(bytes + *nbytes, 1, capacity - *nbytes, file)) > 0;) {
        *nbytes += n;
        if (*nbytes == capacity)
            bytes = realloc(bytes, capacity *= 2);
    }
    fclose(file);
    return bytes;
}

__attribute__((unused)) static void write_file(const char *path, const void *bytes, size_t nbytes)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(bytes, 1, nbytes, file) == nbytes);
    if (file != NULL)
        CHECK(fclose(file) == 0);
}

__attribute__((unused)) static void check_same_files(const char *path, const char *expected)
{
    size_t n, n_expected;
    char *bytes = read_file(path, &n), *wanted = read_file(expected, &n_expected);
    CHECK(bytes != NULL && wanted != NULL);
    CHECK_EQ_SIZE(n, n_expected);
    if (bytes != NULL && wanted != NULL && n == n_expected)
        CHECK_MEM(bytes, wanted, n);
    free(bytes);
    free(wanted);
}

#endif
