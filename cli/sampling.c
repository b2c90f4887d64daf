// SPDX-License-Identifier: MIT
#include "sampling.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "text.h"

#define DEFAULT_ORDER "temperature-last"

struct cli_sampling cli_sampling_default(void)
{
    return (struct cli_sampling){
        .params = tempera_sampling_params_llama_cpp(),
        .order = DEFAULT_ORDER,
    };
}

static bool is_field(const struct tempera_parameter_info *parameter, size_t offset)
{
    return parameter->params_offset == offset;
}

static bool is_breakers(const struct tempera_parameter_info *parameter)
{
    return is_field(parameter, offsetof(struct tempera_sampling_params, dry_breakers));
}

// ------------------------------------------------------------------------------------------------
// Options

static enum cli_kind kind_of(const struct tempera_parameter_info *parameter)
{
    switch (parameter->type) {
    case TEMPERA_PARAMETER_FLOAT:
        return CLI_NUMBER;
    case TEMPERA_PARAMETER_FLAG:
        return CLI_SWITCH;
    case TEMPERA_PARAMETER_TOKENS:
    case TEMPERA_PARAMETER_BIASES:
        return CLI_TEXTS;
    default:
        return CLI_INT32;
    }
}

// The help of a parameter, with its default value and the one that is off.
static void add_help(const struct cli_sampling *s, const struct tempera_parameter_info *parameter,
                     char *help)
{
    const char *field = (const char *)&s->params + parameter->params_offset;
    enum cli_kind kind = kind_of(parameter);
    double value = 0;
    if (kind == CLI_NUMBER)
        value = (double)*(const float *)(const void *)field;
    if (kind == CLI_INT32)
        value = *(const int32_t *)(const void *)field;
    const char *text = parameter->help;
    if (is_breakers(parameter))
        snprintf(help, CLI_HELP_NBYTES, "%s (default: line end, colon, \", *)", text);
    else if (kind == CLI_TEXTS || kind == CLI_SWITCH)
        snprintf(help, CLI_HELP_NBYTES, "%s", text);
    else if (isnan(parameter->off))
        snprintf(help, CLI_HELP_NBYTES, "%s (default: %g)", text, value);
    else if (value == parameter->off)
        snprintf(help, CLI_HELP_NBYTES, "%s (default: %g, off)", text, value);
    else
        snprintf(help, CLI_HELP_NBYTES, "%s (default: %g; off: %g)", text, value, parameter->off);
}

// Ends of the range. Beyond a million, and next to an end that isn't allowed itself, nothing is
// meant, and a window of 2^20 is more than any model's context.
static void set_range(struct cli_option *option, const struct tempera_parameter_info *parameter)
{
    const double most = 1e6, least = 1e-6;
    option->low = parameter->low;
    option->high = parameter->high;
    if (parameter->negative_is_off && parameter->off < option->low)
        option->low = parameter->off;
    if (parameter->low_is_open)
        option->low = isinf(parameter->low) ? -most : parameter->low + least;
    if (parameter->high_is_open)
        option->high = isinf(parameter->high) ? most : parameter->high - least;
    if (parameter->type == TEMPERA_PARAMETER_WINDOW)
        option->high = 1 << 20;
}

static struct cli_option option_of(struct cli_sampling *s,
                                   const struct tempera_parameter_info *parameter, char *help)
{
    struct cli_option option = {
        .name = parameter->option,
        .kind = kind_of(parameter),
        .value = (char *)&s->params + parameter->params_offset,
        .argument = parameter->argument,
        .help = help,
    };
    add_help(s, parameter, help);
    set_range(&option, parameter);
    if (option.kind == CLI_TEXTS) {
        if (s->n_lists == CLI_SAMPLING_LISTS)
            abort(); // the table has more lists than this program was made for
        struct cli_sampling_list *list = &s->lists[s->n_lists++];
        list->parameter = parameter;
        option.value = &list->texts;
    }
    return option;
}

