// SPDX-License-Identifier: MIT
// The estimate is made from about 1000 sampled scores and the maximum of every block: large scores
// are too few for a sample, but most of them are maxima.
#include "sampler/row/mass_histogram.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/kernels.h"

enum { BLOCK = TEMPERA_MAXIMA_BLOCK, STEP = 8, SAMPLE = 128 * STEP, SMALL = 8 * SAMPLE };
enum { LAST = TEMPERA_HISTOGRAM_BINS - 1, PER_NAT = 16 };

static void add(struct tempera_mass_histogram *histogram, const struct tempera_mass_scale *scale,
                const float *z, size_t n, double each)
{
    uint64_t masses[SAMPLE];
    const float per_nat = (float)(PER_NAT / scale->T); // rounded, as this is only an estimate
    tempera_masses_compute(scale, z, n, masses);
    for (size_t i = 0; i < n; i++) {
        float gap = (scale->max - z[i]) * per_nat;
        histogram->mass[gap < LAST ? (size_t)gap : LAST] += (double)masses[i] * each;
    }
}

// A few scores in the middle of each 128th of the row, SAMPLE at most, without their blocks'
// maxima; returns how many.
static size_t take_sample(const struct tempera_candidates *c, struct tempera_score_array scores,
                          float sample[SAMPLE])
{
    size_t n = 0, distance = (scores.n / (SAMPLE / STEP) + STEP) / STEP * STEP;
    for (size_t i = distance / STEP / 2 * STEP; i + STEP <= scores.n; i += distance) {
        bool seen = false;
        for (size_t k = i; k < i + STEP; k++) {
            bool is_maximum = !seen && scores.z[k] == c->maxima[i / BLOCK];
            sample[n] = scores.z[k];
            n += !is_maximum;
            seen |= is_maximum;
        }
    }
    return n;
}

bool tempera_mass_histogram_of(struct tempera_candidates *c, const struct tempera_mass_scale *scale,
                               struct tempera_mass_histogram *histogram)
{
    float sample[SAMPLE];
    if (c->whole == NULL || c->n_whole < SMALL)
        return false;
    struct tempera_score_array scores = tempera_candidates_scores(c);
    size_t blocks = tempera_candidates_n_blocks(c), n = take_sample(c, scores, sample);
    memset(histogram, 0, sizeof *histogram);
    add(histogram, scale, sample, n, (double)(scores.n - blocks) / (double)n);
    for (size_t i = 0; i < blocks; i += SAMPLE)
        add(histogram, scale, c->maxima + i, blocks - i < SAMPLE ? blocks - i : SAMPLE, 1);
    for (size_t i = 0; i <= LAST; i++)
        histogram->total += histogram->mass[i];
    return true;
}

// Of the two outermost bins, the one farther from the centre goes first.
struct tempera_range tempera_mass_histogram_distance(const struct tempera_mass_histogram *histogram,
                                                     double centre, double mass)
{
    size_t first = 0, end = LAST + 1; // of the bins that are left
    const double middle = centre * PER_NAT - 0.5;
    const bool is_one_sided = middle < 0; // saves the comparisons
    double beyond = 0, distance = (double)LAST - middle;
    while (first < end && beyond < mass) {
        bool is_low = is_one_sided || (double)(end - 1) - middle > middle - (double)first;
        size_t bin = is_low ? --end : first++;
        distance = is_low ? (double)bin - middle : middle - (double)bin;
        beyond += histogram->mass[bin];
    }
    return (struct tempera_range){(distance - 0.5) / PER_NAT, (distance + 0.5) / PER_NAT};
}

float tempera_mass_histogram_floor(const struct tempera_mass_histogram *histogram,
                                   const struct tempera_mass_scale *scale, double centre,
                                   double mass)
{
    double distance = tempera_mass_histogram_distance(histogram, centre, mass).most;
    return tempera_score_at(scale, centre + distance);
}
