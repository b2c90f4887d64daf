// SPDX-License-Identifier: MIT
// The sampling options that generate and explain share, and the stages made of them: all that the
// library describes (tempera/stage_info.h), and a few more.
#ifndef CLI_SAMPLING_H
#define CLI_SAMPLING_H

#include <tempera/presets.h>
#include <tempera/sampler.h>
#include <tempera/stage_info.h>
#include <tempera/tokenizer.h>

#include "options.h"
#include "token_lists.h"

// The most there may be.
enum { CLI_SAMPLING_OPTIONS = 96, CLI_SAMPLING_LISTS = 16, CLI_HELP_NBYTES = 120 };

// A parameter that is a list: what was given for it, and the tokens or biases made of that.
struct cli_sampling_list {
    const struct tempera_parameter_info *parameter;
    struct cli_texts texts;
    struct cli_tokens tokens;
    struct tempera_logit_bias *biases; // [texts.count]
};

// llama.cpp's default values; in its order unless told otherwise.
struct cli_sampling {
    struct tempera_sampling_params params;
    const char *order;
    bool ignore_eos;
    struct cli_sampling_list lists[CLI_SAMPLING_LISTS];
    size_t n_lists;
    char help[CLI_SAMPLING_OPTIONS][CLI_HELP_NBYTES];
    struct tempera_stage stages[TEMPERA_PRESET_STAGES];
};

struct cli_sampling cli_sampling_default(void);

// Copies own[n_own] to options and adds the sampling options; returns how many there are. The
// temperature is apart: generate takes one, explain several.
size_t cli_sampling_options(struct cli_sampling *sampling, const struct cli_option *own,
                            size_t n_own, struct cli_option *options);

// The text, followed by the orders in which stages act. The caller frees it.
char *cli_sampling_details(const char *text);

// Makes lists of what was given for them; false, after a message, if something given can't be
// meant. To be closed in either case.
bool cli_sampling_open(struct cli_sampling *sampling, const char *command,
                       const struct tempera_tokenizer *tokenizer);
void cli_sampling_close(struct cli_sampling *sampling);

// Fills stages and returns a sampler of them; valid as long as *sampling is open.
struct tempera_sampler cli_sampling_build(struct cli_sampling *sampling);

#endif
