// SPDX-License-Identifier: MIT
// A row of a cross-entropy in double: temperatures and scores that f32 arithmetic can't hold,
// scores of +inf, rows that are masked altogether.
#ifndef TEMPERA_SCORE_LOSS_CROSS_ENTROPY_ROW_F64_H
#define TEMPERA_SCORE_LOSS_CROSS_ENTROPY_ROW_F64_H

#include "score/loss/cross_entropy_row.h"

// max: of the scores. The row has no NaN among its logits.
void tempera_cross_entropy_row_f64(const struct tempera_loss *loss,
                                   const struct tempera_loss_row *row, float max,
                                   struct tempera_loss_result *result);

#endif
