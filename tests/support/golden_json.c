// SPDX-License-Identifier: MIT
#include "golden_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include <tempera/sampler.h>
#include <tempera/stage_info.h>

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

static void put_biases(FILE *to, const struct tempera_logit_bias *entries, size_t n)
{
    putc('[', to);
    for (size_t i = 0; i < n; i++) {
        fprintf(to, "%s{\"token\": %d, \"bias\": ", i > 0 ? ", " : "", entries[i].token);
        json_put_number(to, entries[i].bias);
        putc('}', to);
    }
    putc(']', to);
}

static void put_parameter(FILE *to, const struct tempera_parameter_info *parameter,
                          const struct tempera_stage *stage)
{
    const void *value = (const char *)stage + parameter->stage_offset;
    const struct tempera_token_list *list = value;
    fprintf(to, ", \"%s\": ", parameter->name);
    switch (parameter->type) {
    case TEMPERA_PARAMETER_FLOAT:
        json_put_number(to, *(const float *)value);
        break;
    case TEMPERA_PARAMETER_INT32:
    case TEMPERA_PARAMETER_WINDOW:
        fprintf(to, "%d", *(const int32_t *)value);
        break;
    case TEMPERA_PARAMETER_FLAG:
        fputs(*(const int32_t *)value != 0 ? "true" : "false", to);
        break;
    case TEMPERA_PARAMETER_TOKENS:
        json_put_ids(to, list->ids, list->count);
        break;
    case TEMPERA_PARAMETER_BIASES:
        put_biases(to, stage->u.logit_bias.entries, stage->u.logit_bias.count);
        break;
    }
}

void json_put_stage(FILE *to, const struct tempera_stage *stage)
{
    const struct tempera_parameter_info *parameter;
    fprintf(to, "{\"stage\": \"%s\"", tempera_stage_name(stage->kind));
    for (size_t i = 0; (parameter = tempera_describe_parameter((int)stage->kind, i)) != NULL; i++)
        if (parameter->stage_offset != 0)
            put_parameter(to, parameter, stage);
    if (stage->min_keep > 0)
        fprintf(to, ", \"min_keep\": %u", stage->min_keep);
    putc('}', to);
}
