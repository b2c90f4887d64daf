// SPDX-License-Identifier: MIT
// Top-H: the longest prefix of the order whose share of the entropy, the sum of -p ln p, is at most
// h of the whole. With depths x and lambda = -ln p_max that is a sum of p (x + lambda), so two sums
// of integers say what a prefix has. Where it ends is found by parting, as in select.c; each step
// is a kernel's pass over the scores among which the end still lies.
#include <float.h>
#include <math.h>

#include "sampler/row/row.h"

// Candidates, and what they add up to.
struct part {
    size_t count;
    struct tempera_gap_sums sums;
};

static struct part joined(struct part a, struct part b)
{
    return (struct part){a.count + b.count, {a.sums.W + b.sums.W, a.sums.V + b.sums.V}};
}

static struct part ties_of(struct part one, size_t n)
{
    return (struct part){n * one.count, {n * one.sums.W, n * one.sums.V}};
}

static struct part part_of(const struct tempera_scale *scale, const float *scores, size_t n)
{
    return (struct part){n, tempera_scale_gaps(scale, scores, n)};
}

// How much of the entropy may stay, and how many candidates do whatever they have of it.
struct budget {
    double nll_max, most;
    size_t least;
};

static bool is_within(struct part part, const struct budget *budget)
{
    double entropy = (double)part.sums.V + budget->nll_max * (double)part.sums.W;
    return entropy <= budget->most || part.count <= budget->least;
}

// The most of n_ties, each `one`, that can stay with what is above them.
static size_t ties_within(struct part above, struct part one, size_t n_ties,
                          const struct budget *budget)
{
    size_t low = 0, high = n_ties;
    while (low < high) {
        size_t middle = high - (high - low) / 2;
        if (is_within(joined(above, ties_of(one, middle)), budget))
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static size_t take(const float *scores, size_t n, float floor, float ceiling, float *out)
{
    return tempera_kernels_active()->sampler.gather(scores, NULL, n, 0, floor, ceiling, out, NULL);
}

// Keeps the longest prefix within the budget, which all candidates exceed. What lies from `low` on
// is too much, what lies above `high` is `above`, and is not.
static void keep_within(struct tempera_candidates *c, const struct tempera_scale *scale,
                        const struct budget *budget)
{
    const struct tempera_ranking by_score = {.scale = scale};
    float *next = (float *)(void *)c->masses, *other = next + TEMPERA_PADDED(c->n);
    struct tempera_partition left = {c->scores, c->n, tempera_score_key(-FLT_MAX),
                                     tempera_score_key(FLT_MAX)};
    struct part above = {0, {0, 0}};
    for (unsigned round = 0; left.low < left.high; round++) {
        uint64_t key = tempera_pivot_of(&by_score, &left, round);
        float pivot = tempera_key_score((uint32_t)key);
        size_t n_next = take(left.scores, left.n, pivot, INFINITY, next);
        if (n_next == left.n) {
            left.low = key;
            continue;
        }
        struct part more = joined(above, part_of(scale, next, n_next));
        if (is_within(more, budget)) {
            left.high = key - 1;
            above = more;
            n_next = take(left.scores, left.n, -FLT_MAX, tempera_score_before(pivot), next);
        } else {
            left.low = key;
        }
        left.scores = next;
        left.n = n_next;
        next = other;
        other = (float *)(uintptr_t)left.scores;
    }
    float score = left.scores[0];
    tempera_candidates_keep_ties(c, score,
                                 ties_within(above, part_of(scale, &score, 1), left.n, budget));
}

void tempera_apply_top_h(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.top_h == 1)
        return;
    struct tempera_scale scale = tempera_scale_of(c);
    struct part all = part_of(&scale, c->scores, c->n);
    struct budget budget = {.nll_max = tempera_nll_max_of(all.sums.W, &scale)};
    double whole = (double)all.sums.V + budget.nll_max * (double)all.sums.W;
    budget.most = ((double)stage->u.top_h + 0x1p-24) * whole;
    budget.least = stage->min_keep > 1 ? stage->min_keep : 1;
    if (!is_within(all, &budget))
        keep_within(c, &scale, &budget);
}
