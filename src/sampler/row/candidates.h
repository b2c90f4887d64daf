// SPDX-License-Identifier: MIT
// What may still be drawn from a row: which columns, and their scores.
#ifndef TEMPERA_SAMPLER_ROW_CANDIDATES_H
#define TEMPERA_SAMPLER_ROW_CANDIDATES_H

#include <stddef.h>
#include <stdint.h>

#include <tempera/sampler.h>

#include "kernels/kernels.h"

// A score that a stage has changed while the row is whole.
struct tempera_patch {
    int32_t id;
    float score;
    uint16_t next; // number, from 1, of another patch of the same block; 0: none
};

enum { TEMPERA_PATCHES = 256 };

// A row is whole as long as no token was removed by its score: it stays where it lies, or where it
// was unpacked to, with a few patches. Most chains then read only a fraction of it. Stages that
// don't work on whole rows (see the table of stages) get the candidates gathered into arrays.
//
// A candidate's id is the number of its column; columns.h has the token that it stands for. Its
// index is its number among the gathered candidates, and its id in a whole row.
//
// Scores are those of the row with what stages added or multiplied. The temperature is kept apart,
// so that it is never rounded into them: what a stage sees as z is score / T.
struct tempera_candidates {
    const float *whole; // [n_whole], by id, -inf where there is no candidate; NULL: gathered
    size_t n_whole;
    float *maxima; // of the whole row's blocks of TEMPERA_MAXIMA_BLOCK, patches included
    struct tempera_patch *patches; // [n_patches], at most TEMPERA_PATCHES, of different tokens
    uint16_t *first_patch;         // of each block, as `next`; only set if there are patches
    size_t n_patches;
    float *own; // [n_columns], a copy of the row if one is needed

    int32_t *ids;     // [n], ascending, once gathered; of length n_columns
    float *scores;    // [n], finite, once gathered; of length n_columns
    uint64_t *masses; // [n_columns]; free for any use, also as two arrays of n_columns floats
    size_t n;
    size_t n_columns;         // of the row, those that the mask covers
    float max;                // the largest score
    double temperature;       // T, the product so far, in [2^-1000, 2^1000]
    double chain_temperature; // the product of all temperatures; once 0 or inf, it stays so
    uint64_t step;            // of the draws
    double feedback;          // what the feedback stage has learned so far
    const struct tempera_sample_row *row; // what the caller says of it
    void *stage_scratch;                  // as many bytes as the stage at work asks for
};

// ------------------------------------------------------------------------------------------------
// Whole and gathered

static inline size_t tempera_candidates_n_blocks(const struct tempera_candidates *c)
{
    return (c->n_whole + TEMPERA_MAXIMA_BLOCK - 1) / TEMPERA_MAXIMA_BLOCK;
}

// Starts with what `mask` (NULL: all) allows of scores z[n]; the arrays have length n rounded up to
// 16. Scores of +inf leave only themselves and become 0. Returns OK, NAN_INPUT or ALL_MASKED.
enum tempera_status tempera_candidates_begin(struct tempera_candidates *c, const float *z,
                                             const uint32_t *mask, size_t n);

// Gathers what is left of a whole row.
void tempera_candidates_gather(struct tempera_candidates *c);

// The same of the scores from `floor` on. Of those equal to it, the first n_ties are there, and few
// others.
void tempera_candidates_gather_from(struct tempera_candidates *c, float floor, size_t n_ties);

// The scores by index; the patches of a whole row are applied first.
struct tempera_score_array {
    const float *z;
    size_t n;
};

struct tempera_score_array tempera_candidates_scores(struct tempera_candidates *c);

// An array of TEMPERA_PADDED(n_columns) floats, two times, in place of the masses.
static inline float *tempera_candidates_float_scratch(const struct tempera_candidates *c)
{
    return (float *)(void *)c->masses;
}

// ------------------------------------------------------------------------------------------------
// Single candidates

// The index of a column, SIZE_MAX if it is not a candidate.
size_t tempera_candidates_find(const struct tempera_candidates *c, int32_t id);

// The nearest float. A finite score stays finite: only a ban removes a token.
static inline float tempera_to_score(double score)
{
    const double largest = 0x1.fffffep127;
    return (float)(score > largest ? largest : score < -largest ? -largest : score);
}

// The score at an index, and changing it; -inf removes. After changes, tempera_candidates_refresh
// has to be called.
float tempera_candidates_score(const struct tempera_candidates *c, size_t index);
void tempera_candidates_change(struct tempera_candidates *c, size_t index, float score);

// After changes of scores: drops those that became -inf, finds the maximum.
void tempera_candidates_refresh(struct tempera_candidates *c);

// After removing the maximum from gathered candidates.
void tempera_candidates_find_max(struct tempera_candidates *c);

// ------------------------------------------------------------------------------------------------
// Many candidates

// Keeps the candidates with scores of `score` or more, gathered.
void tempera_candidates_keep_from(struct tempera_candidates *c, float score);

// The same, but a whole row that loses none stays whole.
void tempera_candidates_drop_below(struct tempera_candidates *c, float score);

// Of gathered candidates, keeps those with scores in [low, high].
void tempera_candidates_keep_interval(struct tempera_candidates *c, float low, float high);

// Of gathered candidates, keeps the scores above `score` and the first n_ties of those equal to it.
void tempera_candidates_keep_ties(struct tempera_candidates *c, float score, size_t n_ties);

// The index after the first n_ties gathered candidates with this score, n if there are fewer.
size_t tempera_candidates_index_after_ties(const struct tempera_candidates *c, float score,
                                           size_t n_ties);

// Makes all scores equal.
void tempera_candidates_equalize(struct tempera_candidates *c);

#endif
