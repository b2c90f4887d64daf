// SPDX-License-Identifier: MIT
#ifndef TEMPERA_SAMPLER_STAGES_THRESHOLDS_H
#define TEMPERA_SAMPLER_STAGES_THRESHOLDS_H

#include <tempera/sampler.h>

#include "sampler/row/candidates.h"

// Subtracted from the logarithm of a threshold. Covers the rounding of a parameter to f32: the
// float 0.1f is above 0.1, and without the slack epsilon = 0.1 would remove ten equal tokens.
#define TEMPERA_LOG_SLACK 0x1p-22

// Keeps p_i / p_max >= exp(log_ratio), which is m - z_i <= -T min(log_ratio, 0), and at least as
// many candidates as the stage's min_keep.
void tempera_keep_above_threshold(struct tempera_candidates *c, const struct tempera_stage *stage,
                                  double log_ratio);

#endif
