// SPDX-License-Identifier: MIT
// The stages that remove tokens by name: lists of what is allowed or banned, and tokens that would
// complete an n-gram a second time. They alone can leave nothing.
#include <math.h>

#include "sampler/sampler.h"

static void ban(struct tempera_candidates *c, int32_t id)
{
    size_t place = tempera_candidates_find(c, id);
    if (place != SIZE_MAX)
        tempera_candidates_change(c, place, -INFINITY);
}

// The room of the masses serves for marks, by id.
void tempera_apply_allow(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    const struct tempera_token_list *list = &stage->u.tokens;
    uint8_t *is_allowed = (uint8_t *)c->masses;
    for (size_t i = 0; i < c->n; i++)
        is_allowed[c->ids[i]] = 0;
    for (size_t i = 0; i < list->count; i++)
        is_allowed[list->ids[i]] = 1;
    for (size_t i = 0; i < c->n; i++)
        if (!is_allowed[c->ids[i]])
            c->scores[i] = -INFINITY;
    tempera_candidates_settle(c);
}

void tempera_apply_ban(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    const struct tempera_token_list *list = &stage->u.tokens;
    for (size_t i = 0; i < list->count; i++)
        ban(c, list->ids[i]);
    if (list->count > 0)
        tempera_candidates_settle(c);
}

// A token that stands in the window behind what now are the last n - 1 would make an n-gram twice.
void tempera_apply_no_repeat_ngram(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    const struct tempera_sampler_state *state = c->row->state;
    size_t n = tempera_state_n_recent(state, (size_t)stage->u.no_repeat_ngram.window);
    size_t length = (size_t)stage->u.no_repeat_ngram.n;
    if (length == 0 || length > n)
        return;
    int32_t *matches = c->room;
    tempera_state_matches(state, n, matches);
    for (size_t i = 0; i + length <= n; i++)
        if (length == 1 || (size_t)matches[i + 1] >= length - 1)
            ban(c, tempera_state_recent(state, i));
    tempera_candidates_settle(c);
}
