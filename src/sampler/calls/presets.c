// SPDX-License-Identifier: MIT
// Named parameters, made into stages in the orders that engines use.
#include <float.h>
#include <math.h>
#include <stdbool.h>

#include <tempera/presets.h>

#include "base/fpenv.h"

struct tempera_sampling_params tempera_sampling_params_default(void)
{
    return (struct tempera_sampling_params){
        .struct_size = sizeof(struct tempera_sampling_params),
        .temperature = 1,
        .temperature_exponent = 1,
        .smoothing_curve = 1,
        .top_p = 1,
        .typical = 1,
        .tail_free = 1,
        .top_h = 1,
        .top_n_sigma = INFINITY,
        .xtc_threshold = 0.1f,
        .repetition_penalty = 1,
        .penalty_window = 1024,
        .penalty_drawn_only = 1,
        .dry_base = 1.75f,
        .dry_allowed_length = 2,
        .dry_window = 1024,
        .ngram_window = 1024,
        .mirostat_tau = 5,
        .mirostat_eta = 0.1f,
        .mirostat_m = 100,
        .adaptive_target = -1,
        .adaptive_decay = 0.9f,
    };
}

struct tempera_sampling_params tempera_sampling_params_llama_cpp(void)
{
    struct tempera_sampling_params params = tempera_sampling_params_default();
    params.temperature = 0.8f;
    params.top_k = 40;
    params.top_p = 0.95f;
    params.min_p = 0.05f;
    params.penalty_window = 64;
    params.penalty_drawn_only = 0;
    params.dry_window = 64;
    params.ngram_window = 64;
    return params;
}

// ------------------------------------------------------------------------------------------------
// One stage. Each function returns false if it is off; only the exact off-values are, so that a
// NaN gets into the chain and is refused there.

typedef bool make_stage(const struct tempera_sampling_params *p, struct tempera_stage *stage);

static bool logit_bias(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_logit_bias(p->logit_bias, p->n_logit_bias);
    return p->n_logit_bias > 0;
}

static bool allowed(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_allow(p->allowed.ids, p->allowed.count);
    return p->allowed.count > 0;
}

static bool banned(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_ban(p->banned.ids, p->banned.count);
    return p->banned.count > 0;
}

static bool ngrams(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_no_repeat_ngram(p->ngram, p->ngram_window);
    return p->ngram != 0;
}

static bool penalties(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_penalties(p->repetition_penalty, p->presence_penalty,
                                     p->frequency_penalty, p->penalty_window);
    stage->u.penalties.drawn_only = p->penalty_drawn_only;
    return p->repetition_penalty != 1 || p->presence_penalty != 0 || p->frequency_penalty != 0;
}

static bool dry(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_dry(p->dry_multiplier, p->dry_base, p->dry_allowed_length, p->dry_window,
                               p->dry_breakers.ids, p->dry_breakers.count);
    return p->dry_multiplier != 0;
}

// A range around 0 or inf has no meaning: those stay as they are.
static bool temperature(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    float T = p->temperature, range = p->temperature_range;
    *stage = tempera_stage_temperature(T);
    if (range == 0 || T == 0 || T == INFINITY)
        return T != 1;
    *stage = tempera_stage_dynamic_temperature(T < range ? 0 : T - range,
                                               T + range > FLT_MAX ? FLT_MAX : T + range,
                                               p->temperature_exponent);
    return true;
}

static bool smoothing(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_smoothing(p->smoothing_factor, p->smoothing_curve);
    return p->smoothing_factor != 0;
}

static bool top_k(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_top_k(p->top_k);
    return p->top_k != 0;
}

static bool top_p(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_top_p(p->top_p);
    return p->top_p != 1;
}

static bool min_p(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_min_p(p->min_p);
    return p->min_p != 0;
}

static bool typical(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_typical(p->typical);
    return p->typical != 1;
}

static bool epsilon(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_epsilon(p->epsilon);
    return p->epsilon != 0;
}

