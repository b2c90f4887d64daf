// SPDX-License-Identifier: MIT
// Exclude top choices: of the tokens that are likely enough, now and then all but the least likely
// go.
#include <math.h>

#include "base/exp.h"
#include "sampler/sampler.h"

// The coin of a stage falls anew at each step: 64 random bits r, and yes if r < q 2^64.
static bool coin_says_so(const struct tempera_candidates *c, const struct tempera_stage *stage)
{
    uint32_t number = TEMPERA_DRAW_XTC;
    for (const struct tempera_stage *s = c->row->sampler->stages; s != stage; s++)
        number += s->kind == TEMPERA_STAGE_XTC;
    uint64_t r = (uint64_t)tempera_candidates_luck(c, number);
    return r < tempera_share_above(stage->u.xtc.probability, (tempera_u128)1 << 64);
}

// The lowest z_i - m with p_i >= threshold. The slack is that of thresholds.c.
static double least_difference(struct tempera_candidates *c, float threshold)
{
    if (threshold == 0)
        return -INFINITY;
    double lambda = tempera_candidates_lambda(c);
    return c->temperature * ((tempera_log((double)threshold) + lambda) - TEMPERA_LOG_SLACK);
}

void tempera_apply_xtc(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.xtc.threshold > 0.5f || !coin_says_so(c, stage))
        return;
    double least = least_difference(c, stage->u.xtc.threshold), max = (double)c->max;
    const struct tempera_candidates all = *c;
    size_t last = all.n, n_likely = 0; // the last in the order of those likely enough
    for (size_t i = 0; i < all.n; i++) {
        if ((double)all.scores[i] - max < least)
            continue;
        n_likely++;
        if (last == all.n || all.scores[i] <= all.scores[last])
            last = i;
    }
    if (n_likely < 2 || all.n - (n_likely - 1) < stage->min_keep)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++) {
        bool goes = (double)all.scores[i] - max >= least && i != last;
        tempera_candidates_move(all, i, kept);
        kept += !goes;
    }
    c->n = kept;
    tempera_candidates_settle(c);
}
