// SPDX-License-Identifier: MIT
// The stages that change scores. A score is divided by the temperature only when it is used, so
// what is subtracted from z = score / T is subtracted from the score T times as large.
#include <math.h>

#include "base/exp.h"
#include "sampler/row/row.h"

// A product of temperatures that leaves [2^-1000, 2^1000] is 0 or inf, too.
static void multiply_temperature(struct tempera_candidates *c, double factor)
{
    if (c->chain_temperature > 0 && c->chain_temperature < INFINITY)
        c->chain_temperature *= factor;
    double product = c->temperature * factor;
    if (product < 0x1p-1000) {
        tempera_candidates_keep_first(c, 1);
        c->temperature = 1;
    } else if (product > 0x1p1000) {
        tempera_candidates_equalize(c);
    } else {
        c->temperature = product;
    }
}

void tempera_apply_temperature(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    multiply_temperature(c, (double)stage->u.temperature);
}

// y^e for y in [0, 1]; 0^0 is 1.
static double power(double y, double e)
{
    if (e == 0)
        return 1;
    return y < 0x1p-1000 ? 0 : tempera_exp(e * tempera_log(y));
}

// The temperature goes from low to high as the entropy goes from 0 to its largest, ln n.
void tempera_apply_dynamic_temperature(struct tempera_candidates *c,
                                       const struct tempera_stage *stage)
{
    double low = (double)stage->u.dynamic_temperature.low;
    double high = (double)stage->u.dynamic_temperature.high;
    if (c->n == 1 || (low == 1 && high == 1))
        return;
    struct tempera_mass_moments moments = tempera_candidates_moments(c);
    double entropy = moments.nll_max + moments.mean_gap;
    double y = entropy / tempera_log((double)c->n);
    double r = power(y < 1 ? y : 1, (double)stage->u.dynamic_temperature.exponent);
    multiply_temperature(c, low + (high - low) * r);
}

// With g = (z - m) / T, g becomes factor g^2 ((curve - 1) / 2 g - (3 - curve) / 2). Each product
// grows with the distance, so that the order of scores stays. g is bounded, so that nothing is
// 0 times infinity.
void tempera_apply_smoothing(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    double factor = (double)stage->u.smoothing.factor, curve = (double)stage->u.smoothing.curve;
    if (factor == 0)
        return;
    double cubic = (curve - 1) / 2, quadratic = (3 - curve) / 2, max = (double)c->max;
    double inverse_T = 1 / c->temperature;
    for (size_t i = 0; i < c->n; i++) {
        double d = (double)c->scores[i] - max, g = d * inverse_T;
        g = g > -0x1p400 ? g : -0x1p400;
        c->scores[i] = tempera_to_score(max + ((factor * d) * g) * (cubic * g - quadratic));
    }
    tempera_candidates_refresh(c);
}

static void add_bias(struct tempera_candidates *c, size_t place, float bias)
{
    double score = (double)tempera_candidates_score(c, place);
    if (score == -INFINITY) // banned by an entry before
        return;
    score += (double)bias * c->temperature;
    tempera_candidates_change(c, place, bias == -INFINITY ? -INFINITY : tempera_to_score(score));
}

void tempera_apply_logit_bias(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    for (size_t b = 0; b < tempera_row_n_branches(c->row); b++)
        for (size_t i = 0; i < stage->u.logit_bias.count; i++) {
            const struct tempera_logit_bias *entry = &stage->u.logit_bias.entries[i];
            size_t place = tempera_candidates_find_token(c, b, entry->token);
            if (place != SIZE_MAX)
                add_bias(c, place, entry->bias);
        }
    if (stage->u.logit_bias.count > 0)
        tempera_candidates_refresh(c);
}

// count: how often the token counts for presence and frequency.
static float penalised(const struct tempera_stage *stage, float score, uint64_t count, double T)
{
    double z = (double)score, repetition = (double)stage->u.penalties.repetition;
    double repeated = z > 0 ? z / repetition : z * repetition;
    double penalty = (double)stage->u.penalties.frequency * (double)count;
    penalty += count > 0 ? (double)stage->u.penalties.presence : 0;
    return tempera_to_score(repeated - penalty * T);
}

// The room of the masses serves to count how often a candidate was seen, in the low half, and how
// often that counts for presence and frequency, in the high half. It is cleared only where it is
// used, so that the cost is that of the window, not of the vocabulary. Returns whether anything
// was seen.
static bool penalise_branch(struct tempera_candidates *c, size_t b,
                            const struct tempera_stage *stage)
{
    const struct tempera_sampler_state *state = tempera_row_history(c->row, b);
    size_t n = tempera_state_n_recent(state, (size_t)stage->u.penalties.window);
    uint64_t *counts = c->masses;
    for (size_t i = 0; i < n; i++) {
        size_t place = tempera_candidates_find_token(c, b, tempera_state_recent(state, i));
        if (place != SIZE_MAX)
            counts[place] = 0;
    }
    for (size_t i = 0; i < n; i++) {
        size_t place = tempera_candidates_find_token(c, b, tempera_state_recent(state, i));
        bool counts_fully =
            !stage->u.penalties.drawn_only || tempera_state_recent_was_drawn(state, i);
        if (place != SIZE_MAX)
            counts[place] += (uint64_t)counts_fully << 32 | 1;
    }
    for (size_t i = 0; i < n; i++) {
        size_t place = tempera_candidates_find_token(c, b, tempera_state_recent(state, i));
        if (place == SIZE_MAX || counts[place] == 0) // 0: seen later, done before
            continue;
        float score = tempera_candidates_score(c, place);
        score = penalised(stage, score, counts[place] >> 32, c->temperature);
        tempera_candidates_change(c, place, score);
        counts[place] = 0;
    }
    return n > 0;
}

void tempera_apply_penalties(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    bool changed = false;
    for (size_t b = 0; b < tempera_row_n_branches(c->row); b++)
        changed |= penalise_branch(c, b, stage);
    if (changed)
        tempera_candidates_refresh(c);
}
