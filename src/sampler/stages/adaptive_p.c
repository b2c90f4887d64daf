// SPDX-License-Identifier: MIT
// Adaptive-p: prefers tokens whose probability is near a target, and moves the target against the
// probabilities of the tokens that were drawn, so that their mean approaches it. The feedback is a
// running mean of those.
#include <stddef.h>
#include <stdint.h>

#include "sampler/row/candidates.h"
#include "sampler/row/masses.h"
#include "sampler/stages/stages.h"

size_t tempera_scratch_nbytes_adaptive_p(const struct tempera_stage *stage, size_t vocab)
{
    (void)stage; // it needs the same for all parameters
    return vocab * sizeof(float);
}

double tempera_initial_feedback_adaptive_p(const struct tempera_stage *stage)
{
    return (double)stage->u.adaptive_p.target;
}

// 5 at the wanted p, falling with the square of the distance at first, then linearly.
static float new_score(double p, double wanted)
{
    double y = (p < wanted ? wanted - p : p - wanted) / 0.3;
    return (float)(5 - ((10 * y) * y) / (1 + y));
}

// The probabilities are kept in the scratch, since the new scores give others. Tokens that can't be
// drawn are removed, so that they don't become likely.
void tempera_apply_adaptive_p(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    double mass_sum = (double)tempera_candidates_fill_masses(c);
    double wanted = 2 * (double)stage->u.adaptive_p.target - c->feedback;
    wanted = wanted < 0 ? 0 : wanted > 1 ? 1 : wanted;
    float *p = c->stage_scratch;
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++) {
        uint64_t mass = c->masses[i];
        p[kept] = (float)((double)mass / mass_sum);
        c->ids[kept] = c->ids[i];
        c->scores[kept] = new_score((double)p[kept], wanted);
        kept += mass > 0;
    }
    c->n = kept;
    c->temperature = 1;
    tempera_candidates_refresh(c);
}

double tempera_next_feedback_adaptive_p(const struct tempera_candidates *c,
                                        const struct tempera_stage *stage,
                                        const struct tempera_drawn *drawn)
{
    const float *p = c->stage_scratch;
    double decay = (double)stage->u.adaptive_p.decay;
    return decay * c->feedback + (1 - decay) * (double)p[drawn->index];
}
