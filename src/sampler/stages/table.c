// SPDX-License-Identifier: MIT
// The table of stages: for each kind its functions, its parameters with their ranges and defaults,
// and how a command line spells them. Checks (check.c), presets (presets.c), the command's options
// and texts, and tests are all made from it.
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/row/history.h"
#include "sampler/stages/stages.h"
#include "sampler/stages/token_lists.h"

// ------------------------------------------------------------------------------------------------
// Words of the table

// The offset of a member, which has to be of this type.
#define OFFSET(type, container, member)                                                            \
    (offsetof(struct container, member) +                                                          \
     0 * sizeof(_Generic(((struct container *)0)->member, type : 0)))

#define IN_STAGE(type, member) .stage_offset = OFFSET(type, tempera_stage, u.member)
#define IN_PARAMS(type, member) .params_offset = OFFSET(type, tempera_sampling_params, member)

// A parameter by its name, and where it is in a stage and in the presets' parameters.
#define FLOAT(called, member, field)                                                               \
    .name = called, .type = TEMPERA_PARAMETER_FLOAT, IN_STAGE(float, member),                      \
    IN_PARAMS(float, field)
#define INT(called, member, field)                                                                 \
    .name = called, .type = TEMPERA_PARAMETER_INT32, IN_STAGE(int32_t, member),                    \
    IN_PARAMS(int32_t, field)
#define FLAG(called, member, field)                                                                \
    .name = called, .type = TEMPERA_PARAMETER_FLAG, IN_STAGE(int32_t, member),                     \
    IN_PARAMS(int32_t, field)
#define WINDOW(member, field)                                                                      \
    .name = "window", .type = TEMPERA_PARAMETER_WINDOW, IN_STAGE(int32_t, member),                 \
    IN_PARAMS(int32_t, field), .high = TEMPERA_WINDOW_MAX, NEVER_OFF, DEFAULTS(1024, 64)
#define TOKENS(called, member, field)                                                              \
    .name = called, .type = TEMPERA_PARAMETER_TOKENS, IN_STAGE(struct tempera_token_list, member), \
    IN_PARAMS(struct tempera_token_list, field)
#define BIASES(called, member, field)                                                              \
    .name = called, .type = TEMPERA_PARAMETER_BIASES,                                              \
    IN_STAGE(const struct tempera_logit_bias *, member),                                           \
    IN_PARAMS(const struct tempera_logit_bias *, field)

// Those that a stage has and no preset sets alone, and those from which presets alone make stages.
#define STAGE_FLOAT(called, member)                                                                \
    .name = called, .type = TEMPERA_PARAMETER_FLOAT, IN_STAGE(float, member)
#define PRESET_FLOAT(called, field)                                                                \
    .name = called, .type = TEMPERA_PARAMETER_FLOAT, IN_PARAMS(float, field)
#define PRESET_INT(called, field)                                                                  \
    .name = called, .type = TEMPERA_PARAMETER_INT32, IN_PARAMS(int32_t, field)
#define PRESET_FLAG(called, field)                                                                 \
    .name = called, .type = TEMPERA_PARAMETER_FLAG, IN_PARAMS(int32_t, field)

#define BETWEEN(least, most) .low = least, .high = most
#define FINITE .low = -INFINITY, .high = INFINITY, .low_is_open = true, .high_is_open = true
#define FINITE_FROM(least) .low = least, .high = INFINITY, .high_is_open = true
#define INT_FROM(least) .low = least, .high = INT32_MAX

#define OFF(value) .off = value
#define MAIN .is_main = true
#define NEVER_OFF .off = NAN

#define DEFAULTS(of_all, of_llama_cpp) .default_value = of_all, .llama_cpp_value = of_llama_cpp
#define DEFAULT(value) DEFAULTS(value, value)

#define OPTION(called, value, text) .option = called, .argument = value, .help = text

#define STAGE(stem, called, role)                                                                  \
    .info = {.name = called, .roles = role}, .apply = tempera_apply_##stem
