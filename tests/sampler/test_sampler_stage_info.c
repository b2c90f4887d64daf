// SPDX-License-Identifier: MIT
// A walk over all stages and all parameters, as stage_info.h describes them: what is in the range
// is accepted, what is just outside is refused by name, what is off does nothing, presets leave it
// out, and put what is on where their order says. And docs/SAMPLING.md says the same:
//
//     test_sampler_stage_info --document
//
// prints what it has to say. That the values reach the right members is in test_sampler_presets.c.
#include "sampler_setup.h"

#include <fenv.h>
#include <float.h>
#include <stdarg.h>

#include <tempera/stage_info.h>

enum { VOCAB = 50, MOST_KINDS = 64 };

static const int32_t ids[] = {3, 7};
static const struct tempera_logit_bias biases[] = {{3, 1.5f}, {7, -INFINITY}};

static bool is_number(const struct tempera_parameter_info *p)
{
    return p->type != TEMPERA_PARAMETER_TOKENS && p->type != TEMPERA_PARAMETER_BIASES;
}

static size_t nbytes_of(const struct tempera_parameter_info *p)
{
    return is_number(p) ? 4 : sizeof(struct tempera_token_list);
}

// Sets a number; of a list, how many there are of those above.
static void set(void *base, size_t offset, const struct tempera_parameter_info *p, double value)
{
    char *at = (char *)base + offset;
    float number = (float)value;
    int32_t integer = is_number(p) && p->type != TEMPERA_PARAMETER_FLOAT ? (int32_t)value : 0;
    size_t count = is_number(p) ? 0 : (size_t)value;
    const void *entries = p->type == TEMPERA_PARAMETER_TOKENS ? (const void *)ids : biases;
    entries = count > 0 ? entries : NULL;
    if (p->type == TEMPERA_PARAMETER_FLOAT) {
        memcpy(at, &number, sizeof number);
    } else if (is_number(p)) {
        memcpy(at, &integer, sizeof integer);
    } else {
        memcpy(at, &entries, sizeof entries);
        memcpy(at + sizeof entries, &count, sizeof count);
    }
}

// What is allowed and not off, and as far as possible not a default.
static double value_on(const struct tempera_parameter_info *p)
{
    if (!is_number(p))
        return COUNT_OF(ids);
    if (p->type == TEMPERA_PARAMETER_FLAG)
        return 1;
    if (p->type != TEMPERA_PARAMETER_FLOAT)
        return p->low + 1;
    return isinf(p->high) ? fmax(p->low, 0) + 1.25 : p->low + 0.25 * (p->high - p->low);
}

// A stage with everything allowed and on.
static struct tempera_stage stage_on(int kind)
{
    struct tempera_stage stage = tempera_stage_of((enum tempera_stage_kind)kind);
    const struct tempera_parameter_info *p;
    for (size_t i = 0; (p = tempera_describe_parameter(kind, i)) != NULL; i++)
        if (p->stage_offset != 0)
            set(&stage, p->stage_offset, p, value_on(p));
    return stage;
}

static bool has_role(int kind, enum tempera_stage_role role)
{
    return (tempera_describe_stage(kind)->roles & role) != 0;
}

// ------------------------------------------------------------------------------------------------
// The description itself

static int n_kinds(void)
{
    int n = 0;
    while (tempera_describe_stage(n + 1) != NULL)
        n++;
    return n;
}

