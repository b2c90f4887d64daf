// SPDX-License-Identifier: MIT
#include "sampling.h"

#include <float.h>
#include <math.h>
#include <string.h>

struct cli_sampling cli_sampling_default(void)
{
    return (struct cli_sampling){
        .temperature = 0.8f,
        .top_k = 40,
        .top_p = 0.95f,
        .min_p = 0.05f,
        .top_n_sigma = INFINITY,
        .typical = 1,
        .tail_free = 1,
        .xtc_threshold = 0.1f,
        .temperature_exponent = 1,
        .smoothing_curve = 1,
        .repeat_penalty = 1,
        .penalty_window = 64,
    };
}

// A range around 0 or inf has no meaning: those stay as they are.
static struct tempera_stage temperature_stage(const struct cli_sampling *s)
{
    float T = s->temperature, range = s->temperature_range;
    if (range == 0 || T == 0 || T == INFINITY)
        return tempera_stage_temperature(T);
    return tempera_stage_dynamic_temperature(T > range ? T - range : 0, fminf(T + range, FLT_MAX),
                                             s->temperature_exponent);
}

struct tempera_sampler cli_sampling_build(struct cli_sampling *s)
{
    size_t n = 0;
    if (s->repeat_penalty != 1 || s->presence_penalty != 0 || s->frequency_penalty != 0)
        s->stages[n++] = tempera_stage_penalties(s->repeat_penalty, s->presence_penalty,
                                                 s->frequency_penalty, (int32_t)s->penalty_window);
    if (s->top_n_sigma < INFINITY)
        s->stages[n++] = tempera_stage_top_n_sigma(s->top_n_sigma);
    s->stages[n++] = tempera_stage_top_k((int32_t)s->top_k);
    if (s->typical < 1)
        s->stages[n++] = tempera_stage_typical(s->typical);
    s->stages[n++] = tempera_stage_top_p(s->top_p);
    s->stages[n++] = tempera_stage_min_p(s->min_p);
    if (s->epsilon > 0)
        s->stages[n++] = tempera_stage_epsilon(s->epsilon);
    if (s->eta > 0)
        s->stages[n++] = tempera_stage_eta(s->eta);
    if (s->tail_free < 1)
        s->stages[n++] = tempera_stage_tail_free(s->tail_free);
    if (s->top_a > 0)
        s->stages[n++] = tempera_stage_top_a(s->top_a);
    if (s->p_less)
        s->stages[n++] = tempera_stage_p_less();
    if (s->xtc_probability > 0)
        s->stages[n++] = tempera_stage_xtc(s->xtc_probability, s->xtc_threshold);
    s->stages[n++] = temperature_stage(s);
    if (s->smoothing > 0)
        s->stages[n++] = tempera_stage_smoothing(s->smoothing, s->smoothing_curve);
    return tempera_sampler_of(s->stages, n);
}

size_t cli_sampling_options(struct cli_sampling *s, const struct cli_option *own, size_t n_own,
                            struct cli_option *options)
{
    const struct cli_option shared[CLI_SAMPLING_OPTIONS] = {
        {"top-k", 0, CLI_COUNT, &s->top_k, "K", "keep the K most likely; 0: off; 40", 0, INT32_MAX},
        {"top-p", 0, CLI_NUMBER, &s->top_p, "P", "keep the likeliest up to mass P; 1: off; 0.95", 0,
         1},
        {"min-p", 0, CLI_NUMBER, &s->min_p, "P", "keep p >= P times the top's p; 0: off; 0.05", 0,
         1},
        {"top-n-sigma", 0, CLI_NUMBER, &s->top_n_sigma, "N",
         "keep what is within N sigmas of the top; inf: off; inf", 0, INFINITY},
        {"typical-p", 0, CLI_NUMBER, &s->typical, "P",
         "keep the least surprising up to mass P; 1: off; 1", 0, 1},
        {"epsilon", 0, CLI_NUMBER, &s->epsilon, "E", "keep p >= E; 0: off; 0", 0, 1},
        {"eta", 0, CLI_NUMBER, &s->eta, "E", "keep p >= min(E, sqrt(E) exp(-entropy)); 0: off; 0",
         0, 1},
        {"tail-free", 0, CLI_NUMBER, &s->tail_free, "Z",
         "cut the tail behind a share Z of the bends; 1: off; 1", 0, 1},
        {"top-a", 0, CLI_NUMBER, &s->top_a, "A",
         "keep p >= A times the square of the top's p; 0: off; 0", 0, 1},
        {"p-less", 0, CLI_FLAG, &s->p_less, NULL, "keep p >= the sum of the squares of all p", 0,
         0},
        {"xtc-probability", 0, CLI_NUMBER, &s->xtc_probability, "Q",
         "how often to leave out the top choices; 0: off; 0", 0, 1},
        {"xtc-threshold", 0, CLI_NUMBER, &s->xtc_threshold, "P",
         "what has p >= P is a top choice, the last stays; 0.1", 0, 1},
        {"temperature-range", 0, CLI_NUMBER, &s->temperature_range, "R",
         "from T - R to T + R as the entropy grows; 0: off; 0", 0, 1e6},
        {"temperature-exponent", 0, CLI_NUMBER, &s->temperature_exponent, "E",
         "bends that way: entropy share to the E; 1", 0, 1e6},
        {"smoothing", 0, CLI_NUMBER, &s->smoothing, "F",
         "F times the square of the distance to the top; 0: off; 0", 0, 1e6},
        {"smoothing-curve", 0, CLI_NUMBER, &s->smoothing_curve, "C",
         "1: square, 3: cube, between: both; 1", 1, 3},
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
