// SPDX-License-Identifier: MIT
// Which blocks of a whole row have to be read follows from their maxima; the rest is a partition.
#include "sampler/row/prefix.h"

#include <math.h>

#include "sampler/row/partition.h"

static size_t count_above(const struct tempera_candidates *c, float score)
{
    size_t count = 0;
    for (size_t i = 0; i < c->n; i++)
        count += c->scores[i] > score;
    return count;
}

bool tempera_candidates_keep_prefix(struct tempera_candidates *c,
                                    const struct tempera_ranking *by_score, tempera_u128 least,
                                    size_t min_keep)
{
    struct tempera_prefix_end end =
        tempera_find_prefix_end(by_score, c->scores, c->n, least, (float *)(void *)c->masses);
    float score = end.scores[0];
    size_t n_ties = tempera_ties_needed(by_score, score, least - end.weight_above);
    if (n_ties > end.n)
        return false;
    if (min_keep > 1 && count_above(c, score) + n_ties < min_keep) {
        tempera_candidates_keep_first(c, min_keep);
        return c->n >= min_keep;
    }
    if (n_ties == end.n)
        tempera_candidates_keep_from(c, score);
    else
        tempera_candidates_keep_ties(c, score, n_ties);
    return true;
}

// The k-th largest of the maxima of a whole row's blocks, which at least k scores reach; -infinity
// if there are fewer blocks.
static float kth_block_maximum(const struct tempera_candidates *c, size_t k)
{
    const struct tempera_ranking by_score = {.by_count = true};
    float *scratch = (float *)(void *)c->masses;
    if (k == 1)
        return c->max;
    size_t n_blocks = tempera_candidates_n_blocks(c);
    if (k > n_blocks)
        return -INFINITY;
    return tempera_find_prefix_end(&by_score, c->maxima, n_blocks, k, scratch).scores[0];
}

void tempera_candidates_keep_first(struct tempera_candidates *c, size_t k)
{
    const struct tempera_ranking by_score = {.by_count = true};
    if (k < c->n && c->whole != NULL)
        tempera_candidates_gather_from(c, kth_block_maximum(c, k), k);
    if (k < c->n)
        tempera_candidates_keep_prefix(c, &by_score, k, 1);
}
