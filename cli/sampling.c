// SPDX-License-Identifier: MIT
#include "sampling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "text.h"

static const char *const order_first = "temperature-first", *const order_last = "temperature-last";

struct cli_sampling cli_sampling_default(void)
{
    struct tempera_sampling_params params = tempera_sampling_params_llama_cpp();
    return (struct cli_sampling){
        .temperature = params.temperature,
        .params = params,
        .order = order_last,
        .top_k = (uint64_t)params.top_k,
        .penalty_window = (uint64_t)params.penalty_window,
        .dry_allowed_length = (uint64_t)params.dry_allowed_length,
        .dry_window = (uint64_t)params.dry_window,
        .ngram_window = (uint64_t)params.ngram_window,
        .mirostat_m = (uint64_t)params.mirostat_m,
    };
}

// ------------------------------------------------------------------------------------------------
// Lists

// llama.cpp's, unless told otherwise: what ends a line or a phrase.
static struct cli_tokens breakers(const struct cli_sampling *s,
                                  const struct tempera_tokenizer *tokenizer)
{
    static const char *usual[] = {"\n", ":", "\"", "*"};
    const struct cli_texts defaults = {usual, sizeof usual / sizeof *usual};
    return cli_tokens_with_text(s->dry_breakers.count > 0 ? &s->dry_breakers : &defaults,
                                tokenizer);
}

static bool make_lists(struct cli_sampling *s, const char *command,
                       const struct tempera_tokenizer *tokenizer)
{
    s->breakers = breakers(s, tokenizer);
    return cli_token_biases(command, "logit-bias", &s->logit_bias, tokenizer, &s->bias) &&
           cli_tokens_by_id(command, "allow", &s->allow, tokenizer, &s->allowed) &&
           cli_tokens_by_id(command, "ban", &s->ban, tokenizer, &s->banned) &&
           cli_tokens_by_id(command, "xtc-spare", &s->xtc_spare, tokenizer, &s->spared);
}

bool cli_sampling_open(struct cli_sampling *s, const char *command,
                       const struct tempera_tokenizer *tokenizer)
{
    if (strcmp(s->order, order_first) != 0 && strcmp(s->order, order_last) != 0) {
        cli_error("tempera %s: --order is %s or %s, not '%s'", command, order_first, order_last,
                  cli_shown(s->order));
        return false;
    }
    if (s->mirostat > 0 && s->params.adaptive_target >= 0) {
        cli_error("tempera %s: --mirostat and --adaptive-target steer the same thing: choose one",
                  command);
        return false;
    }
    if (!make_lists(s, command, tokenizer))
        return false;
    int32_t eos = tempera_tokenizer_eos(tokenizer);
    if (s->ignore_eos && eos >= 0) {
        s->banned.ids = cli_realloc(s->banned.ids, (s->banned.count + 1) * sizeof *s->banned.ids);
        s->banned.ids[s->banned.count++] = eos;
    }
    return true;
}

void cli_sampling_close(struct cli_sampling *s)
{
    free(s->allowed.ids);
    free(s->banned.ids);
    free(s->spared.ids);
    free(s->breakers.ids);
    free(s->bias);
}

static struct tempera_token_list list_of(struct cli_tokens tokens)
{
    return (struct tempera_token_list){tokens.ids, tokens.count};
}

