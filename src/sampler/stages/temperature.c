// SPDX-License-Identifier: MIT
// The stages that shape the distribution by its temperature.
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include <tempera/presets.h>

#include "base/exp.h"
#include "sampler/row/candidates.h"
#include "sampler/row/masses.h"
#include "sampler/row/prefix.h"
#include "sampler/stages/stages.h"

// A product outside [2^-1000, 2^1000] counts as 0 or inf.
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

// The temperature goes from low to high as the entropy goes from 0 to ln n, its largest value.
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

// g = (z - m) / T becomes factor g^2 ((curve - 1) / 2 g - (3 - curve) / 2). The size of each
// product grows with the distance, so the order of scores stays. g is bounded, which avoids 0 times
// infinity.
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

// ------------------------------------------------------------------------------------------------
// In presets

// A range around 0 or inf has no meaning: those temperatures stay as they are.
static bool has_range(const struct tempera_sampling_params *p)
{
    return p->temperature_range != 0 && p->temperature != 0 && p->temperature != INFINITY;
}

bool tempera_preset_of_temperature(const struct tempera_sampling_params *p,
                                   struct tempera_stage *stage)
{
    (void)stage;
    return !has_range(p) && p->temperature != 1;
}

bool tempera_preset_of_dynamic_temperature(const struct tempera_sampling_params *p,
                                           struct tempera_stage *stage)
{
    float T = p->temperature, range = p->temperature_range;
    stage->u.dynamic_temperature.low = T < range ? 0 : T - range;
    stage->u.dynamic_temperature.high = T + range > FLT_MAX ? FLT_MAX : T + range;
    return has_range(p);
}
