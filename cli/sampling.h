// SPDX-License-Identifier: MIT
// The sampling options that generate and explain share, and the stages made of them.
#ifndef CLI_SAMPLING_H
#define CLI_SAMPLING_H

#include <tempera/presets.h>
#include <tempera/sampler.h>
#include <tempera/tokenizer.h>

#include "options.h"
#include "token_lists.h"

enum { CLI_SAMPLING_STAGES = TEMPERA_PRESET_STAGES, CLI_SAMPLING_OPTIONS = 42 };

// llama.cpp's default values; in its order unless told otherwise.
struct cli_sampling {
    float temperature;
    struct tempera_sampling_params params; // but for what is here
    const char *order;
    uint64_t min_keep, top_k, penalty_window, dry_allowed_length, dry_window, ngram, ngram_window;
    uint64_t mirostat, mirostat_m;
    bool p_less, penalty_drawn_only, ignore_eos;
    struct cli_texts logit_bias, allow, ban, xtc_spare, dry_breakers;
    struct tempera_logit_bias *bias; // [logit_bias.count], made of the texts, as all below
    struct cli_tokens allowed, banned, spared, breakers;
    struct tempera_stage stages[CLI_SAMPLING_STAGES];
};

struct cli_sampling cli_sampling_default(void);

// Makes lists of what was given for them; false, after a message, if something given can't be
// meant. To be closed in either case.
bool cli_sampling_open(struct cli_sampling *sampling, const char *command,
                       const struct tempera_tokenizer *tokenizer);
void cli_sampling_close(struct cli_sampling *sampling);

// Fills stages and returns a sampler of them; valid as long as *sampling is open.
struct tempera_sampler cli_sampling_build(struct cli_sampling *sampling);

// Copies own[n_own] to options and puts the sampling options behind them; returns how many there
// are. Temperature is apart: generate takes one, explain several.
size_t cli_sampling_options(struct cli_sampling *sampling, const struct cli_option *own,
                            size_t n_own, struct cli_option *options);

#endif
