// SPDX-License-Identifier: MIT
#ifndef TEMPERA_SAMPLER_ROW_RADIX_SORT_H
#define TEMPERA_SAMPLER_ROW_RADIX_SORT_H

#include <stddef.h>

// scores[n], descending, in the scratch: two arrays of TEMPERA_PADDED(n) floats.
const float *tempera_sorted_scores(const float *scores, size_t n, void *scratch);

#endif
