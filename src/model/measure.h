// SPDX-License-Identifier: MIT
// The loss of a model, for evaluation: also at other temperatures, from the same scores.
#ifndef TEMPERA_MODEL_MEASURE_H
#define TEMPERA_MODEL_MEASURE_H

#include <tempera/calibration.h>

#include "model/workspace.h"

// Adds the losses of targets[B, T] given tokens[B, T], ids of the model, to *nats, and to sums at
// their temperatures. sums: n_sums of them; none at 0. NAN_INPUT if a score isn't finite; nats and
// sums have no meaning then.
enum tempera_status tempera_model_measure(const struct tempera_model *model,
                                          struct tempera_workspace *workspace,
                                          const int32_t *tokens, const int32_t *targets, size_t B,
                                          size_t T, double *nats,
                                          struct tempera_temperature_sums *sums, size_t n_sums,
                                          const struct tempera_executor *executor);

#endif