static void kinds_have_names_and_roles(void)
{
    int n = n_kinds();
    CHECK(n >= TEMPERA_STAGE_BAN && n < MOST_KINDS);
    CHECK(tempera_describe_stage(0) == NULL && tempera_describe_stage(-1) == NULL);
    CHECK(tempera_describe_parameter(0, 0) == NULL && tempera_describe_parameter(n + 1, 0) == NULL);
    CHECK(tempera_describe_parameter(1, SIZE_MAX) == NULL);
    for (int kind = 1; kind <= n; kind++) {
        const struct tempera_stage_info *info = tempera_describe_stage(kind);
        CHECK_EQ_STR(info->name, tempera_stage_name((enum tempera_stage_kind)kind));
        CHECK(info->roles != 0);
        size_t n_main = 0;
        const struct tempera_parameter_info *p;
        for (size_t i = 0; (p = tempera_describe_parameter(kind, i)) != NULL; i++) {
            n_main += p->is_main;
            CHECK(!p->is_main || (is_number(p) && p->stage_offset != 0));
        }
        CHECK(n_main <= 1);
        for (int other = 1; other < kind; other++)
            CHECK(strcmp(info->name, tempera_describe_stage(other)->name) != 0);
    }
}

// Two parameters are one where they are the same field, and then they agree.
static void check_pair(const struct tempera_parameter_info *p, bool of_one_stage,
                       const struct tempera_parameter_info *q)
{
    if (of_one_stage) {
        CHECK(strcmp(p->name, q->name) != 0);
        CHECK(p->stage_offset == 0 || p->stage_offset != q->stage_offset);
    }
    if (p->option != NULL && q->option != NULL) {
        CHECK(strcmp(p->option, q->option) != 0);
        if (!CHECK(p->params_offset != q->params_offset))
            printf("# --%s and --%s are one field\n", p->option, q->option);
    }
    if (p->params_offset != 0 && p->params_offset == q->params_offset) {
        CHECK(p->type == q->type && p->low == q->low && p->high == q->high);
        CHECK(p->default_value == q->default_value && p->llama_cpp_value == q->llama_cpp_value);
        CHECK((p->option == NULL) != (q->option == NULL));
    }
}

static void parameters_are_told_apart(void)
{
    const struct tempera_parameter_info *p, *q;
    for (int kind = 1; kind <= n_kinds(); kind++)
        for (size_t i = 0; (p = tempera_describe_parameter(kind, i)) != NULL; i++) {
            CHECK(p->stage_offset != 0 || p->params_offset != 0);
            CHECK(p->option == NULL || p->params_offset != 0);
            CHECK(p->option == NULL || strlen(p->help) <= (is_number(p) ? 52 : 69)); // one line
            CHECK(p->type == TEMPERA_PARAMETER_FLAG || !is_number(p) || p->low < p->high);
            CHECK(p->type == TEMPERA_PARAMETER_FLAG || p->option == NULL || p->argument != NULL);
            for (int other = 1; other <= kind; other++)
                for (size_t j = 0; (q = tempera_describe_parameter(other, j)) != NULL; j++)
                    if (other < kind || j < i)
                        check_pair(p, other == kind, q);
        }
}

// No field of the presets' parameters was forgotten: what is left is the padding before lists.
static void every_field_is_a_parameter(void)
{
    enum { UNKNOWN, FIELD, LIST };
    char bytes[sizeof(struct tempera_sampling_params) + 1] = {UNKNOWN};
    const struct tempera_parameter_info *p;
    memset(bytes + offsetof(struct tempera_sampling_params, struct_size), FIELD, sizeof(size_t));
    memset(bytes + offsetof(struct tempera_sampling_params, min_keep), FIELD, sizeof(uint32_t));
    bytes[sizeof bytes - 1] = LIST;
    for (int kind = 1; kind <= n_kinds(); kind++)
        for (size_t i = 0; (p = tempera_describe_parameter(kind, i)) != NULL; i++)
            if (p->params_offset != 0)
                memset(bytes + p->params_offset, is_number(p) ? FIELD : LIST, nbytes_of(p));
    for (size_t i = 0; i < sizeof bytes - 1; i += 4)
        if (bytes[i] == UNKNOWN && !CHECK(i % 8 == 4 && bytes[i + 4] == LIST))
            printf("# no parameter at byte %zu\n", i);
    CHECK_EQ_INT(bytes[offsetof(struct tempera_sampling_params, top_p)], FIELD);
}

// ------------------------------------------------------------------------------------------------
// Ranges

