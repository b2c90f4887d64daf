// SPDX-License-Identifier: MIT
// The forward and the backward pass over whole sequences, layer by layer.
#ifndef TEMPERA_MODEL_TRANSFORMER_H
#define TEMPERA_MODEL_TRANSFORMER_H

#include "model/workspace.h"

// Runs the layers on tokens[B, T]; workspace->norm holds the output, ready for the last product.
void tempera_model_forward(const struct tempera_model *model, struct tempera_workspace *workspace,
                           const int32_t *tokens, size_t B, size_t T,
                           const struct tempera_executor *executor);

// One layer of that, after the ones before it; returns its output, [N, D].
const float *tempera_model_layer_forward(const struct tempera_model *model,
                                         struct tempera_workspace *workspace, size_t layer,
                                         size_t B, size_t T,
                                         const struct tempera_executor *executor);

// Takes dloss/dnorm in workspace->back.d_norm back through the layers; adds to gradients, which
// are laid out as the weights.
void tempera_model_backward(const struct tempera_model *model, struct tempera_workspace *workspace,
                            const int32_t *tokens, size_t B, size_t T, float *gradients,
                            const struct tempera_executor *executor);

#endif
