// SPDX-License-Identifier: MIT
// Logit bias and penalties. Scores are divided by the temperature only when they are used, so what
// is subtracted from z = score / T is subtracted from the score times T.
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/row/candidates.h"
#include "sampler/row/columns.h"
#include "sampler/row/history.h"
#include "sampler/stages/stages.h"

static void add_bias(struct tempera_candidates *c, size_t index, float bias)
{
    double score = (double)tempera_candidates_score(c, index);
    if (score == -INFINITY) // banned by an earlier entry
        return;
    score += (double)bias * c->temperature;
    tempera_candidates_change(c, index, bias == -INFINITY ? -INFINITY : tempera_to_score(score));
}

void tempera_apply_logit_bias(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    for (size_t b = 0; b < tempera_row_n_branches(c->row); b++)
        for (size_t i = 0; i < stage->u.logit_bias.count; i++) {
            const struct tempera_logit_bias *entry = &stage->u.logit_bias.entries[i];
            size_t index = tempera_candidates_find_token(c, b, entry->token);
            if (index != SIZE_MAX)
                add_bias(c, index, entry->bias);
        }
    if (stage->u.logit_bias.count > 0)
        tempera_candidates_refresh(c);
}

// count: how often the token occurred, as presence and frequency count it.
static float penalized_score(const struct tempera_stage *stage, float score, uint64_t count,
                             double T)
{
    double z = (double)score, repetition = (double)stage->u.penalties.repetition;
    double repeated = z > 0 ? z / repetition : z * repetition;
    double penalty = (double)stage->u.penalties.frequency * (double)count;
    penalty += count > 0 ? (double)stage->u.penalties.presence : 0;
    return tempera_to_score(repeated - penalty * T);
}

// Counts are kept in place of the masses: in the low half how often a candidate was seen, in the
// high half how many of these count for presence and frequency. They are cleared only where they
// are used, so the cost is that of the window, not of the vocabulary. Returns whether anything was
// seen.
static bool penalize_branch(struct tempera_candidates *c, size_t b,
                            const struct tempera_stage *stage)
{
    const struct tempera_sampler_state *state = tempera_row_history(c->row, b);
    size_t n = tempera_history_length(state, (size_t)stage->u.penalties.window);
    uint64_t *counts = c->masses;
    for (size_t i = 0; i < n; i++) {
        size_t index = tempera_candidates_find_token(c, b, tempera_history_token(state, i));
        if (index != SIZE_MAX)
            counts[index] = 0;
    }
    for (size_t i = 0; i < n; i++) {
        size_t index = tempera_candidates_find_token(c, b, tempera_history_token(state, i));
        bool counts_fully = !stage->u.penalties.drawn_only || tempera_history_was_drawn(state, i);
        if (index != SIZE_MAX)
            counts[index] += (uint64_t)counts_fully << 32 | 1;
    }
    for (size_t i = 0; i < n; i++) {
        size_t index = tempera_candidates_find_token(c, b, tempera_history_token(state, i));
        if (index == SIZE_MAX || counts[index] == 0) // 0: done already
            continue;
        float score = tempera_candidates_score(c, index);
        score = penalized_score(stage, score, counts[index] >> 32, c->temperature);
        tempera_candidates_change(c, index, score);
        counts[index] = 0;
    }
    return n > 0;
}

void tempera_apply_penalties(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    bool changed = false;
    for (size_t b = 0; b < tempera_row_n_branches(c->row); b++)
        changed |= penalize_branch(c, b, stage);
    if (changed)
        tempera_candidates_refresh(c);
}
