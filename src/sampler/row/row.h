// SPDX-License-Identifier: MIT
// A row on its way through the stages: the candidates that are left, their scores, and the
// temperature so far. In the order of a call: sample.c (rows of a batch), arguments.c, chain.c (one
// row), candidates.c (what may be drawn), columns.c (the token that a column stands for); the
// stages (table.c has all of them, each with its function; check.c, presets.c); draw.c, gumbel.c;
// logprobs.c (what is reported). Beside them masses.c (masses and sums of them), mass_histogram.c
// (about where they lie), partition.c, radix_sort.c, top_n.c (the largest of many), history.c. The
// other calls are in calls/. The definitions are in docs/SAMPLING.md.
#ifndef TEMPERA_SAMPLER_ROW_ROW_H
#define TEMPERA_SAMPLER_ROW_ROW_H

#include "sampler/row/candidates.h"
#include "sampler/row/columns.h"
#include "sampler/row/draw.h"
#include "sampler/row/history.h"
#include "sampler/row/partition.h"
#include "sampler/stages/stages.h"

#endif
