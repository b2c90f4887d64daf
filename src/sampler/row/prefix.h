// SPDX-License-Identifier: MIT
// Keeping a prefix of the order (score descending, id ascending).
#ifndef TEMPERA_SAMPLER_ROW_PREFIX_H
#define TEMPERA_SAMPLER_ROW_PREFIX_H

#include <stdbool.h>
#include <stddef.h>

#include "sampler/row/candidates.h"
#include "sampler/row/ranking.h"
#include "sampler/row/u128.h"

// Keeps the first min(k, n) candidates; k > 0.
void tempera_candidates_keep_first(struct tempera_candidates *c, size_t k);

// Keeps the smallest prefix that weighs `least` or more and has min_keep candidates; of gathered
// ones, whose array of masses it overwrites. False if there are not enough.
bool tempera_candidates_keep_prefix(struct tempera_candidates *c,
                                    const struct tempera_ranking *by_score, tempera_u128 least,
                                    size_t min_keep);

#endif