// Where a stage's options are in the help.
enum { FILTERS, FEEDBACK, SCORES, BANS, N_GROUPS };

static int group_of(const struct tempera_stage_info *stage)
{
    return (stage->roles & TEMPERA_ROLE_FEEDBACK) != 0 ? FEEDBACK
           : (stage->roles & TEMPERA_ROLE_FILTER) != 0 ? FILTERS
           : (stage->roles & TEMPERA_ROLE_BAN) != 0    ? BANS
                                                       : SCORES;
}

size_t cli_sampling_options(struct cli_sampling *s, const struct cli_option *own, size_t n_own,
                            struct cli_option *options)
{
    const size_t temperature = offsetof(struct tempera_sampling_params, temperature);
    const struct tempera_stage_info *stage;
    const struct tempera_parameter_info *p;
    const struct cli_option first[] = {
        {"order", 0, CLI_TEXT, &s->order, "ORDER",
         "in which stages act, see above (default: " DEFAULT_ORDER ")", 0, 0},
        {"min-keep", 0, CLI_INT32, &s->params.min_keep, "N",
         "no filter leaves fewer than N (default: 1)", 0, INT32_MAX},
    };
    const struct cli_option last = {
        "ignore-eos", 0, CLI_FLAG, &s->ignore_eos, NULL, "never the end of the text", 0, 0};
    size_t n_first = sizeof first / sizeof *first, n = n_own, n_helps = 0;
    memcpy(options, own, n_own * sizeof *own);
    memcpy(options + n, first, sizeof first);
    n += n_first;
    for (int group = 0; group < N_GROUPS; group++)
        for (int kind = 1; (stage = tempera_describe_stage(kind)) != NULL; kind++)
            for (size_t i = 0; (p = tempera_describe_parameter(kind, i)) != NULL; i++)
                if (group_of(stage) == group && p->option != NULL && !is_field(p, temperature) &&
                    n_helps + n_first + 1 < CLI_SAMPLING_OPTIONS)
                    options[n++] = option_of(s, p, s->help[n_helps++]);
    options[n++] = last;
    return n;
}

// ------------------------------------------------------------------------------------------------
// Orders

static const struct tempera_preset_info *find_preset(const char *name)
{
    const struct tempera_preset_info *preset;
    for (size_t i = 0; (preset = tempera_describe_preset(i)) != NULL; i++)
        if (strcmp(preset->name, name) == 0)
            return preset;
    return NULL;
}

// A text that grows, and the column that it has come to.
struct text {
    char *bytes; // NUL-terminated
    int column;
};

static void add(struct text *text, const char *more)
{
    size_t length = text->bytes == NULL ? 0 : strlen(text->bytes), n = strlen(more);
    const char *line_end = strrchr(more, '\n');
    text->bytes = cli_realloc(text->bytes, length + n + 1);
    memcpy(text->bytes + length, more, n + 1);
    text->column = line_end != NULL ? (int)strlen(line_end + 1) : text->column + (int)n;
}

// Adds a word and what follows it, on a new line if this one is full.
static void add_word(struct text *text, const char *word, const char *end)
{
    enum { COLUMNS = 98 };
    bool fits = text->column + 1 + (int)(strlen(word) + strlen(end)) <= COLUMNS;
    add(text, fits ? " " : "\n    ");
    add(text, word);
    add(text, end);
}

char *cli_sampling_details(const char *details)
{
    const struct tempera_preset_info *preset;
    struct text text = {NULL, 0};
    add(&text, details);
    add(&text, "\n\nStages act in this order, those that are off being left out:");
    for (size_t i = 0; (preset = tempera_describe_preset(i)) != NULL; i++) {
        add(&text, "\n  ");
        add(&text, preset->name);
        add(&text, " (");
        add(&text, preset->used_by);
        add(&text, strcmp(preset->name, DEFAULT_ORDER) == 0 ? "; the default):" : "):");
        for (size_t s = 0; s < preset->n_order; s++)
            add_word(&text, tempera_stage_name(preset->order[s]),
                     s + 1 < preset->n_order ? "," : "");
    }
    return text.bytes;
}

