// SPDX-License-Identifier: MIT
// What may still be drawn of a row, and the masses that follow from its scores.
#ifndef TEMPERA_SAMPLER_ROW_CANDIDATES_H
#define TEMPERA_SAMPLER_ROW_CANDIDATES_H

#include <stdbool.h>
#include <string.h>

#include <tempera/sampler.h>

#include "kernels/kernels.h"
#include "sampler/row/score_key.h"

// A sum of masses: at most 2^31 of them, each below 2^52.
__extension__ typedef unsigned __int128 tempera_u128;

// A score that a stage has changed while the row is whole.
struct tempera_patch {
    int32_t id;
    float score;
    uint16_t next; // number, from 1, of another one in the same block; 0: there is none
};

enum { TEMPERA_PATCHES = 256 };

// Floats that an array for n of them has room for: kernels write whole vectors.
#define TEMPERA_PADDED(n) (((n) + 31) / 16 * 16)

// As long as no token was removed by its score, a row stays where it lies, or where it was unpacked
// to, with a few patches: most chains then need a fraction of it only. A stage that says so in the
// table works on whole rows, too; for the others what is left is gathered first.
//
// A candidate's id is the number of its column; columns.h has the token that it stands for.
//
// Scores are those of the row, with what stages added or multiplied; the temperature is kept
// beside them, so that it is never rounded into them. What a stage sees as z is score / T.
struct tempera_candidates {
    const float *whole; // [n_whole], by id, -inf where there is no candidate; NULL: gathered
    size_t n_whole;
    float *maxima; // of the whole row's blocks of TEMPERA_MAXIMA_BLOCK, patches included
    struct tempera_patch *patches; // [n_patches], of n_patches <= TEMPERA_PATCHES different tokens
    uint16_t *first_patch;         // of each block, as `next`; set once there are patches
    size_t n_patches;
    float *own; // room for a whole row

    int32_t *ids;     // [n], ascending, once gathered; room for all tokens
    float *scores;    // [n], finite, once gathered; room for all tokens
    uint64_t *masses; // room for all tokens, for whoever needs it, of two whole rows of floats
    size_t n;
    size_t n_columns;         // of the row, those that the mask speaks of
    float max;                // the largest score
    double temperature;       // T, the product so far, in [2^-1000, 2^1000]
    double chain_temperature; // the product of all temperatures; once 0 or inf, it stays so
    uint64_t step;            // numbers the draws
    const struct tempera_sample_row *row; // what the caller says of it, the history among it
    void *stage_scratch; // as large as the stage that needs most has asked for
};

// ------------------------------------------------------------------------------------------------
// Candidates

static inline size_t tempera_candidates_n_blocks(const struct tempera_candidates *c)
{
    return (c->n_whole + TEMPERA_MAXIMA_BLOCK - 1) / TEMPERA_MAXIMA_BLOCK;
}

// Begins with what `mask` (NULL: all) allows of scores z[n], in arrays that have room for n rounded
// up to 16. Scores of +inf leave only themselves and become 0. Returns OK, NAN_INPUT or ALL_MASKED.
enum tempera_status tempera_candidates_begin(struct tempera_candidates *c, const float *z,
                                             const uint32_t *mask, size_t n);

// Gathers what is left of a whole row.
void tempera_candidates_gather(struct tempera_candidates *c);

// The same of the scores from `floor` on. Of those equal to it, the first n_ties are sure to be
// there, and few others.
void tempera_candidates_gather_from(struct tempera_candidates *c, float floor, size_t n_ties);

// The place of a column: its number among the gathered, itself in a whole row. SIZE_MAX if it is no
// candidate.
size_t tempera_candidates_find(const struct tempera_candidates *c, int32_t id);

// To the nearest float. What is finite stays finite: only a ban removes a token.
static inline float tempera_to_score(double score)
{
    const double largest = 0x1.fffffep127;
    return (float)(score > largest ? largest : score < -largest ? -largest : score);
}

// The score at a place, and changing it; -inf removes. Afterwards, `settle` is to be called.
float tempera_candidates_score(const struct tempera_candidates *c, size_t place);
void tempera_candidates_change(struct tempera_candidates *c, size_t place, float score);

