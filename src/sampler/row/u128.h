// SPDX-License-Identifier: MIT
#ifndef TEMPERA_SAMPLER_ROW_U128_H
#define TEMPERA_SAMPLER_ROW_U128_H

// For sums of masses, of which there are at most 2^31, each below 2^52, and for random bits.
__extension__ typedef unsigned __int128 tempera_u128;

#endif
