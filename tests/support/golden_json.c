// SPDX-License-Identifier: MIT
#include "golden_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

// Numbers are the shortest that read back as the same float.

void json_put_number(FILE *to, float x)
{
    if (isnan(x)) {
        fputs("\"nan\"", to);
    } else if (isinf(x)) {
        fputs(x > 0 ? "\"inf\"" : "\"-inf\"", to);
    } else if (x == 0) {
        fputs(signbit(x) ? "-0.0" : "0", to);
    } else if (x == rintf(x) && fabsf(x) < 1e7f) {
        fprintf(to, "%.0f", (double)x);
    } else {
        char text[32];
        for (int digits = 1; digits <= 9; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, (double)x);
            if ((float)strtod(text, NULL) == x)
                break;
        }
        fputs(text, to);
    }
}

void json_put_numbers(FILE *to, const float *x, size_t n)
{
    putc('[', to);
    for (size_t i = 0; i < n; i++) {
        fputs(i > 0 ? ", " : "", to);
        json_put_number(to, x[i]);
    }
    putc(']', to);
}

void json_put_level(FILE *to, double x)
{
    char text[32];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    fprintf(to, "\"level\": %s", text);
}

void json_put_ids(FILE *to, const int32_t *ids, size_t n)
{
    putc('[', to);
    for (size_t i = 0; i < n; i++)
        fprintf(to, "%s%d", i > 0 ? ", " : "", ids[i]);
    putc(']', to);
}

static void put_parameter(FILE *to, const char *name, float value)
{
    fprintf(to, ", \"%s\": ", name);
    json_put_number(to, value);
}

static void put_integer(FILE *to, const char *name, int32_t value)
{
    fprintf(to, ", \"%s\": %d", name, value);
}

static void put_list(FILE *to, const char *name, struct tempera_token_list list)
{
    fprintf(to, ", \"%s\": ", name);
    json_put_ids(to, list.ids, list.count);
}

static void put_bias(FILE *to, const struct tempera_stage *stage)
{
    fputs(", \"entries\": [", to);
    for (size_t i = 0; i < stage->u.logit_bias.count; i++) {
        fprintf(to, "%s{\"token\": %d, \"bias\": ", i > 0 ? ", " : "",
                stage->u.logit_bias.entries[i].token);
        json_put_number(to, stage->u.logit_bias.entries[i].bias);
        putc('}', to);
    }
    putc(']', to);
}

static void put_surprise(FILE *to, const struct tempera_stage *stage)
{
    put_parameter(to, "tau", stage->u.mirostat.tau);
    put_parameter(to, "eta", stage->u.mirostat.eta);
}

void json_put_stage(FILE *to, const struct tempera_stage *stage)
{
    fprintf(to, "{\"stage\": \"%s\"", tempera_stage_name(stage->kind));
    switch (stage->kind) {
    case TEMPERA_STAGE_LOGIT_BIAS:
        put_bias(to, stage);
        break;
    case TEMPERA_STAGE_PENALTIES:
        put_parameter(to, "repetition", stage->u.penalties.repetition);
        put_parameter(to, "presence", stage->u.penalties.presence);
        put_parameter(to, "frequency", stage->u.penalties.frequency);
        put_integer(to, "window", stage->u.penalties.window);
        if (stage->u.penalties.drawn_only)
            fputs(", \"drawn_only\": true", to);
        break;
    case TEMPERA_STAGE_TEMPERATURE:
        put_parameter(to, "temperature", stage->u.temperature);
        break;
    case TEMPERA_STAGE_TOP_K:
        put_integer(to, "k", stage->u.top_k);
        break;
    case TEMPERA_STAGE_TOP_P:
        put_parameter(to, "p", stage->u.top_p);
        break;
    case TEMPERA_STAGE_MIN_P:
        put_parameter(to, "p", stage->u.min_p);
        break;
    case TEMPERA_STAGE_TYPICAL:
        put_parameter(to, "p", stage->u.typical);
        break;
    case TEMPERA_STAGE_EPSILON:
        put_parameter(to, "epsilon", stage->u.epsilon);
        break;
    case TEMPERA_STAGE_ETA:
        put_parameter(to, "epsilon", stage->u.eta);
        break;
    case TEMPERA_STAGE_TAIL_FREE:
        put_parameter(to, "z", stage->u.tail_free);
        break;
    case TEMPERA_STAGE_TOP_A:
        put_parameter(to, "a", stage->u.top_a);
        break;
    case TEMPERA_STAGE_TOP_N_SIGMA:
        put_parameter(to, "n", stage->u.top_n_sigma);
        break;
    case TEMPERA_STAGE_P_LESS:
        break;
    case TEMPERA_STAGE_XTC:
        put_parameter(to, "probability", stage->u.xtc.probability);
        put_parameter(to, "threshold", stage->u.xtc.threshold);
        if (stage->u.xtc.spared.count > 0)
            put_list(to, "spared", stage->u.xtc.spared);
        break;
    case TEMPERA_STAGE_DYNAMIC_TEMPERATURE:
        put_parameter(to, "low", stage->u.dynamic_temperature.low);
        put_parameter(to, "high", stage->u.dynamic_temperature.high);
        put_parameter(to, "exponent", stage->u.dynamic_temperature.exponent);
        break;
    case TEMPERA_STAGE_SMOOTHING:
        put_parameter(to, "factor", stage->u.smoothing.factor);
        put_parameter(to, "curve", stage->u.smoothing.curve);
        break;
    case TEMPERA_STAGE_TOP_H:
        put_parameter(to, "h", stage->u.top_h);
        break;
    case TEMPERA_STAGE_ADAPTIVE_P:
        put_parameter(to, "target", stage->u.adaptive_p.target);
        put_parameter(to, "decay", stage->u.adaptive_p.decay);
        break;
    case TEMPERA_STAGE_MIROSTAT_1:
        put_integer(to, "m", stage->u.mirostat.m);
        put_surprise(to, stage);
        break;
    case TEMPERA_STAGE_MIROSTAT_2:
        put_surprise(to, stage);
        break;
    case TEMPERA_STAGE_DRY:
        put_parameter(to, "multiplier", stage->u.dry.multiplier);
        put_parameter(to, "base", stage->u.dry.base);
        put_integer(to, "allowed_length", stage->u.dry.allowed_length);
        put_integer(to, "window", stage->u.dry.window);
        put_list(to, "breakers", stage->u.dry.breakers);
        break;
    case TEMPERA_STAGE_NO_REPEAT_NGRAM:
        put_integer(to, "n", stage->u.no_repeat_ngram.n);
        put_integer(to, "window", stage->u.no_repeat_ngram.window);
        break;
    case TEMPERA_STAGE_ALLOW:
    case TEMPERA_STAGE_BAN:
        put_list(to, "tokens", stage->u.tokens);
        break;
    }
    if (stage->min_keep > 0)
        put_integer(to, "min_keep", (int32_t)stage->min_keep);
    putc('}', to);
}
