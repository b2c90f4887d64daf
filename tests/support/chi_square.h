// SPDX-License-Identifier: MIT
// Pearson's test: how likely counts are that lie so far from what was expected.
#ifndef TEMPERA_TESTS_CHI_SQUARE_H
#define TEMPERA_TESTS_CHI_SQUARE_H

#include <stddef.h>

static const double reject_below = 1e-6;

// The chance of a value of at least x with df degrees of freedom: the upper incomplete gamma
// function Q(df / 2, x / 2), by its series below the mean and its continued fraction above.
double chi_square_tail(double x, double df);

// The chance of counts this far from n_draws p[n], those below 5 expected in one bin. Counts where
// p is 0 are an error, not a matter of chance.
double chance_of(const double *counts, const double *p, size_t n, double n_draws);

#endif
