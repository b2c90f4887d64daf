// SPDX-License-Identifier: MIT
// Where the mass of a whole row is likely to lie: a thousand scores here and there stand for most
// of the row. The large ones, which are too few for a sample, are maxima of their blocks, but for
// some, and all of these are counted.
#include <math.h>

#include "sampler/row/row.h"

enum { BLOCK = TEMPERA_MAXIMA_BLOCK, STEP = 8, SAMPLE = 128 * STEP, SMALL = 8 * SAMPLE };
enum { LAST = TEMPERA_HISTOGRAM_BINS - 1, PER_NAT = 16 };

static void add(struct tempera_mass_histogram *g, const struct tempera_scale *scale, const float *z,
                size_t n, double each)
{
    uint64_t masses[SAMPLE];
    const float per_step = (float)(PER_NAT / scale->T); // any guess will do, so it may be inexact
    tempera_scale_masses(scale, z, n, masses);
    for (size_t i = 0; i < n; i++) {
        float depth = (scale->max - z[i]) * per_step;
        g->mass[depth < LAST ? (size_t)depth : LAST] += (double)masses[i] * each;
    }
}

// A few scores in the middle of each 128th of the row, SAMPLE at most, without their blocks'
// maxima; returns how many.
static size_t take_sample(const struct tempera_candidates *c, struct tempera_scores scores,
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

bool tempera_mass_histogram_of(struct tempera_candidates *c, const struct tempera_scale *scale,
                               struct tempera_mass_histogram *g)
{
    float sample[SAMPLE];
    if (c->whole == NULL || c->n_whole < SMALL)
        return false;
    struct tempera_scores scores = tempera_candidates_scores(c);
    size_t blocks = tempera_candidates_n_blocks(c), n = take_sample(c, scores, sample);
    memset(g, 0, sizeof *g);
    add(g, scale, sample, n, (double)(scores.n - blocks) / (double)n);
    for (size_t i = 0; i < blocks; i += SAMPLE)
        add(g, scale, c->maxima + i, blocks - i < SAMPLE ? blocks - i : SAMPLE, 1);
    for (size_t i = 0; i <= LAST; i++)
        g->total += g->mass[i];
    return true;
}

struct tempera_range tempera_mass_histogram_gap(const struct tempera_mass_histogram *g, double mass)
{
    size_t at = LAST;
    double below = g->mass[at];
    while (at > 0 && below < mass)
        below += g->mass[--at];
    return (struct tempera_range){(double)at / PER_NAT, (double)(at + 1) / PER_NAT};
}

// Whichever of the two outermost bins is the farther one goes first.
struct tempera_range tempera_mass_histogram_distance(const struct tempera_mass_histogram *g,
                                                     double centre, double mass)
{
    size_t high = 0, end = LAST + 1; // of the bins that are left
    const double middle = centre * PER_NAT - 0.5;
    double beyond = 0, distance = (double)LAST;
    while (high < end && beyond < mass) {
        bool is_low = (double)(end - 1) - middle > middle - (double)high;
        size_t at = is_low ? --end : high++;
        distance = is_low ? (double)at - middle : middle - (double)at;
        beyond += g->mass[at];
    }
    return (struct tempera_range){(distance - 0.5) / PER_NAT, (distance + 0.5) / PER_NAT};
}
