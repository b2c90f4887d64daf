// SPDX-License-Identifier: MIT
// Top-k: the first k of the order.
#include "sampler/row/prefix.h"
#include "sampler/stages/stages.h"

void tempera_apply_top_k(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    size_t k = (size_t)stage->u.top_k;
    if (k > 0)
        tempera_candidates_keep_first(c, k > stage->min_keep ? k : stage->min_keep);
}
