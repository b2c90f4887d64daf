// SPDX-License-Identifier: MIT
#ifndef TEMPERA_SAMPLER_ROW_GUMBEL_H
#define TEMPERA_SAMPLER_ROW_GUMBEL_H

#include <stdint.h>

#include "sampler/row/candidates.h"
#include "sampler/row/top_n.h"

// An exponential variable made of 64 random bits: -ln((r + 1/2) / 2^64), in (0, 38), to 2 ulp.
double tempera_gumbel_noise(uint64_t r);

// The candidates that Gumbel-top-k draws, the first one first.
void tempera_gumbel_top_n(struct tempera_candidates *c, struct tempera_top_n *top);

#endif