#define FEEDBACK(stem)                                                                             \
    .initial_feedback = tempera_initial_feedback_##stem,                                           \
    .next_feedback = tempera_next_feedback_##stem
#define WHOLE .takes_whole = true

enum {
    SCORES = TEMPERA_ROLE_SCORES,
    BANS = TEMPERA_ROLE_BAN,
    FILTER = TEMPERA_ROLE_FILTER,
    FEEDS_BACK = TEMPERA_ROLE_FEEDBACK,
};

// Biases and their number are one parameter.
_Static_assert(offsetof(struct tempera_stage, u.logit_bias.count) ==
                       offsetof(struct tempera_stage, u.logit_bias.entries) + sizeof(void *) &&
                   offsetof(struct tempera_sampling_params, n_logit_bias) ==
                       offsetof(struct tempera_sampling_params, logit_bias) + sizeof(void *),
               "a count follows its entries");

// ------------------------------------------------------------------------------------------------
// Conditions over several parameters, and scratch

static const char *dynamic_temperature_complaint(const struct tempera_stage *stage)
{
    return stage->u.dynamic_temperature.low <= stage->u.dynamic_temperature.high
               ? NULL
               : "low must not be above high";
}

// For what tempera_history_matches finds.
static size_t no_repeat_ngram_scratch(const struct tempera_stage *stage, size_t vocab)
{
    (void)vocab;
    return (size_t)stage->u.no_repeat_ngram.window * sizeof(int32_t);
}

// The same, and a mark for each token up to the highest breaker.
static size_t dry_scratch(const struct tempera_stage *stage, size_t vocab)
{
    (void)vocab;
    return (size_t)stage->u.dry.window * sizeof(int32_t) +
           (size_t)((int64_t)tempera_highest_token(&stage->u.dry.breakers) + 1);
}

// ------------------------------------------------------------------------------------------------
// The table

