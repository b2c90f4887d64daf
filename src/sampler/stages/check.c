// SPDX-License-Identifier: MIT
// Checks by the table of stages: every number that reaches the other files is in its range. Also
// the tokens that a stage names and the window that it needs, by the types of its parameters.
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "sampler/stages/stages.h"
#include "sampler/stages/token_lists.h"

// ------------------------------------------------------------------------------------------------
// Values

// A parameter of type TEMPERA_PARAMETER_BIASES, as it lies in structs.
struct biases {
    const struct tempera_logit_bias *entries;
    size_t count;
};

static struct biases biases_at(const void *value)
{
    struct biases biases;
    memcpy(&biases, value, sizeof biases);
    return biases;
}

double tempera_parameter_number(enum tempera_parameter_type type, const void *value)
{
    switch (type) {
    case TEMPERA_PARAMETER_FLOAT:
        return (double)*(const float *)value;
    case TEMPERA_PARAMETER_TOKENS:
        return (double)((const struct tempera_token_list *)value)->count;
    case TEMPERA_PARAMETER_BIASES:
        return (double)biases_at(value).count;
    default:
        return *(const int32_t *)value;
    }
}

static const void *value_of(const struct tempera_stage *stage,
                            const struct tempera_parameter_info *parameter)
{
    return (const char *)stage + parameter->stage_offset;
}

int32_t tempera_stage_highest_token(const struct tempera_stage *stage)
{
    const struct tempera_stage_type *type = tempera_stage_type_of(stage->kind);
    int32_t highest = -1;
    for (const struct tempera_parameter_info *p = type->parameters; p->name != NULL; p++) {
        if (p->type == TEMPERA_PARAMETER_TOKENS) {
            int32_t token = tempera_highest_token(value_of(stage, p));
            highest = token > highest ? token : highest;
        } else if (p->type == TEMPERA_PARAMETER_BIASES) {
            struct biases biases = biases_at(value_of(stage, p));
            for (size_t i = 0; i < biases.count; i++)
                highest = biases.entries[i].token > highest ? biases.entries[i].token : highest;
        }
    }
    return highest;
}

int32_t tempera_stage_window(const struct tempera_stage *stage)
{
    const struct tempera_stage_type *type = tempera_stage_type_of(stage->kind);
    int32_t longest = 0;
    for (const struct tempera_parameter_info *p = type->parameters; p->name != NULL; p++) {
        if (p->type != TEMPERA_PARAMETER_WINDOW)
            continue;
        int32_t window = *(const int32_t *)value_of(stage, p);
        longest = window > longest ? window : longest;
    }
    return longest;
}

const struct tempera_stage *tempera_feedback_stage(const struct tempera_sampler *sampler)
{
    if (sampler->n_stages == 0)
        return NULL;
    const struct tempera_stage *last = &sampler->stages[sampler->n_stages - 1];
    return tempera_stage_type_of(last->kind)->next_feedback == NULL ? NULL : last;
}

size_t tempera_sampler_stage_scratch_nbytes(const struct tempera_sampler *sampler, size_t vocab)
{
    size_t most = 0;
    for (size_t i = 0; i < sampler->n_stages; i++) {
        const struct tempera_stage_type *type = tempera_stage_type_of(sampler->stages[i].kind);
        size_t nbytes =
            type->scratch_nbytes == NULL ? 0 : type->scratch_nbytes(&sampler->stages[i], vocab);
        most = nbytes > most ? nbytes : most;
    }
    return most;
}

// ------------------------------------------------------------------------------------------------
// What is wrong with a parameter

