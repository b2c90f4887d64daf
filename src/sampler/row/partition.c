// SPDX-License-Identifier: MIT
// Weighted quickselect: partitions the scores by a pivot, adds up the upper side exactly, and goes
// on with the side that has the end. Each step is a kernel's pass over the scores that are left.
#include "sampler/row/partition.h"

#include <math.h>

#include "kernels/kernels.h"
#include "sampler/row/score_key.h"
#include "sampler/row/scratch.h"

// The scores that are left, and the keys among which the end lies.
struct partition {
    const float *scores; // [n]
    size_t n;
    uint64_t low, high;
};

// A key in (low, high]: at first what is expected, then the median of a few scores. If that takes
// long, the range of keys is halved, which bounds the number of rounds for any row.
static uint64_t pivot_of(const struct tempera_ranking *ranking, const struct partition *partition,
                         unsigned round)
{
    enum { FEW = 15, PATIENCE = 24 };
    const uint64_t low = partition->low, high = partition->high;
    if (round < 2 && ranking->likely[round] > low && ranking->likely[round] <= high)
        return ranking->likely[round];
    if (round >= PATIENCE)
        return low + (high - low) / 2 + 1;
    uint64_t keys[FEW];
    size_t n = partition->n < FEW ? partition->n : FEW;
    for (size_t i = 0; i < n; i++) {
        uint64_t key = tempera_ranking_key(ranking, partition->scores[i * (partition->n / n)]);
        size_t at = i;
        for (; at > 0 && keys[at - 1] < key; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
    return keys[n / 2] > low ? keys[n / 2] : low + 1;
}

static size_t copy_inside(const struct partition *partition, struct tempera_interval interval,
                          float *out)
{
    return tempera_kernels_active()->sampler.gather(partition->scores, NULL, partition->n, 0,
                                                    interval.low, interval.high, out, NULL);
}

static size_t copy_outside(const struct partition *partition, struct tempera_interval interval,
                           float *out)
{
    const struct tempera_interval below = {-INFINITY, tempera_score_before(interval.low)};
    const struct tempera_interval above = {tempera_score_after(interval.high), INFINITY};
    size_t n = copy_inside(partition, below, out);
    return interval.high < INFINITY ? n + copy_inside(partition, above, out + n) : n;
}

struct tempera_prefix_end tempera_partition(const struct tempera_ranking *ranking,
                                            const float *scores, size_t n,
                                            tempera_prefix_ends_within *ends_within, void *context,
                                            float *scratch)
{
    struct partition left = {scores, n, 0, UINT64_MAX};
    if (!ranking->by_distance) {
        left.low = tempera_score_key(-INFINITY);
        left.high = tempera_score_key(INFINITY);
    }
    float *next = scratch, *other = scratch + TEMPERA_PADDED(n);
    for (unsigned round = 0; left.low < left.high; round++) {
        uint64_t pivot = pivot_of(ranking, &left, round);
        struct tempera_interval interval = tempera_interval_of(ranking, pivot);
        size_t n_next = copy_inside(&left, interval, next);
        if (n_next == left.n) {
            left.low = pivot;
            continue;
        }
        if (n_next == 0) {
            left.high = pivot - 1;
            continue;
        }
        if (ends_within(context, next, n_next)) {
            left.low = pivot;
        } else {
            left.high = pivot - 1;
            n_next = copy_outside(&left, interval, next);
        }
        left.scores = next;
        left.n = n_next;
        next = other;
        other = (float *)(uintptr_t)left.scores;
    }
    return (struct tempera_prefix_end){left.low, left.scores, left.n, 0};
}

// ------------------------------------------------------------------------------------------------
// By weight

struct weights {
    const struct tempera_ranking *ranking;
    tempera_u128 above, least;
};

static bool reaches_weight(void *context, const float *scores, size_t n)
{
    struct weights *weights = context;
    tempera_u128 sum = weights->above + tempera_weight_of(weights->ranking, scores, n);
    if (sum >= weights->least)
        return true;
    weights->above = sum;
    return false;
}

struct tempera_prefix_end tempera_find_prefix_end(const struct tempera_ranking *ranking,
                                                  const float *scores, size_t n, tempera_u128 least,
                                                  float *scratch)
{
    struct weights weights = {ranking, 0, least};
    struct tempera_prefix_end end =
        tempera_partition(ranking, scores, n, reaches_weight, &weights, scratch);
    end.weight_above = weights.above;
    return end;
}
