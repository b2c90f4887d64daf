// SPDX-License-Identifier: MIT
// Sorts scores by their bits, eleven at a time: three passes, whatever the row.
#include "sampler/row/radix_sort.h"

#include <stdint.h>

#include "sampler/row/score_key.h"
#include "sampler/row/scratch.h"

enum { DIGIT = 11, VALUES = 1 << DIGIT };

// From keys[n] to out[n], by one digit; those with equal digits keep their order.
static void sort_by_digit(const uint32_t *keys, size_t n, unsigned shift, uint32_t *out)
{
    size_t offsets[VALUES] = {0}, offset = 0;
    for (size_t i = 0; i < n; i++)
        offsets[keys[i] >> shift & (VALUES - 1)]++;
    for (size_t v = 0; v < VALUES; v++) {
        size_t count = offsets[v];
        offsets[v] = offset;
        offset += count;
    }
    for (size_t i = 0; i < n; i++)
        out[offsets[keys[i] >> shift & (VALUES - 1)]++] = keys[i];
}

const float *tempera_sorted_scores(const float *scores, size_t n, void *scratch)
{
    uint32_t *keys = scratch, *other = keys + TEMPERA_PADDED(n);
    for (size_t i = 0; i < n; i++)
        keys[i] = ~tempera_score_key(scores[i]);
    sort_by_digit(keys, n, 0, other);
    sort_by_digit(other, n, DIGIT, keys);
    sort_by_digit(keys, n, 2 * DIGIT, other);
    float *sorted = scratch;
    for (size_t i = 0; i < n; i++)
        sorted[i] = tempera_key_score(~other[i]);
    return sorted;
}
