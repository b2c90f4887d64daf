// SPDX-License-Identifier: MIT
// What stages, parameters and presets there are, as data: for those who make options, settings or
// help texts of all of them. The command does:
//
//     struct tempera_sampling_params params = tempera_sampling_params_llama_cpp();
//     const struct tempera_stage_info *stage;
//     const struct tempera_parameter_info *parameter;
//     for (int kind = 1; (stage = tempera_describe_stage(kind)) != NULL; kind++)
//         for (size_t i = 0; (parameter = tempera_describe_parameter(kind, i)) != NULL; i++)
//             if (parameter->option != NULL)
//                 add_option(parameter, (char *)&params + parameter->params_offset);
//
// All of it is constant and never freed. Later versions append kinds, presets and parameters, and
// members to these structs: use them through the pointers, as an array of them has no fixed size.
// Read first: sampler_stages.h, presets.h.
#ifndef TEMPERA_STAGE_INFO_H
#define TEMPERA_STAGE_INFO_H

#include <stdbool.h>

#include <tempera/presets.h>

#ifdef __cplusplus
extern "C" {
#endif

// What a stage does, as sampler_stages.h has it. Bits: mirostat is a filter with feedback, a logit
// bias changes scores and may ban.
enum tempera_stage_role {
    TEMPERA_ROLE_SCORES = 1,
    TEMPERA_ROLE_BAN = 2,
    TEMPERA_ROLE_FILTER = 4,
    TEMPERA_ROLE_FEEDBACK = 8,
};

struct tempera_stage_info {
    const char *name;   // "top-p", as tempera_stage_name
    unsigned int roles; // of enum tempera_stage_role
};

enum tempera_parameter_type {
    TEMPERA_PARAMETER_FLOAT = 1,
    TEMPERA_PARAMETER_INT32 = 2,
    TEMPERA_PARAMETER_WINDOW = 3, // int32_t: how many of the last tokens count; 0: off
    TEMPERA_PARAMETER_FLAG = 4,   // int32_t: not 0 is on
    TEMPERA_PARAMETER_TOKENS = 5, // struct tempera_token_list
    TEMPERA_PARAMETER_BIASES = 6, // const struct tempera_logit_bias *, and their size_t count
};

struct tempera_parameter_info {
    const char *name; // "p", as messages and docs/SAMPLING.md call it
    enum tempera_parameter_type type;
    size_t stage_offset;  // in struct tempera_stage; 0: not there, presets alone have it
    size_t params_offset; // in struct tempera_sampling_params; 0: not there

    // Of numbers: the range, with its ends unless low_is_open or high_is_open.
    double low, high;
    bool low_is_open, high_is_open;

    // A stage is off, and presets leave it out, if every parameter that has an off-value has it. A
    // list's is its count. NaN: none. These work in presets only: an off-value out of range, one
    // whose stage_offset is 0, and ALLOW's, as a stage with an empty list would allow nothing.
    double off;
    bool negative_is_off; // in struct tempera_sampling_params: any negative value is off, too

    bool is_main; // the number that stands for the stage where one has to do; at most one has it

    double default_value;   // tempera_sampling_params_default has it
    double llama_cpp_value; // tempera_sampling_params_llama_cpp has it

    // For a command line. NULL where it would be another parameter's.
    const char *option;   // "top-p"
    const char *argument; // "P"; NULL for a flag
    const char *help;     // "keep the likeliest up to mass P"
};

// NULL if this version has no such kind; the kinds are 1, 2, 3 and so on without a gap.
TEMPERA_API const struct tempera_stage_info *tempera_describe_stage(int kind);

// A stage's parameters in the order of docs/SAMPLING.md, counted from 0; NULL beyond the last.
TEMPERA_API const struct tempera_parameter_info *tempera_describe_parameter(int kind,
                                                                            size_t number);

struct tempera_preset_info {
    const char *name; // "temperature-last"
    const char *used_by;
    size_t (*make)(const struct tempera_sampling_params *params, struct tempera_stage *stages);
    // All stages that it can make. Where mirostat is on, the other filters are off.
    const enum tempera_stage_kind *order; // [n_order]
    size_t n_order;
};

// Presets counted from 0; NULL beyond the last.
TEMPERA_API const struct tempera_preset_info *tempera_describe_preset(size_t number);

#ifdef __cplusplus
}
#endif
#endif
