// SPDX-License-Identifier: MIT
#include "sampling.h"

#include <string.h>

struct cli_sampling cli_sampling_default(void)
{
    return (struct cli_sampling){
        .temperature = 0.8f,
        .top_k = 40,
        .top_p = 0.95f,
        .min_p = 0.05f,
        .repeat_penalty = 1,
        .penalty_window = 64,
    };
}

struct tempera_sampler cli_sampling_build(struct cli_sampling *s)
{
    size_t n = 0;
    if (s->repeat_penalty != 1 || s->presence_penalty != 0 || s->frequency_penalty != 0)
        s->stages[n++] = tempera_stage_penalties(s->repeat_penalty, s->presence_penalty,
                                                 s->frequency_penalty, (int32_t)s->penalty_window);
    s->stages[n++] = tempera_stage_top_k((int32_t)s->top_k);
    s->stages[n++] = tempera_stage_top_p(s->top_p);
    s->stages[n++] = tempera_stage_min_p(s->min_p);
    s->stages[n++] = tempera_stage_temperature(s->temperature);
    return tempera_sampler_of(s->stages, n);
}

size_t cli_sampling_options(struct cli_sampling *s, const struct cli_option *own, size_t n_own,
                            struct cli_option *options)
{
    const struct cli_option shared[CLI_SAMPLING_OPTIONS] = {
        {"top-k", 0, CLI_COUNT, &s->top_k, "K", "keep the K most likely; 0: off; 40", 0, INT32_MAX},
        {"top-p", 0, CLI_NUMBER, &s->top_p, "P", "keep the likeliest up to mass P; 1: off; 0.95",
         0, 1},
        {"min-p", 0, CLI_NUMBER, &s->min_p, "P", "keep p >= P times the top's p; 0: off; 0.05", 0,
         1},
        {"repeat-penalty", 0, CLI_NUMBER, &s->repeat_penalty, "R",
         "divide scores of recent tokens by R; 1: off; 1", 1e-6, 1e6},
        {"presence-penalty", 0, CLI_NUMBER, &s->presence_penalty, "A",
         "subtract A from recent tokens; 0: off; 0", -1e6, 1e6},
        {"frequency-penalty", 0, CLI_NUMBER, &s->frequency_penalty, "A",
         "subtract A for each time; 0: off; 0", -1e6, 1e6},
        {"penalty-window", 0, CLI_COUNT, &s->penalty_window, "N",
         "how many recent tokens count; 64", 0, 1 << 20},
    };
    memcpy(options, own, n_own * sizeof *own);
    memcpy(options + n_own, shared, sizeof shared);
    return n_own + CLI_SAMPLING_OPTIONS;
}
