// SPDX-License-Identifier: MIT
// Named parameters, made into stages in the orders that engines use: what is where, and what is
// off, is said by the table.
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <tempera/presets.h>

#include "base/fpenv.h"
#include "sampler/stages/stages.h"

// ------------------------------------------------------------------------------------------------
// Defaults

static void set(void *params, const struct tempera_parameter_info *parameter, double value)
{
    char *field = (char *)params + parameter->params_offset;
    bool has_number =
        parameter->type == TEMPERA_PARAMETER_FLOAT || parameter->type == TEMPERA_PARAMETER_INT32 ||
        parameter->type == TEMPERA_PARAMETER_WINDOW || parameter->type == TEMPERA_PARAMETER_FLAG;
    if (parameter->params_offset == 0 || !has_number)
        return;
    if (parameter->type == TEMPERA_PARAMETER_FLOAT)
        *(float *)(void *)field = (float)value;
    else
        *(int32_t *)(void *)field = (int32_t)value;
}

static struct tempera_sampling_params defaults(bool of_llama_cpp)
{
    struct tempera_sampling_params params = {.struct_size = sizeof params};
    const struct tempera_parameter_info *parameter;
    struct tempera_fpenv env = tempera_fpenv_enter();
    for (int kind = 1; tempera_describe_stage(kind) != NULL; kind++)
        for (size_t i = 0; (parameter = tempera_describe_parameter(kind, i)) != NULL; i++)
            set(&params, parameter,
                of_llama_cpp ? parameter->llama_cpp_value : parameter->default_value);
    tempera_fpenv_carry(&params);
    tempera_fpenv_leave(env);
    return params;
}

struct tempera_sampling_params tempera_sampling_params_default(void)
{
    return defaults(false);
}

struct tempera_sampling_params tempera_sampling_params_llama_cpp(void)
{
    return defaults(true);
}

// ------------------------------------------------------------------------------------------------
// Stages. Only the exact off-values are off, so that a NaN gets into the chain and is refused
// there.

static size_t nbytes_of(enum tempera_parameter_type type)
{
    switch (type) {
    case TEMPERA_PARAMETER_TOKENS:
        return sizeof(struct tempera_token_list);
    case TEMPERA_PARAMETER_BIASES:
        return sizeof(const struct tempera_logit_bias *) + sizeof(size_t);
    default:
        return sizeof(int32_t); // or a float
    }
}

static bool is_on(const struct tempera_sampling_params *params,
                  const struct tempera_parameter_info *parameter)
{
    const char *field = (const char *)params + parameter->params_offset;
    double value = tempera_parameter_number(parameter->type, field);
    return value != parameter->off && !(parameter->negative_is_off && value < 0);
}

// Makes the stage; returns whether it is on.
static bool make(const struct tempera_sampling_params *params, enum tempera_stage_kind kind,
                 struct tempera_stage *stage)
{
    const struct tempera_stage_type *type = tempera_stage_type_of(kind);
    bool on = false;
    *stage = tempera_stage_keeping(tempera_stage_of(kind), params->min_keep);
    for (const struct tempera_parameter_info *p = type->parameters; p->name != NULL; p++) {
        if (p->params_offset == 0)
            continue;
        if (p->stage_offset != 0)
            memcpy((char *)stage + p->stage_offset, (const char *)params + p->params_offset,
                   nbytes_of(p->type));
        on |= !isnan(p->off) && is_on(params, p);
    }
    return type->preset != NULL ? type->preset(params, stage) : on;
}

// A range around 0 or inf has no meaning: those temperatures stay as they are.
static bool has_range(const struct tempera_sampling_params *p)
{
    return p->temperature_range != 0 && p->temperature != 0 && p->temperature != INFINITY;
}

bool tempera_preset_of_temperature(const struct tempera_sampling_params *p,
                                   struct tempera_stage *stage)
{
    (void)stage;
    return !has_range(p) && p->temperature != 1;
}

bool tempera_preset_of_dynamic_temperature(const struct tempera_sampling_params *p,
                                           struct tempera_stage *stage)
{
    float T = p->temperature, range = p->temperature_range;
    stage->u.dynamic_temperature.low = T < range ? 0 : T - range;
    stage->u.dynamic_temperature.high = T + range > FLT_MAX ? FLT_MAX : T + range;
    return has_range(p);
}

// Another version than 0, 1 and 2 gives a stage of no kind, which is refused.
bool tempera_preset_of_mirostat_1(const struct tempera_sampling_params *p,
                                  struct tempera_stage *stage)
{
    if (p->mirostat != 1)
        stage->kind = (enum tempera_stage_kind)0;
    return p->mirostat != 0 && p->mirostat != 2;
}

bool tempera_preset_of_mirostat_2(const struct tempera_sampling_params *p,
                                  struct tempera_stage *stage)
{
    (void)stage;
    return p->mirostat == 2;
}

// ------------------------------------------------------------------------------------------------
// Presets

static size_t make_all(const struct tempera_sampling_params *params,
                       const struct tempera_preset_info *preset, struct tempera_stage *stages)
{
    size_t n = 0;
    for (size_t i = 0; i < preset->n_order; i++) {
        struct tempera_stage stage;
        unsigned int roles = tempera_describe_stage((int)preset->order[i])->roles;
        bool is_replaced = params->mirostat != 0 && (roles & TEMPERA_ROLE_FILTER) != 0 &&
                           (roles & TEMPERA_ROLE_FEEDBACK) == 0;
        if (!is_replaced && make(params, preset->order[i], &stage))
            stages[n++] = stage;
    }
    return n;
}

static size_t chain(const struct tempera_sampling_params *params, size_t preset,
                    struct tempera_stage *stages)
{
    if (params == NULL || params->struct_size < sizeof *params) {
        stages[0] = tempera_stage_of((enum tempera_stage_kind)0);
        return 1;
    }
    struct tempera_fpenv env = tempera_fpenv_enter();
    size_t n = make_all(params, tempera_describe_preset(preset), stages);
    tempera_fpenv_carry(&n);
    tempera_fpenv_leave(env);
    return n;
}

size_t tempera_preset_temperature_first(const struct tempera_sampling_params *params,
                                        struct tempera_stage *stages)
{
    return chain(params, TEMPERA_TEMPERATURE_FIRST, stages);
}

size_t tempera_preset_temperature_last(const struct tempera_sampling_params *params,
                                       struct tempera_stage *stages)
{
    return chain(params, TEMPERA_TEMPERATURE_LAST, stages);
}
