// SPDX-License-Identifier: MIT
// Top-H: the longest prefix of the order whose share of the entropy, the sum of -p ln p, is at most
// h of the whole. With depths x and lambda = -ln p_max that is a sum of p (x + lambda), so two sums
// of integers say what a prefix has. Where it ends is found as in select.c, by bisection over the
// floats in their order.
#include <float.h>
#include <math.h>

#include "kernels/scalars.h"
#include "sampler/sampler.h"

// Candidates, and what they add up to.
struct part {
    size_t count;
    tempera_u128 mass, depth; // sums of w and of w x
};

static uint64_t weighted_depth(const struct tempera_candidates *c, size_t i)
{
    double depth = tempera_depth(c->scores[i], c->max, 1 / c->temperature);
    return tempera_rounded((double)c->masses[i] * depth);
}

static struct part part_from(const struct tempera_candidates *c, float score)
{
    struct part part = {0, 0, 0};
    for (size_t i = 0; i < c->n; i++)
        if (c->scores[i] >= score) {
            part.count++;
            part.mass += c->masses[i];
            part.depth += weighted_depth(c, i);
        }
    return part;
}

// The entropy of a part, in units of nats W.
static double entropy_of(struct part part, double lambda)
{
    return (double)part.depth + lambda * (double)part.mass;
}

// `above` and n ties at `score`, of which there is one.
static struct part with_ties(const struct tempera_candidates *c, struct part above, float score,
                             size_t n)
{
    size_t at = 0;
    while (c->scores[at] != score)
        at++;
    above.count += n;
    above.mass += (tempera_u128)n * c->masses[at];
    above.depth += (tempera_u128)n * weighted_depth(c, at);
    return above;
}

// The most of n_ties that stay within `most`.
static size_t ties_within(const struct tempera_candidates *c, struct part above, float score,
                          size_t n_ties, double lambda, double most)
{
    size_t low = 0, high = n_ties;
    while (low < high) {
        size_t middle = high - (high - low) / 2;
        if (entropy_of(with_ties(c, above, score, middle), lambda) <= most)
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
    struct tempera_scale scale = tempera_scale_of(c);
    double lambda = tempera_lambda_of(tempera_candidates_fill_masses(c), &scale);
    double whole = entropy_of(part_from(c, -FLT_MAX), lambda);
    double most = ((double)stage->u.top_h + 0x1p-24) * whole;
    if (whole <= most)
        return;
    size_t least = stage->min_keep > 1 ? stage->min_keep : 1;
    least = least < c->n ? least : c->n;
    // What lies from `low` on is too much, what lies from `high` on is `above` and is not.
    uint32_t low = tempera_score_key(-FLT_MAX), high = tempera_score_key(INFINITY);
    struct part above = {0, 0, 0};
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        struct part part = part_from(c, tempera_key_score(middle));
        if (entropy_of(part, lambda) <= most || part.count < least) {
            high = middle;
            above = part;
            continue;
        }
        low = middle;
        if (part.count <= c->n / 2) {
            tempera_candidates_keep_from(c, tempera_key_score(low));
            tempera_candidates_fill_masses(c);
        }
    }
    float score = tempera_key_score(low);
    size_t n_ties = part_from(c, score).count - above.count;
    n_ties = ties_within(c, above, score, n_ties, lambda, most);
    if (above.count + n_ties < least)
        n_ties = least - above.count;
    tempera_candidates_keep_ties(c, score, n_ties);
}
