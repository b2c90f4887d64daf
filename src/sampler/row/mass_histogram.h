// SPDX-License-Identifier: MIT
// An estimate of where the mass of a row lies. It only makes things faster: its user has to
// check the result against the exact masses.
#ifndef TEMPERA_SAMPLER_ROW_MASS_HISTOGRAM_H
#define TEMPERA_SAMPLER_ROW_MASS_HISTOGRAM_H

#include <stdbool.h>

#include "sampler/row/candidates.h"
#include "sampler/row/masses.h"

enum { TEMPERA_HISTOGRAM_BINS = 512 };

// The mass of a whole row by gap, in sixteenths of a nat; the last bin has all larger gaps.
struct tempera_mass_histogram {
    double mass[TEMPERA_HISTOGRAM_BINS], total;
};

// False if the row is gathered, or too small for an estimate.
bool tempera_mass_histogram_of(struct tempera_candidates *c, const struct tempera_mass_scale *scale,
                               struct tempera_mass_histogram *histogram);

struct tempera_range {
    double least, most;
};

// The distance, on both sides of the gap `centre`, beyond which lies this mass; in nats.
struct tempera_range tempera_mass_histogram_distance(const struct tempera_mass_histogram *histogram,
                                                     double centre, double mass);

// The score above which all but this mass is likely to lie, in the order of that distance.
float tempera_mass_histogram_floor(const struct tempera_mass_histogram *histogram,
                                   const struct tempera_mass_scale *scale, double centre,
                                   double mass);

#endif