static bool refuse_order(const char *command, const char *order)
{
    const struct tempera_preset_info *preset;
    struct text text = {NULL, 0};
    add(&text, "");
    for (size_t i = 0; (preset = tempera_describe_preset(i)) != NULL; i++) {
        add(&text, i == 0 ? "" : " or ");
        add(&text, preset->name);
    }
    cli_error("tempera %s: --order is %s, not '%s'", command, text.bytes, cli_shown(order));
    free(text.bytes);
    return false;
}

// ------------------------------------------------------------------------------------------------
// Lists

// llama.cpp's, unless told otherwise: what ends a line or a phrase.
static struct cli_tokens breakers(const struct cli_texts *given,
                                  const struct tempera_tokenizer *tokenizer)
{
    static const char *usual[] = {"\n", ":", "\"", "*"};
    const struct cli_texts defaults = {usual, sizeof usual / sizeof *usual};
    return cli_tokens_with_text(given->count > 0 ? given : &defaults, tokenizer);
}

static bool make_list(struct cli_sampling_list *list, const char *command,
                      const struct tempera_tokenizer *tokenizer)
{
    const struct tempera_parameter_info *parameter = list->parameter;
    if (parameter->type == TEMPERA_PARAMETER_BIASES)
        return cli_token_biases(command, parameter->option, &list->texts, tokenizer, &list->biases);
    if (!is_breakers(parameter))
        return cli_tokens_by_id(command, parameter->option, &list->texts, tokenizer, &list->tokens);
    list->tokens = breakers(&list->texts, tokenizer);
    return true;
}

static void add_token(struct cli_tokens *tokens, int32_t token)
{
    tokens->ids = cli_realloc(tokens->ids, (tokens->count + 1) * sizeof *tokens->ids);
    tokens->ids[tokens->count++] = token;
}

// Puts the list where presets look for it.
static void store_list(struct cli_sampling *s, const struct cli_sampling_list *list)
{
    char *field = (char *)&s->params + list->parameter->params_offset;
    if (list->parameter->type == TEMPERA_PARAMETER_BIASES) {
        s->params.logit_bias = list->biases;
        s->params.n_logit_bias = list->texts.count;
    } else {
        *(struct tempera_token_list *)(void *)field =
            (struct tempera_token_list){list->tokens.ids, list->tokens.count};
    }
}

bool cli_sampling_open(struct cli_sampling *s, const char *command,
                       const struct tempera_tokenizer *tokenizer)
{
    int32_t eos = tempera_tokenizer_eos(tokenizer);
    if (find_preset(s->order) == NULL)
        return refuse_order(command, s->order);
    if (s->params.mirostat > 0 && s->params.adaptive_target >= 0) {
        cli_error("tempera %s: --mirostat and --adaptive-target steer the same thing: choose one",
                  command);
        return false;
    }
    for (size_t i = 0; i < s->n_lists; i++) {
        struct cli_sampling_list *list = &s->lists[i];
        if (!make_list(list, command, tokenizer))
            return false;
        if (s->ignore_eos && eos >= 0 &&
            is_field(list->parameter, offsetof(struct tempera_sampling_params, banned)))
            add_token(&list->tokens, eos);
        store_list(s, list);
    }
    return true;
}

void cli_sampling_close(struct cli_sampling *s)
{
    for (size_t i = 0; i < s->n_lists; i++) {
        free(s->lists[i].tokens.ids);
        free(s->lists[i].biases);
    }
}

struct tempera_sampler cli_sampling_build(struct cli_sampling *s)
{
    return tempera_sampler_of(s->stages, find_preset(s->order)->make(&s->params, s->stages));
}
