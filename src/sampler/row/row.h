// SPDX-License-Identifier: MIT
// A row on its way through the stages: the candidates that are left, their scores, and the
// temperature so far. In the order of a call: sample.c (rows of a batch), check.c (arguments),
// chain.c (one row), candidates.c (what may be drawn), columns.c (the token that a column stands
// for), stages.c (the table of stages), scores.c and dry.c (those that change scores), bans.c
// (those that remove tokens by name); those that filter: select.c (by rank), nucleus.c,
// thresholds.c, typical.c, top_h.c, tail_free.c, xtc.c; those that learn: mirostat.c, adaptive_p.c;
// draw.c, race.c; logprobs.c (what is reported). Beside them weigh.c (masses and sums of them),
// guess.c (about where they lie), sort.c, best.c (the largest of many), state.c (history). The
// other calls: explain.c, draws.c, speculative.c, beam.c, guide.c; presets.c writes chains. The
// definitions are in docs/SAMPLING.md.
#ifndef TEMPERA_SAMPLER_ROW_ROW_H
#define TEMPERA_SAMPLER_ROW_ROW_H

#include "sampler/row/candidates.h"
#include "sampler/row/columns.h"
#include "sampler/row/draw.h"
#include "sampler/row/history.h"
#include "sampler/row/partition.h"
#include "sampler/stages/stages.h"

#endif
