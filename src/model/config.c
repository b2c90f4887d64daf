// SPDX-License-Identifier: MIT
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "model/model.h"

enum tempera_status tempera_model_fail(struct tempera_error *error, enum tempera_status status,
                                       const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
        error->status = status;
        error->offset = 0;
    }
    return status;
}

struct tempera_model_config tempera_model_config_default(void)
{
    return (struct tempera_model_config){
        .struct_size = sizeof(struct tempera_model_config),
        .rms_epsilon = 1e-5f,
        .rope_base = 10000,
        .tied_embeddings = true,
    };
}

static enum tempera_status check_field(const char *name, uint32_t value, uint32_t most,
                                       struct tempera_error *error)
{
    if (value >= 1 && value <= most)
        return TEMPERA_OK;
    return tempera_model_fail(error, TEMPERA_INVALID_ARGUMENT, "%s must be from 1 to %u, not %u",
                              name, most, value);
}

enum tempera_status tempera_model_config_check(const struct tempera_model_config *config,
                                               struct tempera_error *error)
{
    if (config == NULL || config->struct_size < sizeof *config)
        return tempera_model_fail(error, TEMPERA_INVALID_ARGUMENT,
                                  "the config is NULL or its struct_size isn't set");
    const struct {
        const char *name;
        uint32_t value, most;
    } fields[] = {
        {"vocab_size", config->vocab_size, 1u << 24},
        {"context_length", config->context_length, 1u << 24},
        {"n_layers", config->n_layers, 1u << 12},
        {"dim", config->dim, 1u << 18},
        {"n_heads", config->n_heads, 1u << 16},
        {"n_kv_heads", config->n_kv_heads, 1u << 16},
        {"hidden_dim", config->hidden_dim, 1u << 20},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        enum tempera_status status =
            check_field(fields[i].name, fields[i].value, fields[i].most, error);
        if (status != TEMPERA_OK)
            return status;
    }
    if (config->dim % config->n_heads != 0 || config->dim / config->n_heads % 2 != 0)
        return tempera_model_fail(error, TEMPERA_INVALID_ARGUMENT,
                                  "dim (%u) must be n_heads (%u) times an even number", config->dim,
                                  config->n_heads);
    if (config->n_heads % config->n_kv_heads != 0)
        return tempera_model_fail(error, TEMPERA_INVALID_ARGUMENT,
                                  "n_kv_heads (%u) must divide n_heads (%u)", config->n_kv_heads,
                                  config->n_heads);
    if (!(config->rms_epsilon > 0 && config->rms_epsilon < 1))
        return tempera_model_fail(error, TEMPERA_INVALID_ARGUMENT,
                                  "rms_epsilon must lie between 0 and 1");
    if (!(config->rope_base >= 1 && config->rope_base < INFINITY))
        return tempera_model_fail(error, TEMPERA_INVALID_ARGUMENT,
                                  "rope_base must be at least 1 and finite");
    return TEMPERA_OK;
}

// With the limits above the sum stays far below 2^64: 2^12 layers of 2^40 elements.
size_t tempera_model_config_n_parameters(const struct tempera_model_config *config)
{
    if (tempera_model_config_check(config, NULL) != TEMPERA_OK)
        return 0;
    size_t D = config->dim, F = config->hidden_dim, V = config->vocab_size;
    size_t kv_dim = D / config->n_heads * config->n_kv_heads;
    size_t layer = D + D * D + 2 * kv_dim * D + D * D + D + 3 * F * D;
    return V * D + config->n_layers * layer + D + (config->tied_embeddings ? 0 : V * D);
}
