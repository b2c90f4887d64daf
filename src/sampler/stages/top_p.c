// SPDX-License-Identifier: MIT
// Top-p, nucleus sampling: the smallest prefix of the order that has a fraction of the mass. An
// estimate says which tokens it is likely to have. One pass adds up the masses of the row and
// gathers these tokens; if they are enough, the end is looked for among them, otherwise among all.
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "sampler/row/candidates.h"
#include "sampler/row/mass_fraction.h"
#include "sampler/row/mass_histogram.h"
#include "sampler/row/masses.h"
#include "sampler/row/prefix.h"
#include "sampler/row/ranking.h"
#include "sampler/row/u128.h"
#include "sampler/stages/stages.h"

// Gathers the scores of a whole row from `floor` on in the pass that adds up all masses. That saves
// a pass over the row, which shows in tempera-bench sampler if thousands stay (normal, top-p).
static tempera_u128 add_and_gather_in_one_pass(struct tempera_candidates *c,
                                               const struct tempera_mass_scale *scale, float floor)
{
    enum { SUM = TEMPERA_MASSES_PER_SUM };
    struct tempera_score_array scores = tempera_candidates_scores(c);
    tempera_u128 mass = 0;
    c->n = 0;
    for (size_t i = 0; i < scores.n; i += SUM) {
        size_t n = scores.n - i < SUM ? scores.n - i : SUM, n_kept;
        mass += tempera_kernels_active()->sampler.mass_sum_gather(
            scores.z + i, n, &scale->exponent, (int32_t)i, floor, c->scores + c->n, c->ids + c->n,
            &n_kept);
        c->n += n_kept;
    }
    c->whole = NULL;
    return mass;
}

// One pass for both is faster unless gathering has only a few blocks to visit.
static bool reaches_many_blocks(const struct tempera_candidates *c, float floor)
{
    size_t blocks = tempera_candidates_n_blocks(c), n = 0;
    for (size_t b = 0; b < blocks; b++)
        n += c->maxima[b] >= floor;
    return n > blocks / 4;
}

// Returns the mass of the row and keeps the candidates from `floor` on, gathered.
static tempera_u128 add_and_gather(struct tempera_candidates *c,
                                   const struct tempera_mass_scale *scale, float floor)
{
    if (floor > -INFINITY && scale->fits_f32 && reaches_many_blocks(c, floor))
        return add_and_gather_in_one_pass(c, scale, floor);
    tempera_u128 mass = tempera_candidates_total_mass(c);
    tempera_candidates_keep_from(c, floor);
    return mass;
}

void tempera_apply_top_p(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    if (stage->u.top_p == 1)
        return;
    const struct tempera_candidates before = *c;
    const struct tempera_mass_scale scale = tempera_mass_scale_of(c);
    struct tempera_ranking by_score = {.scale = &scale};
    struct tempera_mass_histogram estimate;
    float floor = -INFINITY;
    bool has_estimate = tempera_mass_histogram_of(c, &scale, &estimate);
    if (has_estimate)
        floor = tempera_mass_histogram_floor(&estimate, &scale, 0,
                                             0.8 * (1 - (double)stage->u.top_p) * estimate.total);
    tempera_u128 mass = add_and_gather(c, &scale, floor);
    tempera_u128 least = tempera_nucleus_mass(stage->u.top_p, mass);
    const double tail = (double)(mass - least);
    if (has_estimate) {
        double sooner = tempera_mass_histogram_distance(&estimate, 0, 1.1 * tail).least;
        tempera_ranking_expect(&by_score, tempera_score_at(&scale, sooner),
                               tempera_mass_histogram_floor(&estimate, &scale, 0, 0.9 * tail));
    }
    while (!tempera_candidates_keep_prefix(c, &by_score, least, stage->min_keep) &&
           floor > -INFINITY) {
        float second = tempera_mass_histogram_floor(&estimate, &scale, 0, 0.1 * tail);
        floor = second < floor ? second : -INFINITY;
        *c = before;
        tempera_candidates_keep_from(c, floor);
    }
}
