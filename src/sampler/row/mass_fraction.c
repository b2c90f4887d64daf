// SPDX-License-Identifier: MIT
// P's bits are an integer, so a product with an integral mass is one as well.
#include "sampler/row/mass_fraction.h"

#include <stdint.h>

#include "base/half.h"

// P = numerator / 2^shift, with a numerator below 2^24.
static uint32_t numerator_of(float P, uint32_t *shift)
{
    uint32_t bits = tempera_float_bits(P), exponent = bits >> 23, numerator = bits & 0x7FFFFFu;
    if (exponent == 0)
        exponent = 1; // denormal
    else
        numerator |= 0x800000u;
    *shift = 150 - exponent;
    return numerator;
}

tempera_u128 tempera_mass_fraction_floor(float P, tempera_u128 mass)
{
    uint32_t shift;
    tempera_u128 product = mass * numerator_of(P, &shift);
    return shift < 128 ? product >> shift : 0;
}

tempera_u128 tempera_mass_fraction_ceil(float P, tempera_u128 mass)
{
    uint32_t shift;
    tempera_u128 product = mass * numerator_of(P, &shift);
    if (product == 0)
        return 0;
    return shift < 128 ? ((product - 1) >> shift) + 1 : 1;
}

// The slack undoes the rounding of P: the float 0.8f is above 0.8, and without slack 801 of 1000
// equal tokens would stay.
tempera_u128 tempera_nucleus_mass(float P, tempera_u128 mass)
{
    tempera_u128 fraction = tempera_mass_fraction_ceil(P, mass), slack = mass >> 24;
    return fraction > slack ? fraction - slack : 1;
}
