// SPDX-License-Identifier: MIT
// Which column of a row stands for a token. Candidates are numbered by column, while biases, lists
// and histories contain tokens; a token may have a column in each branch of a row.
#ifndef TEMPERA_SAMPLER_ROW_COLUMNS_H
#define TEMPERA_SAMPLER_ROW_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#include <tempera/sampler.h>

#include "sampler/row/candidates.h"

// Branches of a row: at least one.
static inline size_t tempera_row_n_branches(const struct tempera_sample_row *row)
{
    return row->n_branches > 0 ? row->n_branches : 1;
}

// The history that the tokens of branch b follow.
static inline const struct tempera_sampler_state *
tempera_row_history(const struct tempera_sample_row *row, size_t b)
{
    return row->n_branches > 0 ? row->branches[b].state : row->state;
}

// The token that a column stands for.
static inline int32_t tempera_row_token(const struct tempera_sample_row *row, int32_t column)
{
    return row->tokens != NULL ? row->tokens[column] : column;
}

// The column of a token in branch b, SIZE_MAX if it has none.
size_t tempera_candidates_column(const struct tempera_candidates *c, size_t b, int32_t token);

// The index of that column's candidate, SIZE_MAX if there is none.
static inline size_t tempera_candidates_find_token(const struct tempera_candidates *c, size_t b,
                                                   int32_t token)
{
    size_t column = tempera_candidates_column(c, b, token);
    return column == SIZE_MAX ? SIZE_MAX : tempera_candidates_find(c, (int32_t)column);
}

#endif