static void check_accepted(const struct tempera_stage *stage, const char *parameter)
{
    struct tempera_sampler sampler = tempera_sampler_of(stage, 1);
    struct tempera_error error = {0};
    if (!CHECK_STATUS(tempera_sampler_check(&sampler, &error), TEMPERA_OK))
        printf("# %s: %s\n", parameter, error.message);
}

// The parameter is set to a value and refused by its name and its stage's.
static void check_refused(int kind, const struct tempera_parameter_info *p, double value)
{
    struct tempera_stage stage = stage_on(kind);
    char what[100];
    set(&stage, p->stage_offset, p, value);
    snprintf(what, sizeof what, ", %s: %s must be ", tempera_describe_stage(kind)->name, p->name);
    check_complaint(stage, what);
}

static void check_value(int kind, const struct tempera_parameter_info *p, double value)
{
    struct tempera_stage stage = stage_on(kind);
    if (kind == TEMPERA_STAGE_DYNAMIC_TEMPERATURE) { // low <= high
        stage.u.dynamic_temperature.low = 0;
        stage.u.dynamic_temperature.high = FLT_MAX;
    }
    set(&stage, p->stage_offset, p, value);
    check_accepted(&stage, p->name);
}

static void check_float_range(int kind, const struct tempera_parameter_info *p)
{
    float low = (float)p->low, high = (float)p->high;
    if (p->low_is_open)
        check_refused(kind, p, (double)low);
    else if (!isinf(low))
        check_refused(kind, p, (double)nextafterf(low, -INFINITY));
    if (p->high_is_open)
        check_refused(kind, p, (double)high);
    else if (!isinf(high))
        check_refused(kind, p, (double)nextafterf(high, INFINITY));
    check_refused(kind, p, NAN);
    check_refused(kind, p, -INFINITY);
    check_value(kind, p, (double)(p->low_is_open ? nextafterf(low, INFINITY) : low));
    check_value(kind, p, (double)(p->high_is_open ? nextafterf(high, -INFINITY) : high));
}

static void check_int_range(int kind, const struct tempera_parameter_info *p)
{
    check_refused(kind, p, p->low - 1);
    check_refused(kind, p, INT32_MIN);
    if (p->high < INT32_MAX)
        check_refused(kind, p, p->high + 1);
    check_value(kind, p, p->low);
    check_value(kind, p, p->high);
}

static void check_list(int kind, const struct tempera_parameter_info *p)
{
    static const int32_t bad_ids[] = {0, -1};
    static const struct tempera_logit_bias bad_biases[][2] = {
        {{0, 1}, {-1, 1}}, {{0, 1}, {1, NAN}}, {{0, 1}, {1, INFINITY}}};
    struct tempera_stage stage = stage_on(kind);
    char *at = (char *)&stage + p->stage_offset;
    const void *entries = NULL;
    memcpy(at, &entries, sizeof entries);
    check_complaint(stage, p->type == TEMPERA_PARAMETER_TOKENS ? "no ids" : "no entries");
    for (size_t i = 0; i < (p->type == TEMPERA_PARAMETER_TOKENS ? 1 : 3); i++) {
        entries = p->type == TEMPERA_PARAMETER_TOKENS ? (const void *)bad_ids : bad_biases[i];
        memcpy(at, &entries, sizeof entries);
        check_complaint(stage, i == 0 ? "negative" : "a bias of entries is NaN or +inf");
    }
    check_value(kind, p, 0);
}

static void ranges(void)
{
    const struct tempera_parameter_info *p;
    for (int kind = 1; kind <= n_kinds(); kind++) {
        struct tempera_stage stage = stage_on(kind);
        check_accepted(&stage, tempera_describe_stage(kind)->name);
        for (size_t i = 0; (p = tempera_describe_parameter(kind, i)) != NULL; i++) {
            if (p->stage_offset == 0 || p->type == TEMPERA_PARAMETER_FLAG)
                continue;
            if (p->type == TEMPERA_PARAMETER_FLOAT)
                check_float_range(kind, p);
            else if (is_number(p))
                check_int_range(kind, p);
            else
                check_list(kind, p);
        }
    }
}

