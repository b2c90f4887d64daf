// SPDX-License-Identifier: MIT
// Masses and gaps as docs/SAMPLING.md has them, for one score at a time: what the oracles stand
// on. fmaf of libm is exact, so that nothing of the library's kernels is in it.
#ifndef TEMPERA_TESTS_SAMPLER_MASSES_H
#define TEMPERA_TESTS_SAMPLER_MASSES_H

#include <stdbool.h>
#include <stdint.h>

// Whether a row with this maximum can be computed in f32.
bool is_f32_row(float max, double T);

// The exponential that masses are made of: 2^51 exp((score - max) / T) with a relative error below
// 2^-23 that is the same for a whole row, or where f32 can't hold the row, in double.
double exponential_of(float score, float max, double T);

// The exponential, rounded to an integer.
uint64_t mass_of(float score, float max, double T);

// (max - score) / T, at most 1024.
double gap_of(float score, float max, double T);

#endif
