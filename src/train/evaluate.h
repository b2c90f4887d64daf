// SPDX-License-Identifier: MIT
// The held-out loss of tokens, for the trainer and for tempera_evaluate.
#ifndef TEMPERA_TRAIN_EVALUATE_H
#define TEMPERA_TRAIN_EVALUATE_H

#include <tempera/calibration.h>
#include <tempera/model.h>

// Sum of the losses, in nats, of tokens[n] in windows of `context`, each after `bos`. `scratch` has
// room for 2 * batch * context ids, the workspace for `batch` sequences. The losses at other
// temperatures are added to n_sums sums.
enum tempera_status tempera_evaluate_tokens(const struct tempera_model *model,
                                            struct tempera_workspace *workspace,
                                            const int32_t *tokens, size_t n, int32_t bos,
                                            size_t batch, size_t context, int32_t *scratch,
                                            double *nats, struct tempera_temperature_sums *sums,
                                            size_t n_sums, const struct tempera_executor *executor);

#endif
