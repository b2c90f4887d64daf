// SPDX-License-Identifier: MIT
// One case of the vectors of tests/golden/sampling: a row, a chain and what else is given, and how
// the library's answers are written.
#ifndef TEMPERA_TESTS_GOLDEN_CASE_H
#define TEMPERA_TESTS_GOLDEN_CASE_H

#include <stdbool.h>
#include <stdio.h>

#include <tempera/sampler.h>

enum { MOST_SCORES = 24, MOST_STAGES = 8 };

struct row {
    const char *name;
    size_t n;
    float z[MOST_SCORES];
};

struct chain {
    const char *name;
    struct tempera_stage stages[MOST_STAGES]; // those of no kind stand for nothing
};

struct question {
    const struct row *row;
    const struct chain *chain;
    const char *mask; // "1101...": what is allowed, by id; what it doesn't reach is banned
    const int32_t *history;
    size_t n_history;
    enum tempera_draw draw;
    bool draws_several; // many and distinct, too
    bool draws_once;    // for stages that are chance themselves
    uint64_t first_seed;
};

// A file being written; commas stand between cases.
struct file {
    FILE *to;
    size_t n_cases;
};

// Writes the question and the library's answers.
void golden_ask(struct file *file, const struct question *q);

#endif