// ------------------------------------------------------------------------------------------------
// Off

static bool stage_has_off(const struct tempera_parameter_info *p)
{
    return p->stage_offset != 0 && (!is_number(p) ? p->off == 0 : p->off >= p->low) &&
           !(p->off > p->high && is_number(p));
}

// The distribution after this stage is the row's own.
static void check_changes_nothing(struct tempera_stage stage)
{
    static const int32_t history[] = {1, 2, 3, 1, 2, 3, 1, 2};
    float z[VOCAB], got[VOCAB], expected[VOCAB];
    for (size_t i = 0; i < VOCAB; i++)
        z[i] = (float)check_random_between(-3, 3);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1),
                           none = tempera_sampler_of(NULL, 0);
    struct tempera_sampler_state *state = new_state(&sampler, history, COUNT_OF(history));
    struct tempera_sample_row row = {.sampler = &sampler, .state = state};
    struct tempera_sample_row plain = {.sampler = &none};
    struct tempera_sample_result a = probs_of_row(z, VOCAB, &row, got);
    struct tempera_sample_result b = probs_of_row(z, VOCAB, &plain, expected);
    CHECK_EQ_U64(a.n_kept, b.n_kept);
    if (!CHECK_MEM(got, expected, sizeof got))
        printf("# %s is not off\n", tempera_stage_name(stage.kind));
    free(state);
}

static void off_is_off(void)
{
    const struct tempera_parameter_info *p;
    for (int kind = 1; kind <= n_kinds(); kind++) {
        struct tempera_stage stage = stage_on(kind);
        size_t n_off = 0;
        for (size_t i = 0; (p = tempera_describe_parameter(kind, i)) != NULL; i++) {
            if (p->type == TEMPERA_PARAMETER_WINDOW) {
                struct tempera_stage blind = stage_on(kind);
                set(&blind, p->stage_offset, p, 0);
                check_changes_nothing(blind);
            }
            if (!stage_has_off(p))
                continue;
            set(&stage, p->stage_offset, p, p->off);
            n_off++;
        }
        if (n_off > 0 && kind != TEMPERA_STAGE_ALLOW)
            check_changes_nothing(stage);
    }
}

// ------------------------------------------------------------------------------------------------
// Presets

static struct tempera_stage stages[TEMPERA_PRESET_STAGES];

static bool is_one_of_several_mirostats(int kind)
{
    return has_role(kind, TEMPERA_ROLE_FILTER) && has_role(kind, TEMPERA_ROLE_FEEDBACK);
}

static void orders_have_every_kind_once(void)
{
    const struct tempera_preset_info *preset;
    CHECK(tempera_describe_preset(0) != NULL && tempera_describe_preset(SIZE_MAX) == NULL);
    for (size_t i = 0; (preset = tempera_describe_preset(i)) != NULL; i++) {
        int count[MOST_KINDS] = {0};
        CHECK(preset->n_order <= TEMPERA_PRESET_STAGES);
        for (size_t s = 0; s < preset->n_order; s++)
            count[preset->order[s]]++;
        for (int kind = 1; kind <= n_kinds(); kind++)
            if (!CHECK_EQ_INT(count[kind], 1))
                printf("# %s in %s\n", tempera_describe_stage(kind)->name, preset->name);
    }
}

