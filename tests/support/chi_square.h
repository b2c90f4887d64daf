// SPDX-License-Identifier: MIT
// Pearson's test: how likely counts are that lie so far from what was expected.
#ifndef TEMPERA_TEST_CHI_SQUARE_H
#define TEMPERA_TEST_CHI_SQUARE_H

#include "check.h"

static const double reject_below = 1e-6;

// The chance of a value of at least x with df degrees of freedom: the upper incomplete gamma
// function Q(df / 2, x / 2), by its series below the mean and its continued fraction above.
__attribute__((unused)) static double chi_square_tail(double x, double df)
{
    double a = df / 2, y = x / 2;
    if (y <= 0)
        return 1;
    double front = exp(a * log(y) - y - lgamma(a));
    if (y < a + 1) {
        double term = 1 / a, sum = term;
        for (int i = 1; i < 1000; i++)
            sum += term *= y / (a + i);
        return 1 - front * sum;
    }
    double b = 0; // from the far end of 1/(y+1-a- 1(1-a)/(y+3-a- 2(2-a)/(y+5-a- ...
    for (int i = 1000; i >= 1; i--)
        b = i * (i - a) / (y + 2 * i + 1 - a - b);
    return front / (y + 1 - a - b);
}

// The chance of counts this far from n_draws p[n], those below 5 expected in one bin. Counts where
// p is 0 are an error, not a matter of chance.
__attribute__((unused)) static double chance_of(const double *counts, const double *p, size_t n,
                                                double n_draws)
{
    double x = 0, rest = 0, rest_expected = 0, df = -1;
    for (size_t i = 0; i < n; i++) {
        double expected = n_draws * p[i];
        CHECK(p[i] > 0 || counts[i] == 0);
        if (expected < 5) {
            rest += counts[i];
            rest_expected += expected;
        } else {
            x += (counts[i] - expected) * (counts[i] - expected) / expected;
            df++;
        }
    }
    if (rest_expected > 0) {
        x += (rest - rest_expected) * (rest - rest_expected) / rest_expected;
        df++;
    }
    return df < 1 ? 1 : chi_square_tail(x, df);
}

#endif
