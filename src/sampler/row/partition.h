// SPDX-License-Identifier: MIT
// Orders of scores and where a prefix of one ends.
#ifndef TEMPERA_SAMPLER_ROW_PARTITION_H
#define TEMPERA_SAMPLER_ROW_PARTITION_H

#include "sampler/row/candidates.h"

// An order of scores, the first with the largest key: by score, or by how near the depth lies to a
// centre.
struct tempera_ranking {
    const struct tempera_scale *scale; // of the masses
    bool counts;                       // each score weighs 1, not its mass
    uint64_t likely[2];                // keys between which the end is likely to lie; 0: unknown
    bool by_distance;                  // the rest is for this, and scale
    double inverse_T, centre;
    uint32_t nearest; // the score key of the first of all floats
};

struct tempera_ranking tempera_ranking_by_distance(const struct tempera_scale *scale,
                                                   double centre);

// The end is likely to lie behind the score `sooner` and before `later`.
void tempera_ranking_expect(struct tempera_ranking *ranking, float sooner, float later);

// What is left to part, and the keys among which the end of a prefix lies.
struct tempera_partition {
    const float *scores; // [n]
    size_t n;
    uint64_t low, high;
};

// A key in (low, high], by which to part; low < high. round: counts the pivots so far.
uint64_t tempera_pivot_of(const struct tempera_ranking *ranking,
                          const struct tempera_partition *part, unsigned round);

// The scores at which a prefix ends: all have the same key. Those with a larger one weigh `above`.
struct tempera_prefix_end {
    uint64_t key;
    const float *scores; // [n], in the room or where they were
    size_t n;
    tempera_u128 above;
};

// Finds where the weights of scores[n], n > 0, from the first in the order on, reach `least`. If
// they don't, the end is the last of them. room: two arrays of n floats, with room.
struct tempera_prefix_end tempera_find_end(const struct tempera_ranking *ranking,
                                           const float *scores, size_t n, tempera_u128 least,
                                           float *scratch);

// scores[n], descending, in the room, which is that of tempera_find_end.
const float *tempera_sorted_scores(const float *scores, size_t n, void *scratch);

uint64_t tempera_ranking_key(const struct tempera_ranking *ranking, float score);

// The sum of the weights of scores[n].
tempera_u128 tempera_weight_of(const struct tempera_ranking *ranking, const float *scores,
                               size_t n);

// The interval of the scores that come no later than those with this key.
struct tempera_interval {
    float low, high;
};

struct tempera_interval tempera_interval_of(const struct tempera_ranking *ranking, uint64_t key);

// How many of equal scores are needed for their weights to reach `missing`, which isn't 0. SIZE_MAX
// if they have none.
size_t tempera_ties_needed(const struct tempera_ranking *ranking, float score,
                           tempera_u128 missing);

// Keeps the smallest prefix of the order by score that weighs `least` or more and has min_keep
// candidates; of gathered ones, whose room for masses it uses. False if these aren't enough.
bool tempera_keep_prefix(struct tempera_candidates *c, const struct tempera_ranking *by_score,
                         tempera_u128 least, size_t min_keep);

// Keeps the first min(k, n) of the order (score descending, id ascending); k > 0.
void tempera_candidates_keep_first(struct tempera_candidates *c, size_t k);

// The k-th largest of the maxima of a whole row's blocks, which at least k scores reach; -infinity
// if there are fewer blocks.
float tempera_candidates_largest_maximum(const struct tempera_candidates *c, size_t k);

// ------------------------------------------------------------------------------------------------
// Shares of a mass

// floor(P W) and ceil(P W), exactly, for P in [0, 1] and W below 2^104.
tempera_u128 tempera_share_below(float P, tempera_u128 W);
tempera_u128 tempera_share_above(float P, tempera_u128 W);

// The mass that top-p has to keep of W: max(1, ceil(P W) - floor(W / 2^24)), exactly.
tempera_u128 tempera_nucleus_weight(float P, tempera_u128 W);

// ------------------------------------------------------------------------------------------------
// Guesses, so that whoever uses one has to find out whether it is true

enum { TEMPERA_HISTOGRAM_BINS = 512 };

// The masses of a whole row by depth, in sixteenths of a nat, the last bin for all that is lower.
struct tempera_mass_histogram {
    double mass[TEMPERA_HISTOGRAM_BINS], total;
};

// False if the row is gathered or too small for a guess.
bool tempera_mass_histogram_of(struct tempera_candidates *c, const struct tempera_scale *scale,
                               struct tempera_mass_histogram *g);

struct tempera_range {
    double least, most;
};

// The depth below which the scores have this mass together, in nats.
struct tempera_range tempera_mass_histogram_gap(const struct tempera_mass_histogram *g,
                                                double mass);

// How far from a depth, on both sides of it, those lie that have this mass together.
struct tempera_range tempera_mass_histogram_distance(const struct tempera_mass_histogram *g,
                                                     double centre, double mass);

#endif
