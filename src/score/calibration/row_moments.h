// SPDX-License-Identifier: MIT
// Mean and variance of a row's scores under its own softmax: the derivatives of everything that
// depends on the temperature.
#ifndef TEMPERA_SCORE_CALIBRATION_ROW_MOMENTS_H
#define TEMPERA_SCORE_CALIBRATION_ROW_MOMENTS_H

#include <tempera/calibration.h>

#include "score/row_source.h"

// Of x = z - max, whose distribution is p = exp(x / T) / S.
struct tempera_score_moments {
    double ln_S, mean, variance;
};

// moments[n] at each of params[n], in one sweep over the row. Its maximum is finite, and it has no
// NaN; n at most TEMPERA_MOST_TEMPERATURES, each T in (0, inf).
void tempera_row_moments(const struct tempera_row_source *source, float max,
                         const struct tempera_temperature_params *params, size_t n,
                         struct tempera_score_moments *moments);

#endif
