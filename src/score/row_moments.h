// SPDX-License-Identifier: MIT
// Mean and variance of a row's scores under its own softmax: the derivatives of everything that
// depends on the temperature.
#ifndef TEMPERA_SCORE_ROW_MOMENTS_H
#define TEMPERA_SCORE_ROW_MOMENTS_H

#include "score/row_plan.h"

enum { TEMPERA_MOST_HEATS = 32 };

// Of x = z - max, whose distribution is p = exp(x / T) / S.
struct tempera_moments {
    double ln_S, mean, variance;
};

// moments[n] at each of heats[n], in one sweep over the row. Its maximum is finite, and it has no
// NaN; n at most TEMPERA_MOST_HEATS, each T in (0, inf).
void tempera_row_moments(const struct tempera_row_source *source, float max,
                         const struct tempera_heat *heats, size_t n,
                         struct tempera_moments *moments);

#endif