// Switched on by this parameter alone, the chain is this stage alone, with the value in it and
// defaults beside it.
static void check_switch(const struct tempera_preset_info *preset, int kind,
                         const struct tempera_parameter_info *p)
{
    struct tempera_sampling_params params = tempera_sampling_params_default();
    const struct tempera_parameter_info *q;
    params.min_keep = 3;
    set(&params, p->params_offset, p, value_on(p));
    size_t n = preset->make(&params, stages);
    if (!CHECK(n == 1 && (int)stages[0].kind == kind)) {
        printf("# --%s in %s: %zu stages\n", p->option, preset->name, n);
        return;
    }
    CHECK_EQ_U64(stages[0].min_keep, 3);
    check_accepted(&stages[0], p->option);
    for (size_t i = 0; (q = tempera_describe_parameter(kind, i)) != NULL; i++) {
        if (q->params_offset == 0 || q->stage_offset == 0)
            continue;
        CHECK_MEM((char *)&stages[0] + q->stage_offset, (char *)&params + q->params_offset,
                  nbytes_of(q));
        struct tempera_sampling_params expected = tempera_sampling_params_default();
        set(&expected, q->params_offset, q, q == p ? value_on(q) : q->default_value);
        CHECK_MEM((char *)&stages[0] + q->stage_offset, (char *)&expected + q->params_offset,
                  nbytes_of(q));
    }
    if (p->type == TEMPERA_PARAMETER_FLOAT) {
        set(&params, p->params_offset, p, NAN);
        struct tempera_sampler sampler = tempera_sampler_of(stages, preset->make(&params, stages));
        CHECK_STATUS(tempera_sampler_check(&sampler, NULL), TEMPERA_INVALID_ARGUMENT);
        set(&params, p->params_offset, p, -1);
        n = preset->make(&params, stages);
        CHECK((n == 0) == p->negative_is_off);
    }
}

static void presets_leave_out_what_is_off(void)
{
    struct tempera_sampling_params off = tempera_sampling_params_default();
    const struct tempera_preset_info *preset;
    const struct tempera_parameter_info *p;
    for (size_t i = 0; (preset = tempera_describe_preset(i)) != NULL; i++) {
        CHECK_EQ_SIZE(preset->make(&off, stages), 0);
        for (int kind = 1; kind <= n_kinds(); kind++)
            for (size_t j = 0; (p = tempera_describe_parameter(kind, j)) != NULL; j++)
                if (p->params_offset != 0 && !isnan(p->off))
                    check_switch(preset, kind, p);
    }
}

// Everything on at once but what replaces something else.
static struct tempera_sampling_params all_on(void)
{
    struct tempera_sampling_params params = tempera_sampling_params_default();
    const struct tempera_parameter_info *p;
    for (int kind = 1; kind <= n_kinds(); kind++)
        for (size_t j = 0; (p = tempera_describe_parameter(kind, j)) != NULL; j++)
            if (p->params_offset != 0 && kind != TEMPERA_STAGE_DYNAMIC_TEMPERATURE &&
                !is_one_of_several_mirostats(kind))
                set(&params, p->params_offset, p, value_on(p));
    return params;
}

static void check_order(const struct tempera_preset_info *preset,
                        const struct tempera_sampling_params *params)
{
    size_t n = preset->make(params, stages), at = 0;
    int mirostat = params->mirostat == 1   ? TEMPERA_STAGE_MIROSTAT_1
                   : params->mirostat == 2 ? TEMPERA_STAGE_MIROSTAT_2
                                           : 0;
    for (size_t i = 0; i < preset->n_order; i++) {
        int kind = (int)preset->order[i];
        bool is_there = is_one_of_several_mirostats(kind)           ? kind == mirostat
                        : has_role(kind, TEMPERA_ROLE_FEEDBACK)     ? mirostat == 0
                        : has_role(kind, TEMPERA_ROLE_FILTER)       ? mirostat == 0
                        : kind == TEMPERA_STAGE_TEMPERATURE         ? params->temperature_range == 0
                        : kind == TEMPERA_STAGE_DYNAMIC_TEMPERATURE ? params->temperature_range != 0
                                                                    : true;
        if (!is_there)
            continue;
        if (!CHECK(at < n && (int)stages[at].kind == kind))
            printf("# %s: %s\n", preset->name, tempera_describe_stage(kind)->name);
        at++;
    }
    CHECK_EQ_SIZE(n, at);
}

