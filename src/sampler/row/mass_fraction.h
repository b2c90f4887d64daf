// SPDX-License-Identifier: MIT
// Fractions of a mass, exactly: floor(P mass) and ceil(P mass) for P in [0, 1] and a mass below
// 2^104.
#ifndef TEMPERA_SAMPLER_ROW_MASS_FRACTION_H
#define TEMPERA_SAMPLER_ROW_MASS_FRACTION_H

#include "sampler/row/u128.h"

tempera_u128 tempera_mass_fraction_floor(float P, tempera_u128 mass);
tempera_u128 tempera_mass_fraction_ceil(float P, tempera_u128 mass);

// What top-p has to keep of a mass: max(1, ceil(P mass) - floor(mass / 2^24)).
tempera_u128 tempera_nucleus_mass(float P, tempera_u128 mass);

#endif
