// SPDX-License-Identifier: MIT
// What the tests of training share: a small model on a small text, and its trainer.
#ifndef TEMPERA_TESTS_TRAIN_SETUP_H
#define TEMPERA_TESTS_TRAIN_SETUP_H

#include "check.h"
#include "files.h"

#include <tempera/train.h>

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
char *wordy_text(size_t nbytes, uint64_t seed);

// The model and the options of most tests; change them before training_begin.
struct training training_small(const char *text, size_t nbytes);

// Makes tokenizer, model and trainer. n_threads = 0: without an executor.
enum tempera_status training_begin(struct training *t, size_t n_threads,
                                   struct tempera_error *error);

void training_end(struct training *t);

#endif
