// SPDX-License-Identifier: MIT
// Makes named parameters into stages, in the orders that engines use. Where a parameter goes, and
// which value is off, is in the table.
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
// Stages. Only the exact off-values are off, so a NaN gets into the chain and is refused there.

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

// ------------------------------------------------------------------------------------------------
// The orders of the presets

#define BEGINNING                                                                                  \
    TEMPERA_STAGE_LOGIT_BIAS, TEMPERA_STAGE_ALLOW, TEMPERA_STAGE_BAN,                              \
        TEMPERA_STAGE_NO_REPEAT_NGRAM, TEMPERA_STAGE_PENALTIES, TEMPERA_STAGE_DRY
#define TEMPERATURES                                                                               \
    TEMPERA_STAGE_TEMPERATURE, TEMPERA_STAGE_DYNAMIC_TEMPERATURE, TEMPERA_STAGE_SMOOTHING
#define LAST TEMPERA_STAGE_MIROSTAT_1, TEMPERA_STAGE_MIROSTAT_2, TEMPERA_STAGE_ADAPTIVE_P

static const enum tempera_stage_kind temperature_first[] = {
    BEGINNING,
    TEMPERATURES,
    TEMPERA_STAGE_TOP_K,
    TEMPERA_STAGE_TOP_P,
    TEMPERA_STAGE_MIN_P,
    TEMPERA_STAGE_TYPICAL,
    TEMPERA_STAGE_EPSILON,
    TEMPERA_STAGE_ETA,
    TEMPERA_STAGE_TAIL_FREE,
    TEMPERA_STAGE_TOP_A,
    TEMPERA_STAGE_TOP_N_SIGMA,
    TEMPERA_STAGE_TOP_H,
    TEMPERA_STAGE_P_LESS,
    TEMPERA_STAGE_XTC,
    LAST,
};

// llama.cpp's order; what it doesn't have stands after what it has.
static const enum tempera_stage_kind temperature_last[] = {
    BEGINNING,
    TEMPERA_STAGE_TOP_N_SIGMA,
    TEMPERA_STAGE_TOP_K,
    TEMPERA_STAGE_TYPICAL,
    TEMPERA_STAGE_TOP_P,
    TEMPERA_STAGE_MIN_P,
    TEMPERA_STAGE_EPSILON,
    TEMPERA_STAGE_ETA,
    TEMPERA_STAGE_TAIL_FREE,
    TEMPERA_STAGE_TOP_A,
    TEMPERA_STAGE_TOP_H,
    TEMPERA_STAGE_P_LESS,
    TEMPERA_STAGE_XTC,
    TEMPERATURES,
    LAST,
};

_Static_assert(sizeof temperature_first / sizeof *temperature_first <= TEMPERA_PRESET_STAGES &&
                   sizeof temperature_last / sizeof *temperature_last <= TEMPERA_PRESET_STAGES,
               "every stage of a preset has room");

// ------------------------------------------------------------------------------------------------
// Presets

static size_t make_all(const struct tempera_sampling_params *params,
                       const enum tempera_stage_kind *order, size_t n_order,
                       struct tempera_stage *stages)
{
    size_t n = 0;
    for (size_t i = 0; i < n_order; i++) {
        struct tempera_stage stage;
        unsigned int roles = tempera_describe_stage((int)order[i])->roles;
        bool is_replaced = params->mirostat != 0 && (roles & TEMPERA_ROLE_FILTER) != 0 &&
                           (roles & TEMPERA_ROLE_FEEDBACK) == 0;
        if (!is_replaced && make(params, order[i], &stage))
            stages[n++] = stage;
    }
    return n;
}

static size_t chain(const struct tempera_sampling_params *params,
                    const enum tempera_stage_kind *order, size_t n_order,
                    struct tempera_stage *stages)
{
    if (params == NULL || params->struct_size < sizeof *params) {
        stages[0] = tempera_stage_of((enum tempera_stage_kind)0);
        return 1;
    }
    struct tempera_fpenv env = tempera_fpenv_enter();
    size_t n = make_all(params, order, n_order, stages);
    tempera_fpenv_carry(&n);
    tempera_fpenv_leave(env);
    return n;
}

size_t tempera_preset_temperature_first(const struct tempera_sampling_params *params,
                                        struct tempera_stage *stages)
{
    return chain(params, temperature_first, sizeof temperature_first / sizeof *temperature_first,
                 stages);
}

size_t tempera_preset_temperature_last(const struct tempera_sampling_params *params,
                                       struct tempera_stage *stages)
{
    return chain(params, temperature_last, sizeof temperature_last / sizeof *temperature_last,
                 stages);
}

#define PRESET(called, stem, engines)                                                              \
    .name = called, .used_by = engines, .make = tempera_preset_##stem, .order = stem,              \
    .n_order = sizeof(stem) / sizeof *(stem)

static const struct tempera_preset_info presets[] = {
    {PRESET("temperature-first", temperature_first, "Transformers, vLLM, OpenAI")},
    {PRESET("temperature-last", temperature_last, "llama.cpp")},
};

const struct tempera_preset_info *tempera_describe_preset(size_t number)
{
    return number < sizeof presets / sizeof *presets ? &presets[number] : NULL;
}
