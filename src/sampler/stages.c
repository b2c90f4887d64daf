// SPDX-License-Identifier: MIT
// The kinds of stages, and checking them: every number that reaches the other files is in its
// range.
#include <math.h>
#include <stdio.h>

#include "base/fpenv.h"
#include "sampler/sampler.h"

// ------------------------------------------------------------------------------------------------
// What is wrong with parameters

static bool is_share(float value)
{
    return value >= 0 && value <= 1;
}

static const char *logit_bias_complaint(const struct tempera_stage *stage)
{
    if (stage->u.logit_bias.count > 0 && stage->u.logit_bias.entries == NULL)
        return "logit_bias has a count but no entries";
    for (size_t i = 0; i < stage->u.logit_bias.count; i++) {
        if (stage->u.logit_bias.entries[i].token < 0)
            return "a logit bias has a negative token";
        if (!(stage->u.logit_bias.entries[i].bias < INFINITY))
            return "a logit bias is NaN or +inf; it must be finite, or -inf to ban";
    }
    return NULL;
}

static const char *penalties_complaint(const struct tempera_stage *stage)
{
    if (!(stage->u.penalties.repetition > 0 && stage->u.penalties.repetition < INFINITY))
        return "the repetition penalty must be above 0 and finite; 1 is off";
    if (!isfinite(stage->u.penalties.presence) || !isfinite(stage->u.penalties.frequency))
        return "presence and frequency penalties must be finite; 0 is off";
    if (stage->u.penalties.window < 0 || stage->u.penalties.window > TEMPERA_WINDOW_MAX)
        return "the penalties' window must be in [0, 2^28]; 0 is off";
    return NULL;
}

static const char *temperature_complaint(const struct tempera_stage *stage)
{
    return stage->u.temperature >= 0 ? NULL : "temperature must be in [0, inf]";
}

static const char *top_k_complaint(const struct tempera_stage *stage)
{
    return stage->u.top_k >= 0 ? NULL : "top_k must be 0 (off) or more";
}

static const char *top_p_complaint(const struct tempera_stage *stage)
{
    return is_share(stage->u.top_p) ? NULL : "top_p must be in [0, 1]";
}

static const char *min_p_complaint(const struct tempera_stage *stage)
{
    return is_share(stage->u.min_p) ? NULL : "min_p must be in [0, 1]";
}

static const char *typical_complaint(const struct tempera_stage *stage)
{
    return is_share(stage->u.typical) ? NULL : "typical must be in [0, 1]";
}

static const char *epsilon_complaint(const struct tempera_stage *stage)
{
    return is_share(stage->u.epsilon) ? NULL : "epsilon must be in [0, 1]";
}

static const char *eta_complaint(const struct tempera_stage *stage)
{
    return is_share(stage->u.eta) ? NULL : "eta must be in [0, 1]";
}

static const char *tail_free_complaint(const struct tempera_stage *stage)
{
    return is_share(stage->u.tail_free) ? NULL : "tail_free must be in [0, 1]";
}

static const char *top_a_complaint(const struct tempera_stage *stage)
{
    return is_share(stage->u.top_a) ? NULL : "top_a must be in [0, 1]";
}

static const char *top_n_sigma_complaint(const struct tempera_stage *stage)
{
    return stage->u.top_n_sigma >= 0 ? NULL : "top_n_sigma must be in [0, inf]; inf is off";
}

static const char *xtc_complaint(const struct tempera_stage *stage)
{
    if (!is_share(stage->u.xtc.probability))
        return "the probability of XTC must be in [0, 1]; 0 is off";
    return is_share(stage->u.xtc.threshold) ? NULL : "the threshold of XTC must be in [0, 1]";
}

static const char *dynamic_temperature_complaint(const struct tempera_stage *stage)
{
    float low = stage->u.dynamic_temperature.low, high = stage->u.dynamic_temperature.high;
    float exponent = stage->u.dynamic_temperature.exponent;
    if (!(low >= 0 && low <= high && high < INFINITY))
        return "dynamic temperature needs 0 <= low <= high, finite";
    return exponent >= 0 && exponent < INFINITY
               ? NULL
               : "the exponent of dynamic temperature must be 0 or more, and finite";
}

static const char *smoothing_complaint(const struct tempera_stage *stage)
{
    float factor = stage->u.smoothing.factor, curve = stage->u.smoothing.curve;
    if (!(factor >= 0 && factor < INFINITY))
        return "the smoothing factor must be 0 (off) or more, and finite";
    return curve >= 1 && curve <= 3 ? NULL : "the smoothing curve must be in [1, 3]";
}

static const char *no_complaint(const struct tempera_stage *stage)
{
    (void)stage; // without parameters
    return NULL;
}