static void presets_follow_their_orders(void)
{
    const struct tempera_preset_info *preset;
    for (size_t i = 0; (preset = tempera_describe_preset(i)) != NULL; i++)
        for (int version = 0; version <= 2; version++)
            for (int has_range = 0; has_range <= 1; has_range++) {
                struct tempera_sampling_params params = all_on();
                params.mirostat = version;
                params.adaptive_target = version == 0 ? params.adaptive_target : -1;
                params.temperature_range = has_range ? 0.5f : 0;
                check_order(preset, &params);
            }
}

static void defaults_are_those_described(void)
{
    struct tempera_sampling_params off = tempera_sampling_params_default();
    struct tempera_sampling_params llama = tempera_sampling_params_llama_cpp();
    const struct tempera_parameter_info *p;
    for (int kind = 1; kind <= n_kinds(); kind++)
        for (size_t j = 0; (p = tempera_describe_parameter(kind, j)) != NULL; j++) {
            struct tempera_sampling_params a = off, b = llama;
            if (p->params_offset == 0)
                continue;
            if (is_number(p)) {
                set(&a, p->params_offset, p, p->default_value);
                set(&b, p->params_offset, p, p->llama_cpp_value);
            }
            CHECK_MEM(&a, &off, sizeof a);
            CHECK_MEM(&b, &llama, sizeof b);
        }
    // In any rounding mode.
    static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        fesetround(modes[i]);
        struct tempera_sampling_params again = tempera_sampling_params_llama_cpp();
        fesetround(FE_TONEAREST);
        CHECK_MEM(&again, &llama, sizeof again);
    }
}

// ------------------------------------------------------------------------------------------------
// The document

// A text that grows; blanks and line ends are all one blank.
struct text {
    char bytes[40000];
    size_t nbytes;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text->nbytes += (size_t)vsnprintf(text->bytes + text->nbytes, sizeof text->bytes - text->nbytes,
                                      format, arguments);
    va_end(arguments);
}

static void add_range(struct text *text, const struct tempera_parameter_info *p)
{
    if (p->type == TEMPERA_PARAMETER_FLAG)
        add(text, "on or off");
    else if (!is_number(p))
        add(text, p->type == TEMPERA_PARAMETER_TOKENS ? "tokens" : "biases of tokens");
    else if (p->type != TEMPERA_PARAMETER_FLOAT && p->high == INT32_MAX)
        add(text, "%.0f, %.0f, ...", p->low, p->low + 1);
    else if (p->type == TEMPERA_PARAMETER_WINDOW)
        add(text, "0, ..., 2^%d", ilogb(p->high));
    else if (p->type != TEMPERA_PARAMETER_FLOAT)
        add(text, "%.0f, ..., %.0f", p->low, p->high);
    else
        add(text, "%c%g, %g%c", p->low_is_open ? '(' : '[', p->low, p->high,
            p->high_is_open ? ')' : ']');
}

// | top-p | p | [0, 1] | 1 | 1; 0.95 | --top-p |
static void add_row(struct text *text, int kind, const struct tempera_parameter_info *p)
{
    add(text, "| %s | `%s` | ", tempera_describe_stage(kind)->name, p->name);
    add_range(text, p);
    add(text, " | ");
    if (p->negative_is_off && p->off >= 0)
        add(text, "%g, negative", p->off);
    else if (p->negative_is_off)
        add(text, "negative");
    else if (p->type == TEMPERA_PARAMETER_WINDOW)
        add(text, "0");
    else if (!is_number(p) && p->off == 0)
        add(text, "none");
    else if (!isnan(p->off))
        add(text, "%g", p->off);
    add(text, " | ");
    if (p->params_offset != 0 && is_number(p))
        add(text, "%g", p->default_value);
    if (p->params_offset != 0 && is_number(p) && p->llama_cpp_value != p->default_value)
        add(text, "; llama.cpp %g", p->llama_cpp_value);
    add(text, " | %s%s |\n", p->option == NULL ? "" : "--", p->option == NULL ? "" : p->option);
}

