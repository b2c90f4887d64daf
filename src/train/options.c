// SPDX-License-Identifier: MIT
// Options: their defaults and their check.
#include "train/options.h"

#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "train/trainer.h"

struct tempera_train_options tempera_train_options_default(void)
{
    struct tempera_train_options options = {
        .struct_size = sizeof options,
        .steps = 1000,
        .batch = 8,
        .context = 256,
        .learning_rate = 1e-3f,
        .min_learning_rate = 1e-4f,
        .warmup_steps = 100,
        .weight_decay = 0.1f,
        .beta1 = 0.9f,
        .beta2 = 0.95f,
        .epsilon = 1e-8f,
        .clip_norm = 1,
    };
    return options;
}

// The range of a float option; `inside` is false for NaN.
struct rule {
    const char *name;
    float value;
    bool inside;
    const char *allowed;
};

enum tempera_status tempera_train_options_check(const struct tempera_train_options *options,
                                                struct tempera_error *error)
{
    const struct tempera_train_options *o = options;
    const enum tempera_status invalid = TEMPERA_INVALID_ARGUMENT;
    if (o == NULL || o->struct_size < sizeof *o)
        return tempera_fail(error, invalid,
                            "options.struct_size is wrong: start from "
                            "tempera_train_options_default()");
    if (o->steps == 0 || o->batch == 0 || o->context == 0)
        return tempera_fail(error, invalid, "options.%s must be at least 1",
                            o->steps == 0   ? "steps"
                            : o->batch == 0 ? "batch"
                                            : "context");
    if (o->batch > INT32_MAX / o->context)
        return tempera_fail(error, invalid, "options.batch * options.context must be below 2^31");
    char to_rate[64];
    snprintf(to_rate, sizeof to_rate, "from 0 to learning_rate (%g)", (double)o->learning_rate);
    const struct rule rules[] = {
        {"learning_rate", o->learning_rate, o->learning_rate > 0 && o->learning_rate < INFINITY,
         "above 0"},
        {"min_learning_rate", o->min_learning_rate,
         o->min_learning_rate >= 0 && o->min_learning_rate <= o->learning_rate, to_rate},
        {"weight_decay", o->weight_decay, o->weight_decay >= 0 && o->weight_decay < INFINITY,
         "at least 0"},
        {"beta1", o->beta1, o->beta1 >= 0 && o->beta1 < 1, "in [0, 1)"},
        {"beta2", o->beta2, o->beta2 >= 0 && o->beta2 < 1, "in [0, 1)"},
        {"epsilon", o->epsilon, o->epsilon > 0 && o->epsilon < INFINITY, "above 0"},
        {"clip_norm", o->clip_norm, o->clip_norm >= 0 && o->clip_norm < INFINITY,
         "at least 0, and 0 turns it off"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!rules[i].inside)
            return tempera_fail(error, invalid, "options.%s must be %s, not %g", rules[i].name,
                                rules[i].allowed, (double)rules[i].value);
    return TEMPERA_OK;
}
