// SPDX-License-Identifier: MIT
#include "model/config.h"

#include <math.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/memory.h"
#include "model/parameters.h"

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
    return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "%s must be from 1 to %u, not %u", name,
                        most, value);
}

enum tempera_status tempera_model_config_check_as(const struct tempera_model_config *config,
                                                  const struct tempera_config_names *names,
                                                  struct tempera_error *error)
{
    if (config == NULL || config->struct_size < sizeof *config)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "the config is NULL or its struct_size isn't set");
    const struct {
        const char *name;
        uint32_t value, most;
    } fields[] = {
        {names->vocab_size, config->vocab_size, 1u << 24},
        {names->context_length, config->context_length, 1u << 24},
        {names->n_layers, config->n_layers, 1u << 12},
        {names->dim, config->dim, 1u << 18},
        {names->n_heads, config->n_heads, 1u << 16},
        {names->n_kv_heads, config->n_kv_heads, 1u << 16},
        {names->hidden_dim, config->hidden_dim, 1u << 20},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        TEMPERA_TRY(check_field(fields[i].name, fields[i].value, fields[i].most, error));
    }
    if (config->dim % config->n_heads != 0 || config->dim / config->n_heads % 2 != 0)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "%s (%u) must be %s (%u) times an even number", names->dim, config->dim,
                            names->n_heads, config->n_heads);
    if (config->n_heads % config->n_kv_heads != 0)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "%s (%u) must divide %s (%u)",
                            names->n_kv_heads, config->n_kv_heads, names->n_heads, config->n_heads);
    if (!(config->rms_epsilon > 0 && config->rms_epsilon < 1))
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "%s must lie between 0 and 1, and is %g", names->rms_epsilon,
                            (double)config->rms_epsilon);
    if (!(config->rope_base >= 1 && config->rope_base < INFINITY))
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "%s must be at least 1 and finite, and is %g", names->rope_base,
                            (double)config->rope_base);
    return TEMPERA_OK;
}

enum tempera_status tempera_model_config_check(const struct tempera_model_config *config,
                                               struct tempera_error *error)
{
    static const struct tempera_config_names names = {
        "vocab_size", "context_length", "n_layers",    "dim",       "n_heads",
        "n_kv_heads", "hidden_dim",     "rms_epsilon", "rope_base",
    };
    return tempera_model_config_check_as(config, &names, error);
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
