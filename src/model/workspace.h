// SPDX-License-Identifier: MIT
// The activations of a forward pass, kept for the backward pass. N = B T rows.
#ifndef TEMPERA_MODEL_WORKSPACE_H
#define TEMPERA_MODEL_WORKSPACE_H

#include "model/parameters.h"

// What one layer keeps.
struct tempera_activations {
    float *x;         // [N, D], its input
    float *norm1;     // [N, D]
    float *inverse1;  // [N]
    float *q;         // [N, D], turned by position
    float *k, *v;     // [N, G E]
    float *p;         // [B, H, T, T], attention's probabilities
    float *o;         // [N, D], attention's output
    float *x_mid;     // [N, D], after attention
    float *norm2;     // [N, D]
    float *inverse2;  // [N]
    float *gate, *up; // [N, F]
    float *hidden;    // [N, F]
};

// Gradients on their way back, shared by all layers.
struct tempera_backward {
    float *d_x;               // [N, D]
    float *d_norm;            // [N, D]
    float *d_q;               // [N, D]
    float *d_k, *d_v;         // [N, G E]
    float *d_o;               // [N, D]
    float *d_gate, *d_hidden; // [N, F]; d_up overwrites d_hidden
    float *attention;         // [B, G, tempera_attention_scratch(T)]
};

struct tempera_workspace {
    struct tempera_model_config config; // of the model that it was made for
    size_t B, T;                        // at most
    bool backward;
    float *rope;                        // [T, E / 2, 2]
    struct tempera_activations *layers; // [n_layers]
    float *x;                           // [N, D], after the last layer
    float *norm;                        // [N, D]
    float *inverse;                     // [N]
    // Logits are made and used in pieces, so that no [N, V] matrix is held.
    float *logits; // [logit_rows, V], the scratch of tempera_linear_cross_entropy
    size_t logit_rows, logits_nbytes;
    struct tempera_backward back;
    float *block; // all of the above in one block
};

#endif
