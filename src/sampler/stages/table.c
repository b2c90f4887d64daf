// SPDX-License-Identifier: MIT
// The kinds of stages, and checking them: every number that reaches the other files is in its
// range.
#include <math.h>
#include <stdio.h>

#include "base/fpenv.h"
#include "sampler/row/row.h"

// ------------------------------------------------------------------------------------------------
// What is wrong with parameters

static bool is_share(float value)
{
    return value >= 0 && value <= 1;
}

static const char *window_complaint(int32_t window)
{
    return window >= 0 && window <= TEMPERA_WINDOW_MAX
               ? NULL
               : "the window must be in [0, 2^28]; 0 is off";
}

static const char *list_complaint(const struct tempera_token_list *list)
{
    if (list->count > 0 && list->ids == NULL)
        return "a list of tokens has a count but no ids";
    for (size_t i = 0; i < list->count; i++)
        if (list->ids[i] < 0)
            return "a list of tokens has a negative one";
    return NULL;
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
    return window_complaint(stage->u.penalties.window);
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

static const char *top_h_complaint(const struct tempera_stage *stage)
{
    return is_share(stage->u.top_h) ? NULL : "top_h must be in [0, 1]";
}

static const char *xtc_complaint(const struct tempera_stage *stage)
{
    if (!is_share(stage->u.xtc.probability))
        return "the probability of XTC must be in [0, 1]; 0 is off";
    if (!is_share(stage->u.xtc.threshold))
        return "the threshold of XTC must be in [0, 1]";
    return list_complaint(&stage->u.xtc.spared);
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

static const char *dry_complaint(const struct tempera_stage *stage)
{
    if (!(stage->u.dry.multiplier >= 0 && stage->u.dry.multiplier < INFINITY))
        return "the multiplier of DRY must be 0 (off) or more, and finite";
    if (!(stage->u.dry.base >= 1 && stage->u.dry.base < INFINITY))
        return "the base of DRY must be 1 or more, and finite";
    if (stage->u.dry.allowed_length < 1)
        return "the allowed length of DRY must be 1 or more";
    const char *what = window_complaint(stage->u.dry.window);
    return what != NULL ? what : list_complaint(&stage->u.dry.breakers);
}

static const char *no_repeat_ngram_complaint(const struct tempera_stage *stage)
{
    if (stage->u.no_repeat_ngram.n < 0)
        return "the n of n-grams must be 0 (off) or more";
    return window_complaint(stage->u.no_repeat_ngram.window);
}

static const char *allow_complaint(const struct tempera_stage *stage)
{
    return list_complaint(&stage->u.tokens);
}

static const char *ban_complaint(const struct tempera_stage *stage)
{
    return list_complaint(&stage->u.tokens);
}

static const char *mirostat_2_complaint(const struct tempera_stage *stage)
{
    if (!(stage->u.mirostat.tau >= 0 && stage->u.mirostat.tau < INFINITY))
        return "mirostat's tau must be 0 or more bits, and finite";
    return stage->u.mirostat.eta >= 0 && stage->u.mirostat.eta < INFINITY
               ? NULL
               : "mirostat's eta must be 0 or more, and finite";
}

static const char *mirostat_1_complaint(const struct tempera_stage *stage)
{
    return stage->u.mirostat.m >= 2 ? mirostat_2_complaint(stage)
                                    : "mirostat's m must be 2 or more";
}

static const char *adaptive_p_complaint(const struct tempera_stage *stage)
{
    if (!is_share(stage->u.adaptive_p.target))
        return "the target of adaptive-p must be in [0, 1]";
    return stage->u.adaptive_p.decay >= 0 && stage->u.adaptive_p.decay < 1
               ? NULL
               : "the decay of adaptive-p must be in [0, 1)";
}

static const char *p_less_complaint(const struct tempera_stage *stage)
{
    (void)stage; // without parameters
    return NULL;
}

// ------------------------------------------------------------------------------------------------
// Tokens, windows, room

int32_t tempera_highest_token(const struct tempera_token_list *list)
{
    int32_t highest = -1;
    for (size_t i = 0; i < list->count; i++)
        highest = list->ids[i] > highest ? list->ids[i] : highest;
    return highest;
}

static int32_t highest_biased(const struct tempera_stage *stage)
{
    int32_t highest = -1;
    for (size_t i = 0; i < stage->u.logit_bias.count; i++) {
        int32_t token = stage->u.logit_bias.entries[i].token;
        highest = token > highest ? token : highest;
    }
    return highest;
}

static int32_t highest_listed(const struct tempera_stage *stage)
{
    return tempera_highest_token(&stage->u.tokens);
}

static int32_t highest_spared(const struct tempera_stage *stage)
{
    return tempera_highest_token(&stage->u.xtc.spared);
}

static int32_t penalties_window(const struct tempera_stage *stage)
{
    return stage->u.penalties.window;
}

static int32_t no_repeat_ngram_window(const struct tempera_stage *stage)
{
    return stage->u.no_repeat_ngram.window;
}

static int32_t dry_window(const struct tempera_stage *stage)
{
    return stage->u.dry.window;
}

static int32_t highest_breaker(const struct tempera_stage *stage)
{
    return tempera_highest_token(&stage->u.dry.breakers);
}

// For what tempera_state_matches finds.
static size_t no_repeat_ngram_room(const struct tempera_stage *stage, size_t vocab)
{
    (void)vocab;
    return (size_t)stage->u.no_repeat_ngram.window * sizeof(int32_t);
}

// The same, and a mark for each token up to the highest breaker.
static size_t dry_room(const struct tempera_stage *stage, size_t vocab)
{
    (void)vocab;
    return (size_t)stage->u.dry.window * sizeof(int32_t) +
           (size_t)((int64_t)tempera_highest_token(&stage->u.dry.breakers) + 1);
}

// ------------------------------------------------------------------------------------------------
// The table

#define STAGE(stem, called)                                                                        \
    .name = called, .complaint = stem##_complaint, .apply = tempera_apply_##stem

#define WHOLE .takes_whole = true

#define FEEDBACK(stem)                                                                             \
    .initial_feedback = tempera_initial_feedback_##stem,                                           \
    .next_feedback = tempera_next_feedback_##stem

static const struct tempera_stage_type types[] = {
    [TEMPERA_STAGE_LOGIT_BIAS] = {STAGE(logit_bias, "logit-bias"), WHOLE,
                                  .highest_token = highest_biased},
    [TEMPERA_STAGE_PENALTIES] = {STAGE(penalties, "penalties"), WHOLE, .window = penalties_window},
    [TEMPERA_STAGE_TEMPERATURE] = {STAGE(temperature, "temperature"), WHOLE},
    [TEMPERA_STAGE_TOP_K] = {STAGE(top_k, "top-k"), WHOLE},
    [TEMPERA_STAGE_TOP_P] = {STAGE(top_p, "top-p"), WHOLE},
    [TEMPERA_STAGE_MIN_P] = {STAGE(min_p, "min-p"), WHOLE},
    [TEMPERA_STAGE_TYPICAL] = {STAGE(typical, "typical"), WHOLE},
    [TEMPERA_STAGE_EPSILON] = {STAGE(epsilon, "epsilon"), WHOLE},
    [TEMPERA_STAGE_ETA] = {STAGE(eta, "eta"), WHOLE},
    [TEMPERA_STAGE_TAIL_FREE] = {STAGE(tail_free, "tail-free")},
    [TEMPERA_STAGE_TOP_A] = {STAGE(top_a, "top-a"), WHOLE},
    [TEMPERA_STAGE_TOP_N_SIGMA] = {STAGE(top_n_sigma, "top-n-sigma"), WHOLE},
    [TEMPERA_STAGE_TOP_H] = {STAGE(top_h, "top-h")},
    [TEMPERA_STAGE_P_LESS] = {STAGE(p_less, "p-less"), WHOLE},
    [TEMPERA_STAGE_XTC] = {STAGE(xtc, "xtc"), .highest_token = highest_spared},
    [TEMPERA_STAGE_ADAPTIVE_P] = {STAGE(adaptive_p, "adaptive-p"),
                                  .scratch_nbytes = tempera_scratch_nbytes_adaptive_p,
                                  FEEDBACK(adaptive_p)},
    [TEMPERA_STAGE_MIROSTAT_1] = {STAGE(mirostat_1, "mirostat-1"), FEEDBACK(mirostat)},
    [TEMPERA_STAGE_MIROSTAT_2] = {STAGE(mirostat_2, "mirostat-2"), WHOLE, FEEDBACK(mirostat)},
    [TEMPERA_STAGE_DYNAMIC_TEMPERATURE] = {STAGE(dynamic_temperature, "dynamic-temperature"),
                                           WHOLE},
    [TEMPERA_STAGE_SMOOTHING] = {STAGE(smoothing, "smoothing")},
    [TEMPERA_STAGE_DRY] = {STAGE(dry, "dry"), WHOLE, .highest_token = highest_breaker,
                           .window = dry_window, .scratch_nbytes = dry_room},
    [TEMPERA_STAGE_NO_REPEAT_NGRAM] = {STAGE(no_repeat_ngram, "no-repeat-ngram"), WHOLE,
                                       .window = no_repeat_ngram_window,
                                       .scratch_nbytes = no_repeat_ngram_room},
    [TEMPERA_STAGE_ALLOW] = {STAGE(allow, "allow"), .highest_token = highest_listed},
    [TEMPERA_STAGE_BAN] = {STAGE(ban, "ban"), WHOLE, .highest_token = highest_listed},
};

const struct tempera_stage_type *tempera_stage_type_of(enum tempera_stage_kind kind)
{
    size_t i = (size_t)kind; // a negative one becomes huge
    return i < sizeof types / sizeof *types && types[i].name != NULL ? &types[i] : NULL;
}

const struct tempera_stage *tempera_feedback_stage(const struct tempera_sampler *sampler)
{
    if (sampler->n_stages == 0)
        return NULL;
    const struct tempera_stage *last = &sampler->stages[sampler->n_stages - 1];
    return tempera_stage_type_of(last->kind)->next_feedback == NULL ? NULL : last;
}

size_t tempera_sampler_stage_scratch_nbytes(const struct tempera_sampler *sampler, size_t vocab)
{
    size_t most = 0;
    for (size_t i = 0; i < sampler->n_stages; i++) {
        const struct tempera_stage_type *type = tempera_stage_type_of(sampler->stages[i].kind);
        size_t nbytes =
            type->scratch_nbytes == NULL ? 0 : type->scratch_nbytes(&sampler->stages[i], vocab);
        most = nbytes > most ? nbytes : most;
    }
    return most;
}

const char *tempera_stage_name(enum tempera_stage_kind kind)
{
    const struct tempera_stage_type *type = tempera_stage_type_of(kind);
    return type == NULL ? "unknown" : type->name;
}

// ------------------------------------------------------------------------------------------------
// Checking

static enum tempera_status fail(struct tempera_error *error, enum tempera_status status,
                                const char *what)
{
    if (error != NULL) {
        *error = (struct tempera_error){.status = status};
        snprintf(error->message, sizeof error->message, "%s", what);
    }
    return status;
}

static enum tempera_status refuse(struct tempera_error *error, const char *what)
{
    return fail(error, TEMPERA_INVALID_ARGUMENT, what);
}

static enum tempera_status refuse_stage(struct tempera_error *error, enum tempera_status status,
                                        size_t stage, const char *what)
{
    char message[sizeof error->message];
    snprintf(message, sizeof message, "stage %zu of the sampler (counted from 0): %s", stage, what);
    return fail(error, status, message);
}

// Not inlined, so that no comparison can move out of the guarded environment.
__attribute__((noinline)) static enum tempera_status check(const struct tempera_sampler *sampler,
                                                           struct tempera_error *error)
{
    if (sampler == NULL || sampler->struct_size < sizeof *sampler)
        return refuse(error, "the sampler is NULL or its struct_size is too small");
    if (sampler->n_stages > 0 && sampler->stages == NULL)
        return refuse(error, "the sampler has a number of stages, but no stages");
    if (sampler->draw != TEMPERA_DRAW_MASS && sampler->draw != TEMPERA_DRAW_RACE)
        return refuse(error, "the sampler's draw is neither by mass nor a race");
    for (size_t i = 0; i < sampler->n_stages; i++) {
        const struct tempera_stage *stage = &sampler->stages[i];
        const struct tempera_stage_type *type = tempera_stage_type_of(stage->kind);
        if (type == NULL) // 0 was never set; another may be a later version's
            return refuse_stage(error,
                                stage->kind == 0 ? TEMPERA_INVALID_ARGUMENT : TEMPERA_UNSUPPORTED,
                                i, "this version has no such kind of stage");
        const char *what = type->complaint(stage);
        if (what == NULL && type->next_feedback != NULL && i + 1 < sampler->n_stages)
            what = "a stage that learns must be the last one";
        if (what != NULL)
            return refuse_stage(error, TEMPERA_INVALID_ARGUMENT, i, what);
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
    tempera_fpenv_carry(&status);
    tempera_fpenv_leave(env);
    return status;
}
