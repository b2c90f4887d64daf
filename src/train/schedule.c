// SPDX-License-Identifier: MIT
// Linear warm-up, then half a cosine (Loshchilov, Hutter 2016, arXiv 1608.03983, no restarts).
#include <tempera/train.h>

#include <math.h>

double tempera_train_learning_rate(const struct tempera_train_options *options, uint64_t k)
{
    double high = (double)options->learning_rate, low = (double)options->min_learning_rate;
    uint64_t warmup = options->warmup_steps;
    if (k > options->steps)
        return low;
    if (k <= warmup)
        return high * ((double)k / (double)warmup);
    const double pi = 3.14159265358979323846;
    double progress = (double)(k - warmup) / (double)(options->steps - warmup); // (0, 1]
    return low + (high - low) * (0.5 * (1 + cos(pi * progress)));
}
