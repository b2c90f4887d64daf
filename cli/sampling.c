// SPDX-License-Identifier: MIT
#include "sampling.h"

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