// To be called after changing scores: drops those that became -inf, finds the maximum.
void tempera_candidates_refresh(struct tempera_candidates *c);

// To be called after removing the maximum from gathered candidates.
void tempera_candidates_find_max(struct tempera_candidates *c);

// Copies candidate `from` to place `to`, once gathered. By value, so that a loop has the pointers
// in registers.
static inline void tempera_candidates_move(struct tempera_candidates c, size_t from, size_t to)
{
    c.ids[to] = c.ids[from];
    c.scores[to] = c.scores[from];
}

// Keeps the candidates with scores of `score` or more, gathered.
void tempera_candidates_keep_from(struct tempera_candidates *c, float score);

// The same, but a whole row of which all stays remains one.
void tempera_candidates_drop_below(struct tempera_candidates *c, float score);

// Keeps the scores in [low, high], of gathered candidates.
void tempera_candidates_keep_within(struct tempera_candidates *c, float low, float high);

// The place behind the first n_ties gathered candidates with a score, or n.
size_t tempera_candidates_place_behind(const struct tempera_candidates *c, float score,
                                       size_t n_ties);

// Keeps the scores above `score` and the first n_ties of those equal to it, of gathered candidates.
void tempera_candidates_keep_ties(struct tempera_candidates *c, float score, size_t n_ties);

// Makes all scores equal.
void tempera_candidates_equalize(struct tempera_candidates *c);

// The random bits of the row for a purpose.
tempera_u128 tempera_candidates_random_bits(const struct tempera_candidates *c, uint32_t draw);

// ------------------------------------------------------------------------------------------------
// Masses

// The scores that masses are computed from, by place; a whole row has its patches in it then.
struct tempera_scores {
    const float *z;
    size_t n;
};

struct tempera_scores tempera_candidates_scores(struct tempera_candidates *c);

// How masses follow from scores, at the temperature so far.
struct tempera_scale {
    float max;
    double T;
    bool fits_f32;
    struct tempera_exponent exponent; // if so
    uint64_t largest;                 // the mass of the maximum
};

struct tempera_scale tempera_scale_of(const struct tempera_candidates *c);

// w[n] of the scores z[n].
void tempera_scale_masses(const struct tempera_scale *scale, const float *z, size_t n, uint64_t *w);

// The sum of the masses of scores z[n]; n at most TEMPERA_MASSES_PER_SUM.
uint64_t tempera_scale_sum(const struct tempera_scale *scale, const float *z, size_t n);

// W, the sum of the masses.
tempera_u128 tempera_candidates_weigh(struct tempera_candidates *c);

// The same, of gathered candidates, whose masses it stores.
tempera_u128 tempera_candidates_fill_masses(struct tempera_candidates *c);

tempera_u128 tempera_masses_total(const uint64_t *masses, size_t n);

// How far a score lies below the maximum, in nats: x = (m - z) / T, at most 1024, where masses have
// long been 0.
static inline double tempera_gap(float score, float max, double inverse_T)
{
    double x = ((double)max - (double)score) * inverse_T;
    return x < 1024 ? x : 1024;
}

// The score at a depth, about.
static inline float tempera_score_at(const struct tempera_scale *scale, double depth)
{
    return tempera_to_score((double)scale->max - depth * scale->T);
}

// -ln p of the maximum, W being the sum of the masses: ln(W / largest), with no loss where it is
// small.
double tempera_nll_max_of(tempera_u128 W, const struct tempera_scale *scale);

// The sums of masses, and of masses times depths, of scores z[n].
struct tempera_gap_sums {
    tempera_u128 W, V;
};

struct tempera_gap_sums tempera_scale_gaps(const struct tempera_scale *scale, const float *z,
                                           size_t n);

// The distribution in a few numbers.
struct tempera_mass_moments {
    tempera_u128 W;
    double nll_max;
    double mean_gap; // the mean of x, each weighted by its p. With lambda it is the entropy
};

struct tempera_mass_moments tempera_candidates_moments(struct tempera_candidates *c);

// lambda alone, in less time.
double tempera_candidates_nll_max(struct tempera_candidates *c);

// The sum of p^2, divided by p_max.
double tempera_candidates_squares(struct tempera_candidates *c);

#endif