static bool eta(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_eta(p->eta);
    return p->eta != 0;
}

static bool tail_free(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_tail_free(p->tail_free);
    return p->tail_free != 1;
}

static bool top_a(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_top_a(p->top_a);
    return p->top_a != 0;
}

static bool top_h(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_top_h(p->top_h);
    return p->top_h != 1;
}

static bool top_n_sigma(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_top_n_sigma(p->top_n_sigma);
    return !(p->top_n_sigma < 0 || p->top_n_sigma == INFINITY);
}

static bool p_less(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_p_less();
    return p->p_less != 0;
}

static bool xtc(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_xtc(p->xtc_probability, p->xtc_threshold);
    stage->u.xtc.spared = p->xtc_spared;
    return p->xtc_probability != 0;
}

// Another number than 0, 1 and 2 gives a stage of no kind, which is refused.
static bool mirostat(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_of((enum tempera_stage_kind)0);
    if (p->mirostat == 1)
        *stage = tempera_stage_mirostat_1(p->mirostat_tau, p->mirostat_eta, p->mirostat_m);
    if (p->mirostat == 2)
        *stage = tempera_stage_mirostat_2(p->mirostat_tau, p->mirostat_eta);
    return p->mirostat != 0;
}

static bool adaptive_p(const struct tempera_sampling_params *p, struct tempera_stage *stage)
{
    *stage = tempera_stage_adaptive_p(p->adaptive_target, p->adaptive_decay);
    return !(p->adaptive_target < 0);
}

// ------------------------------------------------------------------------------------------------
// The orders

static make_stage *const history[] = {logit_bias, allowed, banned, ngrams, penalties, dry, NULL};
static make_stage *const temperatures[] = {temperature, smoothing, NULL};
static make_stage *const filters_behind[] = {top_k,  top_p,     min_p, typical,     epsilon,
                                             eta,    tail_free, top_a, top_n_sigma, top_h,
                                             p_less, xtc,       NULL};
static make_stage *const filters_before[] = {top_n_sigma, top_k, typical,   top_p, min_p,
                                             epsilon,     eta,   tail_free, top_a, top_h,
                                             p_less,      xtc,   NULL};
static make_stage *const mirostats[] = {mirostat, NULL};
static make_stage *const last[] = {adaptive_p, NULL};

// Not inlined, so that no comparison can move out of the guarded environment.
__attribute__((noinline)) static size_t make_all(const struct tempera_sampling_params *params,
                                                 struct tempera_stage *stages,
                                                 make_stage *const *const groups[4])
{
    size_t n = 0;
    for (size_t g = 0; g < 4; g++)
        for (make_stage *const *make = groups[g]; *make != NULL; make++)
            if ((*make)(params, &stages[n])) {
                stages[n] = tempera_stage_keeping(stages[n], params->min_keep);
                n++;
            }
    return n;
}

// Instead of both groups' order, mirostat has one of its own.
static size_t chain(const struct tempera_sampling_params *params, struct tempera_stage *stages,
                    make_stage *const *first, make_stage *const *second)
{
    if (params == NULL || params->struct_size < sizeof *params) {
        stages[0] = tempera_stage_of((enum tempera_stage_kind)0);
        return 1;
    }
    make_stage *const *const usual[4] = {history, first, second, last};
    make_stage *const *const steered[4] = {history, temperatures, mirostats, last};
    struct tempera_fpenv env = tempera_fpenv_enter();
    size_t n = make_all(params, stages, params->mirostat != 0 ? steered : usual);
    tempera_fpenv_leave(env);
    return n;
}

size_t tempera_preset_temperature_first(const struct tempera_sampling_params *params,
                                        struct tempera_stage *stages)
{
    return chain(params, stages, temperatures, filters_behind);
}

size_t tempera_preset_temperature_last(const struct tempera_sampling_params *params,
                                       struct tempera_stage *stages)
{
    return chain(params, stages, filters_before, temperatures);
}