static void add_table(struct text *text)
{
    const struct tempera_parameter_info *p;
    add(text,
        "| stage | parameter | range | off | default | option |\n|---|---|---|---|---|---|\n");
    for (int kind = 1; kind <= n_kinds(); kind++)
        for (size_t i = 0; (p = tempera_describe_parameter(kind, i)) != NULL; i++)
            add_row(text, kind, p);
}

static void add_order(struct text *text, const struct tempera_preset_info *preset)
{
    add(text, "- `%s` (%s):", preset->name, preset->used_by);
    for (size_t i = 0; i < preset->n_order; i++)
        add(text, "%s %s", i == 0 ? "" : ",", tempera_stage_name(preset->order[i]));
    add(text, ".\n");
}

static void squeeze(struct text *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->nbytes; i++) {
        bool is_blank = text->bytes[i] == ' ' || text->bytes[i] == '\n';
        if (!is_blank || n == 0 || text->bytes[n - 1] != ' ')
            text->bytes[n++] = is_blank ? ' ' : text->bytes[i];
    }
    text->bytes[n] = '\0';
    text->nbytes = n;
}

static void check_said(const struct text *document, struct text *said)
{
    printf("# %.60s...\n", said->bytes);
    squeeze(said);
    if (!CHECK(strstr(document->bytes, said->bytes) != NULL))
        printf("# docs/SAMPLING.md must have what --document prints\n");
}

// The table of effects is by hand; it has every kind.
static void check_effects(const struct text *document)
{
    const char *table = strstr(document->bytes, "| stage | effect |");
    const char *end = table == NULL ? NULL : strstr(table, "Each has these parameters");
    const struct tempera_stage_info *stage;
    if (!CHECK(end != NULL))
        return;
    for (int kind = 1; (stage = tempera_describe_stage(kind)) != NULL; kind++) {
        const char *at = strstr(table, stage->name);
        size_t length = strlen(stage->name);
        while (at != NULL && at < end && (at[-1] != ' ' || strchr(" ,", at[length]) == NULL))
            at = strstr(at + 1, stage->name);
        if (!CHECK(at != NULL && at < end))
            printf("# docs/SAMPLING.md has no effect of %s\n", stage->name);
    }
}

static void the_document_says_so(void)
{
    static struct text document, said;
    const struct tempera_preset_info *preset;
    FILE *file = fopen(TEMPERA_SOURCE_DIR "/docs/SAMPLING.md", "r");
    if (!CHECK(file != NULL))
        return;
    document.nbytes = fread(document.bytes, 1, sizeof document.bytes - 1, file);
    CHECK(feof(file));
    fclose(file);
    squeeze(&document);
    check_effects(&document);
    add_table(&said);
    check_said(&document, &said);
    for (size_t i = 0; (preset = tempera_describe_preset(i)) != NULL; i++) {
        said.nbytes = 0;
        add_order(&said, preset);
        check_said(&document, &said);
    }
}

static int print_document(void)
{
    static struct text text;
    const struct tempera_preset_info *preset;
    add_table(&text);
    add(&text, "\n");
    for (size_t i = 0; (preset = tempera_describe_preset(i)) != NULL; i++)
        add_order(&text, preset);
    fputs(text.bytes, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"kinds have names and roles", kinds_have_names_and_roles},
        {"no two parameters share a field or an option", parameters_are_told_apart},
        {"every field of the presets is a parameter", every_field_is_a_parameter},
        {"what is in a range is accepted, what is outside is refused by name", ranges},
        {"what is off changes nothing", off_is_off},
        {"every kind is once in each order", orders_have_every_kind_once},
        {"presets leave out what is off", presets_leave_out_what_is_off},
        {"presets follow their orders", presets_follow_their_orders},
        {"defaults are those described", defaults_are_those_described},
        {"docs/SAMPLING.md has all parameters and orders", the_document_says_so},
    };
    if (argc == 2 && strcmp(argv[1], "--document") == 0)
        return print_document();
    return CHECK_RUN(tests, argc, argv);
}
