// SPDX-License-Identifier: MIT
// Stages that remove tokens by name: lists of allowed or banned tokens, and tokens that would
// repeat an n-gram. Only these can leave nothing.
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/row/candidates.h"
#include "sampler/row/columns.h"
#include "sampler/row/history.h"
#include "sampler/stages/stages.h"
#include "sampler/stages/token_lists.h"

int32_t tempera_highest_token(const struct tempera_token_list *list)
{
    int32_t highest = -1;
    for (size_t i = 0; i < list->count; i++)
        highest = list->ids[i] > highest ? list->ids[i] : highest;
    return highest;
}

static void ban(struct tempera_candidates *c, size_t b, int32_t token)
{
    size_t index = tempera_candidates_find_token(c, b, token);
    if (index != SIZE_MAX)
        tempera_candidates_change(c, index, -INFINITY);
}

// Marks, by column, are kept in place of the masses.
void tempera_apply_allow(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    const struct tempera_token_list *list = &stage->u.tokens;
    uint8_t *is_allowed = (uint8_t *)c->masses;
    for (size_t i = 0; i < c->n; i++)
        is_allowed[c->ids[i]] = 0;
    for (size_t b = 0; b < tempera_row_n_branches(c->row); b++)
        for (size_t i = 0; i < list->count; i++) {
            size_t column = tempera_candidates_column(c, b, list->ids[i]);
            if (column != SIZE_MAX)
                is_allowed[column] = 1;
        }
    for (size_t i = 0; i < c->n; i++)
        if (!is_allowed[c->ids[i]])
            c->scores[i] = -INFINITY;
    tempera_candidates_refresh(c);
}

void tempera_apply_ban(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    const struct tempera_token_list *list = &stage->u.tokens;
    for (size_t b = 0; b < tempera_row_n_branches(c->row); b++)
        for (size_t i = 0; i < list->count; i++)
            ban(c, b, list->ids[i]);
    if (list->count > 0)
        tempera_candidates_refresh(c);
}

// Bans each token that follows the last n - 1 tokens somewhere in the window: it would repeat an
// n-gram. Returns whether there may be one.
static bool ban_repeats(struct tempera_candidates *c, size_t b, const struct tempera_stage *stage)
{
    const struct tempera_sampler_state *state = tempera_row_history(c->row, b);
    size_t n = tempera_history_length(state, (size_t)stage->u.no_repeat_ngram.window);
    size_t length = (size_t)stage->u.no_repeat_ngram.n;
    if (length == 0 || length > n)
        return false;
    int32_t *matches = c->stage_scratch;
    tempera_history_matches(state, n, matches);
    for (size_t i = 0; i + length <= n; i++)
        if (length == 1 || (size_t)matches[i + 1] >= length - 1)
            ban(c, b, tempera_history_token(state, i));
    return true;
}

void tempera_apply_no_repeat_ngram(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    bool changed = false;
    for (size_t b = 0; b < tempera_row_n_branches(c->row); b++)
        changed |= ban_repeats(c, b, stage);
    if (changed)
        tempera_candidates_refresh(c);
}
