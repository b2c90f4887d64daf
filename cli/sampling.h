// SPDX-License-Identifier: MIT
// The sampling options that generate and explain share, and the stages made of them.
#ifndef CLI_SAMPLING_H
#define CLI_SAMPLING_H

#include <tempera/sampler.h>

#include "options.h"

enum { CLI_SAMPLING_STAGES = 14, CLI_SAMPLING_OPTIONS = 20 };

// llama.cpp's default values and order: penalties, top-n-sigma, top-k, typical, top-p, min-p,
// temperature last. What it doesn't have comes behind min-p.
struct cli_sampling {
    float temperature, top_p, min_p;
    float top_n_sigma, typical, epsilon, eta, tail_free, top_a;
    bool p_less;
    float xtc_probability, xtc_threshold;
    float temperature_range, temperature_exponent, smoothing, smoothing_curve;
    float repeat_penalty, presence_penalty, frequency_penalty;
    uint64_t top_k, penalty_window;
    struct tempera_stage stages[CLI_SAMPLING_STAGES];
};

struct cli_sampling cli_sampling_default(void);

// Fills stages and returns a sampler of them; valid as long as *sampling.
struct tempera_sampler cli_sampling_build(struct cli_sampling *sampling);

// Copies own[n_own] to options and puts the sampling options behind them; returns how many there
// are. Temperature is apart: generate takes one, explain several.
size_t cli_sampling_options(struct cli_sampling *sampling, const struct cli_option *own,
                            size_t n_own, struct cli_option *options);

#endif
