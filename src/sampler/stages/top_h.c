// SPDX-License-Identifier: MIT
// Top-H: the longest prefix of the order whose part of the entropy, the sum of -p ln p, is at most
// a fraction h of the whole. -ln p is gap + nll_max, so the entropy of a prefix follows from two
// sums of integers.
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "sampler/row/candidates.h"
#include "sampler/row/masses.h"
#include "sampler/row/partition.h"
#include "sampler/row/ranking.h"
#include "sampler/stages/stages.h"

struct prefix {
    size_t count;
    struct tempera_mass_gap_sums sums;
};

// A prefix, lengthened n times by `count` scores with these sums.
static struct prefix lengthened(struct prefix prefix, size_t count,
                                struct tempera_mass_gap_sums sums, size_t n)
{
    prefix.count += n * count;
    prefix.sums.mass += n * sums.mass;
    prefix.sums.mass_gap += n * sums.mass_gap;
    return prefix;
}

struct search {
    const struct tempera_mass_scale *scale;
    double nll_max, most; // `most`: entropy times total mass that a prefix may have
    size_t least;         // candidates that are kept whatever their entropy
    struct prefix above;  // the longest prefix so far
};

static double entropy_of(struct tempera_mass_gap_sums sums, double nll_max)
{
    return (double)sums.mass_gap + nll_max * (double)sums.mass;
}

static bool is_allowed(const struct search *search, struct prefix prefix)
{
    return entropy_of(prefix.sums, search->nll_max) <= search->most ||
           prefix.count <= search->least;
}

static bool ends_within(void *context, const float *scores, size_t n)
{
    struct search *search = context;
    struct prefix longer =
        lengthened(search->above, n, tempera_scores_mass_gaps(search->scale, scores, n), 1);
    if (!is_allowed(search, longer))
        return true;
    search->above = longer;
    return false;
}

// How many of n_ties equal scores can stay.
static size_t ties_allowed(const struct search *search, float score, size_t n_ties)
{
    struct tempera_mass_gap_sums one = tempera_scores_mass_gaps(search->scale, &score, 1);
    size_t low = 0, high = n_ties;
    while (low < high) {
        size_t middle = high - (high - low) / 2;
        if (is_allowed(search, lengthened(search->above, 1, one, middle)))
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

void tempera_apply_top_h(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.top_h == 1)
        return;
    struct tempera_mass_scale scale = tempera_mass_scale_of(c);
    struct prefix all = {c->n, tempera_scores_mass_gaps(&scale, c->scores, c->n)};
    struct search search = {.scale = &scale,
                            .nll_max = tempera_nll_max_of(all.sums.mass, &scale),
                            .least = stage->min_keep > 1 ? stage->min_keep : 1};
    search.most = ((double)stage->u.top_h + 0x1p-24) * entropy_of(all.sums, search.nll_max);
    if (is_allowed(&search, all))
        return;
    const struct tempera_ranking by_score = {.scale = &scale};
    struct tempera_prefix_end end = tempera_partition(&by_score, c->scores, c->n, ends_within,
                                                      &search, tempera_candidates_float_scratch(c));
    tempera_candidates_keep_ties(c, end.scores[0], ties_allowed(&search, end.scores[0], end.n));
}