// clang-format off
// A parameter: its name and where it is; range, off-value, defaults; option. A line or more each.
static const struct tempera_stage_type types[] = {
    [TEMPERA_STAGE_LOGIT_BIAS] = {STAGE(logit_bias, "logit-bias", SCORES | BANS), WHOLE,
        .parameters = {
        {BIASES("entries", logit_bias.entries, logit_bias), OFF(0),
         OPTION("logit-bias", "ID:A", "add A to a token's score; -inf: never; may be repeated")},
    }},
    [TEMPERA_STAGE_PENALTIES] = {STAGE(penalties, "penalties", SCORES), WHOLE, .parameters = {
        {FLOAT("repetition", penalties.repetition, repetition_penalty),
         FINITE_FROM(0), .low_is_open = true, OFF(1), DEFAULT(1),
         OPTION("repeat-penalty", "R", "divide scores of recent tokens by R")},
        {FLOAT("presence", penalties.presence, presence_penalty), FINITE, OFF(0), DEFAULT(0),
         OPTION("presence-penalty", "A", "subtract A from recent tokens")},
        {FLOAT("frequency", penalties.frequency, frequency_penalty), FINITE, OFF(0), DEFAULT(0),
         OPTION("frequency-penalty", "A", "subtract A for each time")},
        {WINDOW(penalties.window, penalty_window),
         OPTION("penalty-window", "N", "how many recent tokens count")},
        {FLAG("drawn_only", penalties.drawn_only, penalty_drawn_only), NEVER_OFF, DEFAULTS(1, 0),
         OPTION("penalty-drawn-only", NULL, "presence and frequency ignore the prompt")},
    }},
    [TEMPERA_STAGE_TEMPERATURE] = {STAGE(temperature, "temperature", SCORES), WHOLE,
        .preset = tempera_preset_of_temperature, .parameters = {
        {FLOAT("temperature", temperature, temperature), MAIN,
         BETWEEN(0, INFINITY), OFF(1), DEFAULTS(1, 0.8),
         OPTION("temperature", "T", "0: always the top token")},
    }},
    [TEMPERA_STAGE_TOP_K] = {STAGE(top_k, "top-k", FILTER), WHOLE, .parameters = {
        {INT("k", top_k, top_k), MAIN, INT_FROM(0), OFF(0), DEFAULTS(0, 40),
         OPTION("top-k", "K", "keep the K most likely")},
    }},
    [TEMPERA_STAGE_TOP_P] = {STAGE(top_p, "top-p", FILTER), WHOLE, .parameters = {
        {FLOAT("p", top_p, top_p), MAIN, BETWEEN(0, 1), OFF(1), DEFAULTS(1, 0.95),
         OPTION("top-p", "P", "keep the likeliest up to mass P")},
    }},
    [TEMPERA_STAGE_MIN_P] = {STAGE(min_p, "min-p", FILTER), WHOLE, .parameters = {
        {FLOAT("p", min_p, min_p), MAIN, BETWEEN(0, 1), OFF(0), DEFAULTS(0, 0.05),
         OPTION("min-p", "P", "keep p >= P times the top's p")},
    }},
    [TEMPERA_STAGE_TYPICAL] = {STAGE(typical, "typical", FILTER), WHOLE, .parameters = {
        {FLOAT("p", typical, typical), MAIN, BETWEEN(0, 1), OFF(1), DEFAULT(1),
         OPTION("typical-p", "P", "keep the least surprising up to mass P")},
    }},
    [TEMPERA_STAGE_EPSILON] = {STAGE(epsilon, "epsilon", FILTER), WHOLE, .parameters = {
        {FLOAT("epsilon", epsilon, epsilon), MAIN, BETWEEN(0, 1), OFF(0), DEFAULT(0),
         OPTION("epsilon", "E", "keep p >= E")},
    }},
    [TEMPERA_STAGE_ETA] = {STAGE(eta, "eta", FILTER), WHOLE, .parameters = {
        {FLOAT("epsilon", eta, eta), MAIN, BETWEEN(0, 1), OFF(0), DEFAULT(0),
         OPTION("eta", "E", "keep p >= min(E, sqrt(E) exp(-entropy))")},
    }},
    [TEMPERA_STAGE_TAIL_FREE] = {STAGE(tail_free, "tail-free", FILTER), .parameters = {
        {FLOAT("z", tail_free, tail_free), MAIN, BETWEEN(0, 1), OFF(1), DEFAULT(1),
         OPTION("tail-free", "Z", "keep a fraction Z of the second differences of p")},
    }},
    [TEMPERA_STAGE_TOP_A] = {STAGE(top_a, "top-a", FILTER), WHOLE, .parameters = {
        {FLOAT("a", top_a, top_a), MAIN, BETWEEN(0, 1), OFF(0), DEFAULT(0),
         OPTION("top-a", "A", "keep p >= A times the square of the top's p")},
    }},
    [TEMPERA_STAGE_TOP_N_SIGMA] = {STAGE(top_n_sigma, "top-n-sigma", FILTER), WHOLE,
        .parameters = {
        {FLOAT("n", top_n_sigma, top_n_sigma), MAIN,
         BETWEEN(0, INFINITY), OFF(INFINITY), .negative_is_off = true, DEFAULT(INFINITY),
         OPTION("top-n-sigma", "N", "keep what is within N sigmas of the top")},
    }},
    [TEMPERA_STAGE_TOP_H] = {STAGE(top_h, "top-h", FILTER), .parameters = {
        {FLOAT("h", top_h, top_h), MAIN, BETWEEN(0, 1), OFF(1), DEFAULT(1),
         OPTION("top-h", "H", "keep the likeliest with a fraction H of the entropy")},
    }},
    [TEMPERA_STAGE_P_LESS] = {STAGE(p_less, "p-less", FILTER), WHOLE, .parameters = {
        {PRESET_FLAG("on", p_less), OFF(0), DEFAULT(0),
         OPTION("p-less", NULL, "keep p >= the sum of the squares of all p")},
    }},
    [TEMPERA_STAGE_XTC] = {STAGE(xtc, "xtc", FILTER), .parameters = {
        {FLOAT("probability", xtc.probability, xtc_probability), BETWEEN(0, 1), OFF(0), DEFAULT(0),
         OPTION("xtc-probability", "Q", "how often to leave out the top choices")},
        {FLOAT("threshold", xtc.threshold, xtc_threshold), MAIN,
         BETWEEN(0, 1), NEVER_OFF, DEFAULT(0.1),
         OPTION("xtc-threshold", "P", "what has p >= P is a top choice; the last stays")},
        {TOKENS("spared", xtc.spared, xtc_spared), NEVER_OFF,
         OPTION("xtc-spare", "ID,...", "tokens that XTC leaves alone")},
    }},
    [TEMPERA_STAGE_ADAPTIVE_P] = {STAGE(adaptive_p, "adaptive-p", SCORES | FEEDS_BACK),
        FEEDBACK(adaptive_p), .scratch_nbytes = tempera_scratch_nbytes_adaptive_p, .parameters = {
        {FLOAT("target", adaptive_p.target, adaptive_target), MAIN,
         BETWEEN(0, 1), OFF(-1), .negative_is_off = true, DEFAULT(-1),
         OPTION("adaptive-target", "P", "prefer tokens with p near P")},
        {FLOAT("decay", adaptive_p.decay, adaptive_decay),
         BETWEEN(0, 1), .high_is_open = true, NEVER_OFF, DEFAULT(0.9),
         OPTION("adaptive-decay", "D", "how long drawn tokens count for that")},
    }},
    [TEMPERA_STAGE_MIROSTAT_1] = {STAGE(mirostat_1, "mirostat-1", FILTER | FEEDS_BACK),
        FEEDBACK(mirostat), .preset = tempera_preset_of_mirostat_1, .parameters = {
        {PRESET_INT("version", mirostat), BETWEEN(0, 2), OFF(0), DEFAULT(0),
         OPTION("mirostat", "V", "1, 2: hold the mean surprise, instead of filters")},
        {FLOAT("tau", mirostat.tau, mirostat_tau), MAIN, FINITE_FROM(0), NEVER_OFF, DEFAULT(5),
         OPTION("mirostat-tau", "BITS", "the mean surprise to hold")},
        {FLOAT("eta", mirostat.eta, mirostat_eta), FINITE_FROM(0), NEVER_OFF, DEFAULT(0.1),
         OPTION("mirostat-eta", "R", "how fast it is corrected")},
        {INT("m", mirostat.m, mirostat_m), INT_FROM(2), NEVER_OFF, DEFAULT(100),
         OPTION("mirostat-m", "M", "version 1: tokens to measure the row by")},
    }},
    [TEMPERA_STAGE_MIROSTAT_2] = {STAGE(mirostat_2, "mirostat-2", FILTER | FEEDS_BACK), WHOLE,
        FEEDBACK(mirostat), .preset = tempera_preset_of_mirostat_2, .parameters = {
        {FLOAT("tau", mirostat.tau, mirostat_tau), MAIN, FINITE_FROM(0), NEVER_OFF, DEFAULT(5)},
        {FLOAT("eta", mirostat.eta, mirostat_eta), FINITE_FROM(0), NEVER_OFF, DEFAULT(0.1)},
    }},
    [TEMPERA_STAGE_DYNAMIC_TEMPERATURE] = {
        STAGE(dynamic_temperature, "dynamic-temperature", SCORES), WHOLE,
        .preset = tempera_preset_of_dynamic_temperature,
        .complaint = dynamic_temperature_complaint, .parameters = {
        {STAGE_FLOAT("low", dynamic_temperature.low), FINITE_FROM(0), OFF(1)},
        {STAGE_FLOAT("high", dynamic_temperature.high), FINITE_FROM(0), OFF(1)},
        {PRESET_FLOAT("range", temperature_range), FINITE_FROM(0), OFF(0), DEFAULT(0),
         OPTION("temperature-range", "R", "from T - R to T + R as the entropy grows")},
        {FLOAT("exponent", dynamic_temperature.exponent, temperature_exponent),
         FINITE_FROM(0), NEVER_OFF, DEFAULT(1),
         OPTION("temperature-exponent", "E", "the entropy, of its maximum, to the power E")},
    }},
    [TEMPERA_STAGE_SMOOTHING] = {STAGE(smoothing, "smoothing", SCORES), .parameters = {
        {FLOAT("factor", smoothing.factor, smoothing_factor), MAIN,
         FINITE_FROM(0), OFF(0), DEFAULT(0),
         OPTION("smoothing", "F", "take F times the square of the distance to the top")},
        {FLOAT("curve", smoothing.curve, smoothing_curve), BETWEEN(1, 3), NEVER_OFF, DEFAULT(1),
         OPTION("smoothing-curve", "C", "1: square, 3: cube, between: both")},
    }},
    [TEMPERA_STAGE_DRY] = {STAGE(dry, "dry", SCORES), WHOLE, .scratch_nbytes = dry_scratch,
        .parameters = {
        {FLOAT("multiplier", dry.multiplier, dry_multiplier), MAIN,
         FINITE_FROM(0), OFF(0), DEFAULT(0),
         OPTION("dry-multiplier", "A", "DRY: subtract A from what carries on a repeat")},
        {FLOAT("base", dry.base, dry_base), FINITE_FROM(1), NEVER_OFF, DEFAULT(1.75),
         OPTION("dry-base", "B", "times B for each token of it")},
        {INT("allowed_length", dry.allowed_length, dry_allowed_length),
         INT_FROM(1), NEVER_OFF, DEFAULT(2),
         OPTION("dry-allowed-length", "N", "from a repeat of N tokens on")},
        {WINDOW(dry.window, dry_window),
         OPTION("dry-window", "N", "how many recent tokens count")},
        {TOKENS("breakers", dry.breakers, dry_breakers), NEVER_OFF,
         OPTION("dry-breaker", "TEXT", "repeats end at tokens with TEXT")},
    }},
    [TEMPERA_STAGE_NO_REPEAT_NGRAM] = {STAGE(no_repeat_ngram, "no-repeat-ngram", BANS), WHOLE,
        .scratch_nbytes = no_repeat_ngram_scratch, .parameters = {
        {INT("n", no_repeat_ngram.n, ngram), MAIN, INT_FROM(0), OFF(0), DEFAULT(0),
         OPTION("ngram", "N", "no N tokens in a row twice")},
        {WINDOW(no_repeat_ngram.window, ngram_window),
         OPTION("ngram-window", "N", "how many recent tokens count")},
    }},
    [TEMPERA_STAGE_ALLOW] = {STAGE(allow, "allow", BANS), .parameters = {
        {TOKENS("tokens", tokens, allowed), OFF(0),
         OPTION("allow", "ID,...", "only these tokens")},
    }},
    [TEMPERA_STAGE_BAN] = {STAGE(ban, "ban", BANS), WHOLE, .parameters = {
        {TOKENS("tokens", tokens, banned), OFF(0),
         OPTION("ban", "ID,...", "never these tokens")},
    }},
};
// clang-format on

// ------------------------------------------------------------------------------------------------
// Queries

const struct tempera_stage_type *tempera_stage_type_of(enum tempera_stage_kind kind)
{
    size_t i = (size_t)kind; // a negative one becomes huge
    return i < sizeof types / sizeof *types && types[i].info.name != NULL ? &types[i] : NULL;
}

const struct tempera_stage_info *tempera_describe_stage(int kind)
{
    const struct tempera_stage_type *type = tempera_stage_type_of((enum tempera_stage_kind)kind);
    return type == NULL ? NULL : &type->info;
}

const struct tempera_parameter_info *tempera_describe_parameter(int kind, size_t number)
{
    const struct tempera_stage_type *type = tempera_stage_type_of((enum tempera_stage_kind)kind);
    return type == NULL || number >= TEMPERA_MOST_PARAMETERS ||
                   type->parameters[number].name == NULL
               ? NULL
               : &type->parameters[number];
}

const char *tempera_stage_name(enum tempera_stage_kind kind)
{
    const struct tempera_stage_type *type = tempera_stage_type_of(kind);
    return type == NULL ? "unknown" : type->info.name;
}
