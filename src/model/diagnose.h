// SPDX-License-Identifier: MIT
// Finds out why a model's scores are NaN or infinite. Called only after that happened.
#ifndef TEMPERA_MODEL_DIAGNOSE_H
#define TEMPERA_MODEL_DIAGNOSE_H

#include "model/workspace.h"

bool tempera_all_finite(const float *x, size_t n);

// Looks for the first tensor with a weight that isn't finite; if all are, for the first part of the
// model whose output isn't, given tokens[B, T]. Returns NAN_INPUT with a message that names it, or
// OK, without one, if there is none. The workspace, with room for B and T, is overwritten.
enum tempera_status tempera_model_diagnose(const struct tempera_model *model,
                                           struct tempera_workspace *workspace,
                                           const int32_t *tokens, size_t B, size_t T,
                                           const struct tempera_executor *executor,
                                           struct tempera_error *error);

// The same for one text, of any length: in windows, each read without the one before it. Always
// NAN_INPUT, with a message.
enum tempera_status tempera_model_diagnose_text(const struct tempera_model *model,
                                                const int32_t *tokens, size_t n,
                                                const struct tempera_executor *executor,
                                                struct tempera_error *error);

#endif
