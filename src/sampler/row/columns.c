// SPDX-License-Identifier: MIT
#include "sampler/row/columns.h"

size_t tempera_candidates_column(const struct tempera_candidates *c, size_t b, int32_t token)
{
    const struct tempera_sample_row *row = c->row;
    if (row->tokens == NULL)
        return (size_t)token < c->n_columns ? (size_t)token : SIZE_MAX;
    size_t low = b == 0 ? 0 : row->branches[b - 1].end;
    size_t end = row->n_branches > 0 ? row->branches[b].end : c->n_columns;
    end = end < c->n_columns ? end : c->n_columns; // the mask may cover fewer
    for (size_t high = end; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (row->tokens[middle] == token)
            return middle;
        if (row->tokens[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}
