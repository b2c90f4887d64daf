// SPDX-License-Identifier: MIT
// XTC, "exclude top choices": at random steps, removes all tokens that are likely enough but the
// least likely of these, except those that are spared.
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/exp.h"
#include "sampler/row/candidates.h"
#include "sampler/row/columns.h"
#include "sampler/row/draw.h"
#include "sampler/row/mass_fraction.h"
#include "sampler/row/masses.h"
#include "sampler/row/u128.h"
#include "sampler/stages/stages.h"
#include "sampler/stages/thresholds.h"

// A coin for each stage and step: 64 random bits r, heads if r < q 2^64.
static bool coin_is_heads(const struct tempera_candidates *c, const struct tempera_stage *stage)
{
    uint32_t number = TEMPERA_DRAW_XTC;
    for (const struct tempera_stage *s = c->row->sampler->stages; s != stage; s++)
        number += s->kind == TEMPERA_STAGE_XTC;
    uint64_t r = (uint64_t)tempera_candidates_random_bits(c, number);
    return r < tempera_mass_fraction_ceil(stage->u.xtc.probability, (tempera_u128)1 << 64);
}

// The lowest z_i - m with p_i >= threshold. The slack is that of thresholds.c.
static double least_difference(struct tempera_candidates *c, float threshold)
{
    if (threshold == 0)
        return -INFINITY;
    double nll_max = tempera_candidates_nll_max(c);
    return c->temperature * ((tempera_log((double)threshold) + nll_max) - TEMPERA_LOG_SLACK);
}

// Marks the candidates that are likely enough, except the last of them in the order; returns how
// many. The marks are kept in place of the masses.
static size_t mark_top_choices(struct tempera_candidates *c, double least)
{
    uint64_t *is_removed = c->masses;
    size_t last = c->n, n_likely = 0;
    for (size_t i = 0; i < c->n; i++) {
        is_removed[i] = (double)c->scores[i] - (double)c->max >= least;
        n_likely += is_removed[i];
        if (is_removed[i] && (last == c->n || c->scores[i] <= c->scores[last]))
            last = i;
    }
    if (n_likely == 0)
        return 0;
    is_removed[last] = 0;
    return n_likely - 1;
}

void tempera_apply_xtc(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.xtc.threshold > 0.5f || !coin_is_heads(c, stage))
        return;
    double least = least_difference(c, stage->u.xtc.threshold);
    size_t n_removed = mark_top_choices(c, least);
    const struct tempera_token_list *spared = &stage->u.xtc.spared;
    for (size_t b = 0; b < tempera_row_n_branches(c->row); b++)
        for (size_t i = 0; i < spared->count; i++) {
            size_t index = tempera_candidates_find_token(c, b, spared->ids[i]);
            if (index != SIZE_MAX && c->masses[index]) {
                c->masses[index] = 0;
                n_removed--;
            }
        }
    if (n_removed == 0 || c->n - n_removed < stage->min_keep)
        return;
    for (size_t i = 0; i < c->n; i++)
        if (c->masses[i])
            c->scores[i] = -INFINITY;
    tempera_candidates_refresh(c);
}
