// SPDX-License-Identifier: MIT
// Where a prefix of an order ends, found without sorting.
#ifndef TEMPERA_SAMPLER_ROW_PARTITION_H
#define TEMPERA_SAMPLER_ROW_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/row/ranking.h"
#include "sampler/row/u128.h"

// Says whether the end lies among scores[n], which follow those that it was given before and said
// false for. With false, the scores are part of the prefix, whose sums it keeps.
typedef bool tempera_prefix_ends_within(void *context, const float *scores, size_t n);

// The scores at which a prefix ends: all have the same key.
struct tempera_prefix_end {
    uint64_t key;
    const float *scores; // [n], in the scratch or where they were
    size_t n;
    tempera_u128 weight_above; // of the scores before these; 0 from tempera_partition
};

// Finds the end among scores[n], n > 0; it is the last of them if no others are. The scratch is two
// arrays of TEMPERA_PADDED(n) floats.
struct tempera_prefix_end tempera_partition(const struct tempera_ranking *ranking,
                                            const float *scores, size_t n,
                                            tempera_prefix_ends_within *ends_within, void *context,
                                            float *scratch);

// The end of the smallest prefix whose weight is `least` or more.
struct tempera_prefix_end tempera_find_prefix_end(const struct tempera_ranking *ranking,
                                                  const float *scores, size_t n, tempera_u128 least,
                                                  float *scratch);

#endif