// A text that is put together piece by piece, and cut where it has no more room.
struct text {
    char bytes[200];
    size_t nbytes;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = sizeof text->bytes - text->nbytes;
    int n = vsnprintf(text->bytes + text->nbytes, room, format, arguments);
    va_end(arguments);
    text->nbytes += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

// "p must be in [0, 1], not 1.5; 1 is off".
static void add_range(struct text *text, const struct tempera_parameter_info *p, double value)
{
    bool is_int = p->type != TEMPERA_PARAMETER_FLOAT, unlimited = isinf(p->high) && p->high_is_open;
    add(text, "%s must be ", p->name);
    if (unlimited && isinf(p->low))
        add(text, "finite");
    else if (unlimited)
        add(text, p->low_is_open ? "above %g and finite" : "%g or more, and finite", p->low);
    else if (is_int && p->high == INT32_MAX)
        add(text, "%g or more", p->low);
    else
        add(text, "in %c%.10g, %.10g%c", p->low_is_open ? '(' : '[', p->low, p->high,
            p->high_is_open ? ')' : ']');
    add(text, ", not %.*g", is_int ? 10 : 9, value);
    if (p->type == TEMPERA_PARAMETER_WINDOW)
        add(text, "; 0 is off");
    else if (p->off >= p->low && p->off <= p->high)
        add(text, "; %g is off", p->off);
}

static bool is_in_range(const struct tempera_parameter_info *p, double value)
{
    return (p->low_is_open ? value > p->low : value >= p->low) &&
           (p->high_is_open ? value < p->high : value <= p->high);
}

static bool has_good_tokens(struct text *text, const struct tempera_parameter_info *p,
                            const struct tempera_token_list *list)
{
    if (list->count > 0 && list->ids == NULL) {
        add(text, "%s has a count but no ids", p->name);
        return false;
    }
    for (size_t i = 0; i < list->count; i++)
        if (list->ids[i] < 0) {
            add(text, "%s has a negative token", p->name);
            return false;
        }
    return true;
}

static bool has_good_biases(struct text *text, const struct tempera_parameter_info *p,
                            struct biases biases)
{
    if (biases.count > 0 && biases.entries == NULL) {
        add(text, "%s has a count but no entries", p->name);
        return false;
    }
    for (size_t i = 0; i < biases.count; i++) {
        const struct tempera_logit_bias *entry = &biases.entries[i];
        if (entry->token >= 0 && entry->bias < INFINITY)
            continue;
        if (entry->token < 0)
            add(text, "%s has a negative token", p->name);
        else
            add(text, "a bias of %s is NaN or +inf; it must be finite, or -inf to ban", p->name);
        return false;
    }
    return true;
}

static bool is_good(struct text *text, const struct tempera_parameter_info *p, const void *value)
{
    double number;
    switch (p->type) {
    case TEMPERA_PARAMETER_TOKENS:
        return has_good_tokens(text, p, value);
    case TEMPERA_PARAMETER_BIASES:
        return has_good_biases(text, p, biases_at(value));
    case TEMPERA_PARAMETER_FLAG:
        return true;
    default:
        number = tempera_parameter_number(p->type, value);
        if (is_in_range(p, number))
            return true;
        add_range(text, p, number);
        return false;
    }
}

// ------------------------------------------------------------------------------------------------
// Samplers

// name: of the stage's kind, "" if it has none.
static enum tempera_status refuse_stage(struct tempera_error *error, enum tempera_status status,
                                        size_t number, const char *name, const char *what)
{
    return tempera_fail(error, status, "stage %zu of the sampler (counted from 0)%s%s: %s", number,
                        *name == '\0' ? "" : ", ", name, what);
}

static enum tempera_status check_stage(const struct tempera_sampler *sampler, size_t number,
                                       struct tempera_error *error)
{
    const struct tempera_stage *stage = &sampler->stages[number];
    const struct tempera_stage_type *type = tempera_stage_type_of(stage->kind);
    struct text text;
    text.nbytes = 0;
    if (type == NULL) // 0 was never set; another may be a later version's
        return refuse_stage(error,
                            stage->kind == 0 ? TEMPERA_INVALID_ARGUMENT : TEMPERA_UNSUPPORTED,
                            number, "", "this version has no such kind of stage");
    for (const struct tempera_parameter_info *p = type->parameters; p->name != NULL; p++)
        if (p->stage_offset != 0 && !is_good(&text, p, value_of(stage, p)))
            return refuse_stage(error, TEMPERA_INVALID_ARGUMENT, number, type->info.name,
                                text.bytes);
    const char *what = type->complaint == NULL ? NULL : type->complaint(stage);
    if (what == NULL && type->next_feedback != NULL && number + 1 < sampler->n_stages)
        what = "a stage with feedback must be the last one";
    if (what != NULL)
        return refuse_stage(error, TEMPERA_INVALID_ARGUMENT, number, type->info.name, what);
    return TEMPERA_OK;
}

static enum tempera_status check(const struct tempera_sampler *sampler, struct tempera_error *error)
{
    if (sampler == NULL || sampler->struct_size < sizeof *sampler)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "the sampler is NULL or its struct_size is too small");
    if (sampler->n_stages > 0 && sampler->stages == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "the sampler has a number of stages, but no stages");
    if (sampler->draw != TEMPERA_DRAW_MASS && sampler->draw != TEMPERA_DRAW_RACE)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "the sampler's draw is neither by mass nor a race");
    for (size_t i = 0; i < sampler->n_stages; i++)
        TEMPERA_TRY(check_stage(sampler, i, error));
    return tempera_succeed(error);
}

enum tempera_status tempera_sampler_check(const struct tempera_sampler *sampler,
                                          struct tempera_error *error)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = check(sampler, error);
    tempera_fpenv_carry(&status);
    tempera_fpenv_leave(env);
    return status;
}
