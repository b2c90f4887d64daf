// SPDX-License-Identifier: MIT
// The checks of a config, also with the names that a file has for its fields.
#ifndef TEMPERA_MODEL_CONFIG_H
#define TEMPERA_MODEL_CONFIG_H

#include <tempera/model.h>

// What messages call the fields of a config.
struct tempera_config_names {
    const char *vocab_size, *context_length, *n_layers, *dim, *n_heads, *n_kv_heads, *hidden_dim;
    const char *rms_epsilon, *rope_base;
};

// tempera_model_config_check with the caller's names.
enum tempera_status tempera_model_config_check_as(const struct tempera_model_config *config,
                                                  const struct tempera_config_names *names,
                                                  struct tempera_error *error);

#endif
