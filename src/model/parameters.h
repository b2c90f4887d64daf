// SPDX-License-Identifier: MIT
// Inside a model: its shape, its block of weights and where each tensor lies. Read next:
// layer_ops.h, attention.h, transformer.c (whole sequences), decoder.c (token by token).
#ifndef TEMPERA_MODEL_PARAMETERS_H
#define TEMPERA_MODEL_PARAMETERS_H

#include <tempera/model.h>

// Weights of one block of the decoder; each points into the model's block. D = dim, H heads of
// size E = D / H, G key and value heads, F = hidden_dim.
struct tempera_layer_weights {
    const float *attn_norm;   // [D]
    const float *attn_q;      // [D, D]
    const float *attn_k;      // [G E, D]
    const float *attn_v;      // [G E, D]
    const float *attn_output; // [D, D]
    const float *ffn_norm;    // [D]
    const float *ffn_gate;    // [F, D]
    const float *ffn_up;      // [F, D]
    const float *ffn_down;    // [D, F]
};

struct tempera_model {
    struct tempera_model_config config;
    size_t head_dim; // E
    size_t kv_dim;   // G E
    size_t n_parameters;
    float *weights;                  // [n_parameters]
    struct tempera_parameter *table; // [n_table]
    size_t n_table;
    const float *embedding;               // [V, D]
    struct tempera_layer_weights *layers; // [n_layers]
    const float *output_norm;             // [D]
    const float *output;                  // [V, D]; the embedding if tied
};

// A model of this (checked) config with weights of 0. OUT_OF_MEMORY.
enum tempera_status tempera_model_alloc(struct tempera_model **model,
                                        const struct tempera_model_config *config);

// The parameter table alone: names, offsets and shapes, without data. Freed by the caller.
struct tempera_parameter *tempera_parameter_table(const struct tempera_model_config *config,
                                                  size_t *count);

#endif