struct tempera_sampler cli_sampling_build(struct cli_sampling *s)
{
    struct tempera_sampling_params params = s->params;
    params.temperature = s->temperature;
    params.min_keep = (uint32_t)s->min_keep;
    params.top_k = (int32_t)s->top_k;
    params.p_less = s->p_less;
    params.penalty_window = (int32_t)s->penalty_window;
    params.penalty_drawn_only = s->penalty_drawn_only;
    params.dry_allowed_length = (int32_t)s->dry_allowed_length;
    params.dry_window = (int32_t)s->dry_window;
    params.ngram = (int32_t)s->ngram;
    params.ngram_window = (int32_t)s->ngram_window;
    params.logit_bias = s->bias;
    params.n_logit_bias = s->logit_bias.count;
    params.allowed = list_of(s->allowed);
    params.banned = list_of(s->banned);
    params.xtc_spared = list_of(s->spared);
    params.dry_breakers = list_of(s->breakers);
    params.mirostat = (int32_t)s->mirostat;
    params.mirostat_m = (int32_t)s->mirostat_m;
    size_t n = strcmp(s->order, order_first) == 0
                   ? tempera_preset_temperature_first(&params, s->stages)
                   : tempera_preset_temperature_last(&params, s->stages);
    return tempera_sampler_of(s->stages, n);
}

// ------------------------------------------------------------------------------------------------
// Options

