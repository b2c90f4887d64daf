// SPDX-License-Identifier: MIT
// The sampling options that generate and explain share, and the stages made of them.
#ifndef CLI_SAMPLING_H
#define CLI_SAMPLING_H

#include <tempera/sampler.h>

#include "options.h"

enum { CLI_SAMPLING_STAGES = 5 };

// llama.cpp's default values and order: penalties, top-k, top-p, min-p, temperature last.
struct cli_sampling {
    float temperature, top_p, min_p;
    float repeat_penalty, presence_penalty, frequency_penalty;
    uint64_t top_k, penalty_window;
    struct tempera_stage stages[CLI_SAMPLING_STAGES];
};

struct cli_sampling cli_sampling_default(void);

// Fills stages and returns a sampler of them; valid as long as *sampling.
struct tempera_sampler cli_sampling_build(struct cli_sampling *sampling);

// Rows for an option table. temperature is apart: generate takes one, explain several.
#define CLI_SAMPLING_OPTIONS(s)                                                                     \
    {"top-k", 0, CLI_COUNT, &(s)->top_k, "K", "keep the K most likely; 0: off; 40", 0, INT32_MAX},  \
        {"top-p", 0, CLI_NUMBER, &(s)->top_p, "P", "keep the likeliest up to mass P; 1: off; 0.95", \
         0,       1},                                                                               \
        {"min-p", 0, CLI_NUMBER, &(s)->min_p, "P", "keep p >= P times the top's p; 0: off; 0.05",   \
         0,       1},                                                                               \
        {"repeat-penalty",                                                                          \
         0,                                                                                         \
         CLI_NUMBER,                                                                                \
         &(s)->repeat_penalty,                                                                      \
         "R",                                                                                       \
         "divide scores of recent tokens by R; 1: off; 1",                                          \
         1e-6,                                                                                      \
         1e6},                                                                                      \
        {"presence-penalty",                                                                        \
         0,                                                                                         \
         CLI_NUMBER,                                                                                \
         &(s)->presence_penalty,                                                                    \
         "A",                                                                                       \
         "subtract A from recent tokens; 0: off; 0",                                                \
         -1e6,                                                                                      \
         1e6},                                                                                      \
        {"frequency-penalty",                                                                       \
         0,                                                                                         \
         CLI_NUMBER,                                                                                \
         &(s)->frequency_penalty,                                                                   \
         "A",                                                                                       \
         "subtract A for each time; 0: off; 0",                                                     \
         -1e6,                                                                                      \
         1e6},                                                                                      \
    {                                                                                               \
        "penalty-window", 0, CLI_COUNT, &(s)->penalty_window, "N",                                  \
            "how many recent tokens count; 64", 0, 1 << 20                                          \
    }

#endif
