// SPDX-License-Identifier: MIT
#include "chi_square.h"

#include <math.h>

#include "check.h"

double chi_square_tail(double x, double df)
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

double chance_of(const double *counts, const double *p, size_t n, double n_draws)
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