size_t cli_sampling_options(struct cli_sampling *s, const struct cli_option *own, size_t n_own,
                            struct cli_option *options)
{
    struct tempera_sampling_params *p = &s->params;
    const struct cli_option shared[CLI_SAMPLING_OPTIONS] = {
        {"order", 0, CLI_TEXT, &s->order, "ORDER",
         "temperature-first (vLLM) or -last (llama.cpp); temperature-last", 0, 0},
        {"min-keep", 0, CLI_COUNT, &s->min_keep, "N", "no filter leaves fewer than N; 1", 0,
         INT32_MAX},
        {"top-k", 0, CLI_COUNT, &s->top_k, "K", "keep the K most likely; 0: off; 40", 0, INT32_MAX},
        {"top-p", 0, CLI_NUMBER, &p->top_p, "P", "keep the likeliest up to mass P; 1: off; 0.95", 0,
         1},
        {"min-p", 0, CLI_NUMBER, &p->min_p, "P", "keep p >= P times the top's p; 0: off; 0.05", 0,
         1},
        {"top-n-sigma", 0, CLI_NUMBER, &p->top_n_sigma, "N",
         "keep what is within N sigmas of the top; inf: off; inf", 0, INFINITY},
        {"typical-p", 0, CLI_NUMBER, &p->typical, "P",
         "keep the least surprising up to mass P; 1: off; 1", 0, 1},
        {"epsilon", 0, CLI_NUMBER, &p->epsilon, "E", "keep p >= E; 0: off; 0", 0, 1},
        {"eta", 0, CLI_NUMBER, &p->eta, "E", "keep p >= min(E, sqrt(E) exp(-entropy)); 0: off; 0",
         0, 1},
        {"tail-free", 0, CLI_NUMBER, &p->tail_free, "Z",
         "cut the tail behind a share Z of the bends; 1: off; 1", 0, 1},
        {"top-a", 0, CLI_NUMBER, &p->top_a, "A",
         "keep p >= A times the square of the top's p; 0: off; 0", 0, 1},
        {"top-h", 0, CLI_NUMBER, &p->top_h, "H",
         "keep the likeliest with a share H of the entropy; 1: off; 1", 0, 1},
        {"p-less", 0, CLI_FLAG, &s->p_less, NULL, "keep p >= the sum of the squares of all p", 0,
         0},
        {"xtc-probability", 0, CLI_NUMBER, &p->xtc_probability, "Q",
         "how often to leave out the top choices; 0: off; 0", 0, 1},
        {"xtc-threshold", 0, CLI_NUMBER, &p->xtc_threshold, "P",
         "what has p >= P is a top choice, the last stays; 0.1", 0, 1},
        {"xtc-spare", 0, CLI_TEXTS, &s->xtc_spare, "ID,...", "tokens that XTC leaves alone", 0, 0},
        {"temperature-range", 0, CLI_NUMBER, &p->temperature_range, "R",
         "from T - R to T + R as the entropy grows; 0: off; 0", 0, 1e6},
        {"temperature-exponent", 0, CLI_NUMBER, &p->temperature_exponent, "E",
         "bends that way: entropy share to the E; 1", 0, 1e6},
        {"smoothing", 0, CLI_NUMBER, &p->smoothing_factor, "F",
         "F times the square of the distance to the top; 0: off; 0", 0, 1e6},
        {"smoothing-curve", 0, CLI_NUMBER, &p->smoothing_curve, "C",
         "1: square, 3: cube, between: both; 1", 1, 3},
        {"mirostat", 0, CLI_COUNT, &s->mirostat, "V",
         "1, 2: steers the surprise, without filters; 0: off; 0", 0, 2},
        {"mirostat-tau", 0, CLI_NUMBER, &p->mirostat_tau, "BITS", "to this mean surprise; 5", 0,
         1e6},
        {"mirostat-eta", 0, CLI_NUMBER, &p->mirostat_eta, "R", "so fast; 0.1", 0, 1e6},
        {"mirostat-m", 0, CLI_COUNT, &s->mirostat_m, "M",
         "version 1: tokens to measure the row by; 100", 2, INT32_MAX},
        {"adaptive-target", 0, CLI_NUMBER, &p->adaptive_target, "P",
         "prefer tokens with p near P; -1: off; -1", -1, 1},
        {"adaptive-decay", 0, CLI_NUMBER, &p->adaptive_decay, "D",
         "how long drawn tokens count for that; 0.9", 0, 0.999},
        {"repeat-penalty", 0, CLI_NUMBER, &p->repetition_penalty, "R",
         "divide scores of recent tokens by R; 1: off; 1", 1e-6, 1e6},
        {"presence-penalty", 0, CLI_NUMBER, &p->presence_penalty, "A",
         "subtract A from recent tokens; 0: off; 0", -1e6, 1e6},
        {"frequency-penalty", 0, CLI_NUMBER, &p->frequency_penalty, "A",
         "subtract A for each time; 0: off; 0", -1e6, 1e6},
        {"penalty-window", 0, CLI_COUNT, &s->penalty_window, "N",
         "how many recent tokens count; 64", 0, 1 << 20},
        {"penalty-drawn-only", 0, CLI_FLAG, &s->penalty_drawn_only, NULL,
         "presence and frequency pass over the prompt", 0, 0},
        {"dry-multiplier", 0, CLI_NUMBER, &p->dry_multiplier, "A",
         "DRY: subtract A from what carries on a repeat; 0: off; 0", 0, 1e6},
        {"dry-base", 0, CLI_NUMBER, &p->dry_base, "B", "times B for each token of it; 1.75", 1,
         1e6},
        {"dry-allowed-length", 0, CLI_COUNT, &s->dry_allowed_length, "N",
         "from a repeat of N tokens on; 2", 1, 1 << 20},
        {"dry-window", 0, CLI_COUNT, &s->dry_window, "N", "how many recent tokens count; 64", 0,
         1 << 20},
        {"dry-breaker", 0, CLI_TEXTS, &s->dry_breakers, "TEXT",
         "repeats end at tokens with TEXT; line end, colon, \", *", 0, 0},
        {"ngram", 0, CLI_COUNT, &s->ngram, "N", "no N tokens in a row twice; 0: off; 0", 0,
         1 << 20},
        {"ngram-window", 0, CLI_COUNT, &s->ngram_window, "N", "how many recent tokens count; 64", 0,
         1 << 20},
        {"logit-bias", 0, CLI_TEXTS, &s->logit_bias, "ID:A",
         "add A to a token's score; -inf: never; may be repeated", 0, 0},
        {"allow", 0, CLI_TEXTS, &s->allow, "ID,...", "only these tokens", 0, 0},
        {"ban", 0, CLI_TEXTS, &s->ban, "ID,...", "never these tokens", 0, 0},
        {"ignore-eos", 0, CLI_FLAG, &s->ignore_eos, NULL, "never the end of the text", 0, 0},
    };
    memcpy(options, own, n_own * sizeof *own);
    memcpy(options + n_own, shared, sizeof shared);
    return n_own + CLI_SAMPLING_OPTIONS;
}