// ------------------------------------------------------------------------------------------------
// The table

static const struct tempera_stage_type types[] = {
    [TEMPERA_STAGE_LOGIT_BIAS] = {"logit-bias", logit_bias_complaint, tempera_apply_logit_bias,
                                  true},
    [TEMPERA_STAGE_PENALTIES] = {"penalties", penalties_complaint, tempera_apply_penalties, true},
    [TEMPERA_STAGE_TEMPERATURE] = {"temperature", temperature_complaint, tempera_apply_temperature,
                                   true},
    [TEMPERA_STAGE_TOP_K] = {"top-k", top_k_complaint, tempera_apply_top_k, true},
    [TEMPERA_STAGE_TOP_P] = {"top-p", top_p_complaint, tempera_apply_top_p, true},
    [TEMPERA_STAGE_MIN_P] = {"min-p", min_p_complaint, tempera_apply_min_p, true},
    [TEMPERA_STAGE_TYPICAL] = {"typical", typical_complaint, tempera_apply_typical, false},
    [TEMPERA_STAGE_EPSILON] = {"epsilon", epsilon_complaint, tempera_apply_epsilon, true},
    [TEMPERA_STAGE_ETA] = {"eta", eta_complaint, tempera_apply_eta, true},
    [TEMPERA_STAGE_TAIL_FREE] = {"tail-free", tail_free_complaint, tempera_apply_tail_free, false},
    [TEMPERA_STAGE_TOP_A] = {"top-a", top_a_complaint, tempera_apply_top_a, true},
    [TEMPERA_STAGE_TOP_N_SIGMA] = {"top-n-sigma", top_n_sigma_complaint, tempera_apply_top_n_sigma,
                                   true},
    [TEMPERA_STAGE_P_LESS] = {"p-less", no_complaint, tempera_apply_p_less, true},
    [TEMPERA_STAGE_XTC] = {"xtc", xtc_complaint, tempera_apply_xtc, false},
    [TEMPERA_STAGE_DYNAMIC_TEMPERATURE] = {"dynamic-temperature", dynamic_temperature_complaint,
                                           tempera_apply_dynamic_temperature, true},
    [TEMPERA_STAGE_SMOOTHING] = {"smoothing", smoothing_complaint, tempera_apply_smoothing, false},
};

const struct tempera_stage_type *tempera_stage_type_of(enum tempera_stage_kind kind)
{
    size_t i = (size_t)kind; // a negative one becomes huge
    return i < sizeof types / sizeof *types && types[i].name != NULL ? &types[i] : NULL;
}

const char *tempera_stage_name(enum tempera_stage_kind kind)
{
    const struct tempera_stage_type *type = tempera_stage_type_of(kind);
    return type == NULL ? "unknown" : type->name;
}

// ------------------------------------------------------------------------------------------------
// Checking

static enum tempera_status refuse(struct tempera_error *error, const char *what)
{
    if (error != NULL) {
        *error = (struct tempera_error){.status = TEMPERA_INVALID_ARGUMENT};
        snprintf(error->message, sizeof error->message, "%s", what);
    }
    return TEMPERA_INVALID_ARGUMENT;
}

static enum tempera_status refuse_stage(struct tempera_error *error, size_t stage, const char *what)
{
    char message[sizeof error->message];
    snprintf(message, sizeof message, "stage %zu of the sampler (counted from 0): %s", stage, what);
    return refuse(error, message);
}

// Not inlined, so that no comparison can move out of the guarded environment.
__attribute__((noinline)) static enum tempera_status check(const struct tempera_sampler *sampler,
                                                           struct tempera_error *error)
{
    if (sampler == NULL || sampler->struct_size < sizeof *sampler)
        return refuse(error, "the sampler is NULL or its struct_size is too small");
    if (sampler->n_stages > 0 && sampler->stages == NULL)
        return refuse(error, "the sampler has a number of stages, but no stages");
    for (size_t i = 0; i < sampler->n_stages; i++) {
        const struct tempera_stage *stage = &sampler->stages[i];
        const struct tempera_stage_type *type = tempera_stage_type_of(stage->kind);
        const char *what = "there is no such kind of stage";
        if (type != NULL)
            what = type->complaint(stage);
        if (what != NULL)
            return refuse_stage(error, i, what);
    }
    if (error != NULL)
        *error = (struct tempera_error){.status = TEMPERA_OK};
    return TEMPERA_OK;
}

enum tempera_status tempera_sampler_check(const struct tempera_sampler *sampler,
                                          struct tempera_error *error)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = check(sampler, error);
    tempera_fpenv_leave(env);
    return status;
}
