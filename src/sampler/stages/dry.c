// SPDX-License-Identifier: MIT
// DRY, "don't repeat yourself": a token that would continue a repetition gets a penalty,
// exponential in the length of the repetition. Repetitions are found in linear time by
// tempera_history_matches.
#include <float.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/row/candidates.h"
#include "sampler/row/columns.h"
#include "sampler/row/history.h"
#include "sampler/stages/stages.h"
#include "sampler/stages/token_lists.h"

// How many of the last n tokens come after the last breaker. The marks, by token up to the highest
// breaker, are cleared only where they are read.
static size_t n_unbroken(const struct tempera_sampler_state *state, size_t n,
                         const struct tempera_token_list *breakers, uint8_t *is_breaker)
{
    int32_t highest = tempera_highest_token(breakers);
    for (size_t i = 0; i < n; i++)
        if (tempera_history_token(state, i) <= highest)
            is_breaker[tempera_history_token(state, i)] = 0;
    for (size_t i = 0; i < breakers->count; i++)
        is_breaker[breakers->ids[i]] = 1;
    for (size_t i = 0; i < n; i++) {
        int32_t token = tempera_history_token(state, i);
        if (token <= highest && is_breaker[token])
            return i;
    }
    return n;
}

// base^k as a product, so that its bits are the same everywhere; at most the largest float.
static double power(double base, uint64_t k)
{
    double product = 1;
    if (base == 1)
        return 1;
    for (uint64_t i = 0; i < k && product < (double)FLT_MAX; i++)
        product *= base;
    return product < (double)FLT_MAX ? product : (double)FLT_MAX;
}

static float dry_score(const struct tempera_stage *stage, float score, uint64_t length, double T)
{
    uint64_t excess = length - (uint64_t)stage->u.dry.allowed_length;
    double penalty = (double)stage->u.dry.multiplier * power((double)stage->u.dry.base, excess);
    return tempera_to_score((double)score - penalty * T);
}

// The longest repetition that each candidate would continue is kept in place of its mass, and
// cleared only where it is used. Returns whether there may be one that is long enough.
static bool dry_branch(struct tempera_candidates *c, size_t b, const struct tempera_stage *stage)
{
    const struct tempera_sampler_state *state = tempera_row_history(c->row, b);
    const struct tempera_token_list *breakers = &stage->u.dry.breakers;
    size_t n = tempera_history_length(state, (size_t)stage->u.dry.window);
    int32_t *matches = c->stage_scratch;
    uint8_t *marks = (uint8_t *)(matches + stage->u.dry.window);
    size_t most = n_unbroken(state, n, breakers, marks);
    size_t least = (size_t)stage->u.dry.allowed_length;
    if (most < least)
        return false;
    uint64_t *longest = c->masses;
    tempera_history_matches(state, n, matches);
    for (size_t i = 1; i < n; i++) {
        size_t index = tempera_candidates_find_token(c, b, tempera_history_token(state, i - 1));
        if (index != SIZE_MAX)
            longest[index] = 0;
    }
    for (size_t i = 1; i < n; i++) {
        size_t length = (size_t)matches[i] < most ? (size_t)matches[i] : most;
        size_t index = tempera_candidates_find_token(c, b, tempera_history_token(state, i - 1));
        if (index != SIZE_MAX && length > longest[index])
            longest[index] = length;
    }
    for (size_t i = 0; i < breakers->count; i++) {
        size_t index = tempera_candidates_find_token(c, b, breakers->ids[i]);
        if (index != SIZE_MAX)
            longest[index] = 0;
    }
    for (size_t i = 1; i < n; i++) {
        size_t index = tempera_candidates_find_token(c, b, tempera_history_token(state, i - 1));
        if (index == SIZE_MAX || longest[index] < least) // or done already
            continue;
        float score = tempera_candidates_score(c, index);
        tempera_candidates_change(c, index,
                                  dry_score(stage, score, longest[index], c->temperature));
        longest[index] = 0;
    }
    return true;
}

void tempera_apply_dry(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    bool changed = false;
    if (stage->u.dry.multiplier == 0)
        return;
    for (size_t b = 0; b < tempera_row_n_branches(c->row); b++)
        changed |= dry_branch(c, b, stage);
    if (changed)
        tempera_candidates_refresh(c);
}
