// SPDX-License-Identifier: MIT
// Locally typical sampling: a prefix of the order (distance of -ln p from the entropy ascending,
// score descending, id ascending). -ln p_i - H is x_i - X, x being the depth and X its mean: no
// logarithm is taken. Where the prefix ends is found as in select.c, by bisection.
#include <string.h>

#include "sampler/sampler.h"

// A candidate's place in the order, as a number: only ties have equal ones. The bits of a positive
// double lie in the order of its values. Adding 0 makes the zeros one: -0 - (+0) is -0.
static tempera_u128 rank_of(const struct tempera_candidates *c, size_t i, double mean_depth)
{
    double x = tempera_candidates_depth(c, i);
    double distance = (x < mean_depth ? mean_depth - x : x - mean_depth) + 0.0;
    uint64_t bits;
    memcpy(&bits, &distance, sizeof bits);
    return (tempera_u128)bits << 32 | (uint32_t)~tempera_score_key(c->scores[i] + 0.0f);
}

// The mass of the candidates up to a rank, and their number.
static tempera_u128 mass_to(const struct tempera_candidates *c, double mean_depth,
                            tempera_u128 rank, size_t *count)
{
    tempera_u128 mass = 0;
    *count = 0;
    for (size_t i = 0; i < c->n; i++)
        if (rank_of(c, i, mean_depth) <= rank) {
            mass += c->masses[i];
            ++*count;
        }
    return mass;
}

// Keeps the candidates before `rank`, and the first n_ties of those at it.
static void keep_to(struct tempera_candidates *c, double mean_depth, tempera_u128 rank,
                    size_t n_ties)
{
    const struct tempera_candidates all = *c;
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++) {
        tempera_u128 own = rank_of(&all, i, mean_depth);
        tempera_candidates_move(all, i, kept);
        bool tie = own == rank && n_ties > 0;
        n_ties -= tie;
        kept += tie || own < rank;
    }
    c->n = kept;
}

// Ties have equal masses.
static size_t ties_needed(const struct tempera_candidates *c, double mean_depth, tempera_u128 rank,
                          tempera_u128 missing)
{
    if (missing == 0)
        return 0;
    size_t at = 0;
    while (rank_of(c, at, mean_depth) != rank)
        at++;
    return (size_t)((missing + c->masses[at] - 1) / c->masses[at]);
}

// The maximum may go, so the candidates are settled; until then depths and masses stay those of
// before.
void tempera_apply_typical(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.typical == 1)
        return;
    double mean_depth = tempera_candidates_mean_depth(c);
    tempera_u128 least = tempera_nucleus_weight(stage->u.typical, tempera_candidates_weigh(c));
    size_t min_keep = stage->min_keep < c->n ? stage->min_keep : c->n, n_before = 0;
    // What stands up to `high` suffices, what stands before `low` is at most `before` and doesn't.
    tempera_u128 low = 0, high = ((tempera_u128)1 << 96) - 1, before = 0;
    while (low < high) {
        tempera_u128 middle = low + (high - low) / 2;
        size_t count;
        tempera_u128 mass = mass_to(c, mean_depth, middle, &count);
        if (mass < least || count < min_keep) {
            low = middle + 1;
            before = mass;
            n_before = count;
            continue;
        }
        high = middle;
        if (count <= c->n / 2)
            keep_to(c, mean_depth, high, SIZE_MAX);
    }
    size_t n_ties = ties_needed(c, mean_depth, high, least > before ? least - before : 0);
    if (n_before + n_ties < min_keep)
        n_ties = min_keep - n_before;
    keep_to(c, mean_depth, high, n_ties);
    tempera_candidates_settle(c);
}
