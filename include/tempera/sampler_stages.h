// SPDX-License-Identifier: MIT
// What can be done to a row of scores before a token is drawn: stages, plain values in an array
// that the caller fills. They act in the order given. Exact definitions: docs/SAMPLING.md.
//
// Score stages (penalties, bias, temperatures, smoothing) change scores. Ban stages remove tokens
// by id, and alone may leave nothing. Filter stages remove tokens by rank or probability: they keep
// a prefix of an order in which ties are decided, at least its first token, and at least min_keep
// of them. Feedback stages (adaptive-p, and mirostat, which is a filter, too) follow the tokens
// that are accepted: there may be one, as the last of the array.
//
// The values named "off" switch a stage off. Values out of range are refused by
// tempera_sampler_check, never repaired. Read next: sampler.h; stage_info.h, which has all of this
// as data.
#ifndef TEMPERA_SAMPLER_STAGES_H
#define TEMPERA_SAMPLER_STAGES_H

#include <stddef.h>
#include <stdint.h>

#include <tempera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

// Values are pinned; later versions append.
enum tempera_stage_kind {
    TEMPERA_STAGE_LOGIT_BIAS = 1,   // z_i += bias of i; -inf bans
    TEMPERA_STAGE_PENALTIES = 2,    // repetition, presence, frequency over the last tokens
    TEMPERA_STAGE_TEMPERATURE = 3,  // z / T
    TEMPERA_STAGE_TOP_K = 4,        // the k largest (Fan, Lewis, Dauphin 2018, arXiv 1805.04833)
    TEMPERA_STAGE_TOP_P = 5,        // the nucleus (Holtzman et al. 2019, arXiv 1904.09751)
    TEMPERA_STAGE_MIN_P = 6,        // p_i >= min_p * p_max (Nguyen et al. 2024, arXiv 2407.01082)
    TEMPERA_STAGE_TYPICAL = 7,      // -ln p_i nearest to H (Meister et al. 2022, arXiv 2202.00666)
    TEMPERA_STAGE_EPSILON = 8,      // p_i >= epsilon (Hewitt et al. 2022, arXiv 2210.15191)
    TEMPERA_STAGE_ETA = 9,          // p_i >= min(e, sqrt(e) exp(-H)) (the same paper)
    TEMPERA_STAGE_TAIL_FREE = 10,   // where the second differences end (Bricken 2019, a blog post)
    TEMPERA_STAGE_TOP_A = 11,       // p_i >= a p_max^2 (BlinkDL 2022, in RWKV-LM)
    TEMPERA_STAGE_TOP_N_SIGMA = 12, // z_i >= z_max - s sigma (Tang et al. 2024, arXiv 2411.07641)
    TEMPERA_STAGE_TOP_H = 13,       // a fraction of the entropy (2025, arXiv 2509.02510)
    TEMPERA_STAGE_P_LESS = 14,      // p_i >= sum of p^2 (Tan, Wu, Howard 2025, arXiv 2509.23234)
    TEMPERA_STAGE_XTC = 15,         // by chance, leave out the most likely (p-e-w 2024)
    TEMPERA_STAGE_ADAPTIVE_P = 16,  // near a probability (llama.cpp PR 17927)
    TEMPERA_STAGE_MIROSTAT_1 = 17,  // a surprise of tau bits (Basu et al. 2020, arXiv 2007.14966)
    TEMPERA_STAGE_MIROSTAT_2 = 18,  // the same, by a threshold
    TEMPERA_STAGE_DYNAMIC_TEMPERATURE = 19, // T from the entropy (kalomaze 2023)
    TEMPERA_STAGE_SMOOTHING = 20,           // quadratic and cubic in z - z_max (kalomaze 2024)
    TEMPERA_STAGE_DRY = 21,                 // against repeated sequences (p-e-w 2024)
    TEMPERA_STAGE_NO_REPEAT_NGRAM = 22,     // no n tokens in a row twice (fairseq)
    TEMPERA_STAGE_ALLOW = 23,               // these tokens only
    TEMPERA_STAGE_BAN = 24,                 // these tokens never
};

struct tempera_logit_bias {
    int32_t token;
    float bias; // finite, or -inf to ban; several entries of one token are added in turn
};

// Token ids, borrowed, in any order, each any number of times. ids may be NULL if count is 0.
struct tempera_token_list {
    const int32_t *ids; // [count]
    size_t count;
};

// A plain value of fixed size. Which member of the union counts is said by kind. A window is how
// many of the last accepted tokens count; at most 2^28; 0: off.
struct tempera_stage {
    enum tempera_stage_kind kind;
    uint32_t min_keep; // filters: never leave fewer than this, if there are so many; 0 means 1
    union {
        float temperature; // [0, +inf]; 1 changes nothing
        float top_p;       // [0, 1]; 1: off; 0: only the first token in the order
        float min_p;       // [0, 1]; 0: off; 1: the ties at the maximum
        int32_t top_k;     // >= 0; 0: off; keeps exactly min(k, what is left)
        float typical;     // [0, 1]; 1: off; 0: only the first token in its order
        float epsilon;     // [0, 1]; 0: off
        float eta;         // [0, 1]; 0: off
        float tail_free;   // [0, 1]; 1: off
        float top_a;       // [0, 1]; 0: off
        float top_n_sigma; // [0, +inf]; +inf: off; 0: the ties at the maximum
        float top_h;       // [0, 1]; 1: off
        struct {
            float repetition; // > 0, 1: off. z > 0 ? z / r : z * r (arXiv 1909.05858, as used)
            float presence;   // 0: off. Subtracted once from every token seen in the window
            float frequency;  // 0: off. Subtracted for every time it was seen
            int32_t window;
            int32_t drawn_only; // not 0: presence and frequency ignore the prompt's tokens
        } penalties;
        struct {
            float probability;                // [0, 1]; 0: off
            float threshold;                  // [0, 1]; above 0.5: off
            struct tempera_token_list spared; // never left out, such as the end of the text
        } xtc;
        struct {
            float target; // [0, 1]
            float decay;  // [0, 1): how much of the mean stays at each token
        } adaptive_p;
        struct {
            float tau; // bits, >= 0, finite
            float eta; // >= 0, finite; 0: the threshold stays at 2 tau
            int32_t m; // mirostat 1: how many tokens the exponent is estimated from, >= 2
        } mirostat;
        struct {
            float low, high; // 0 <= low <= high, finite; both 1: off
            float exponent;  // >= 0, finite
        } dynamic_temperature;
        struct {
            float factor; // >= 0, finite; 0: off
            float curve;  // [1, 3]; 1: purely quadratic
        } smoothing;
        struct {
            const struct tempera_logit_bias *entries; // [count], borrowed
            size_t count;
        } logit_bias;
        struct {
            float multiplier;       // >= 0, finite; 0: off
            float base;             // >= 1, finite
            int32_t allowed_length; // >= 1: shorter repeats cost nothing
            int32_t window;
            struct tempera_token_list breakers; // no repeat reaches across one of these
        } dry;
        struct {
            int32_t n; // >= 0; 0: off; 1: nothing in the window may come again
            int32_t window;
        } no_repeat_ngram;
        struct tempera_token_list tokens; // ALLOW: none allows nothing; BAN: none: off
        double reserved[8];               // fixes the size for stages to come
    } u;
};

// "top-k", as the command spells it; "unknown" for what isn't a stage. Never NULL.
TEMPERA_API const char *tempera_stage_name(enum tempera_stage_kind kind);

// ------------------------------------------------------------------------------------------------
// Constructors. None of them checks: tempera_sampler_check does.

static inline struct tempera_stage tempera_stage_of(enum tempera_stage_kind kind)
{
    struct tempera_stage stage = {kind, 0, {0}};
    return stage;
}

// The same stage, leaving at least n tokens.
static inline struct tempera_stage tempera_stage_keeping(struct tempera_stage stage, uint32_t n)
{
    stage.min_keep = n;
    return stage;
}

static inline struct tempera_stage tempera_stage_temperature(float temperature)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_TEMPERATURE);
    stage.u.temperature = temperature;
    return stage;
}

static inline struct tempera_stage tempera_stage_top_k(int32_t k)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_TOP_K);
    stage.u.top_k = k;
    return stage;
}

static inline struct tempera_stage tempera_stage_top_p(float p)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_TOP_P);
    stage.u.top_p = p;
    return stage;
}

static inline struct tempera_stage tempera_stage_min_p(float p)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_MIN_P);
    stage.u.min_p = p;
    return stage;
}

static inline struct tempera_stage tempera_stage_typical(float p)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_TYPICAL);
    stage.u.typical = p;
    return stage;
}

static inline struct tempera_stage tempera_stage_epsilon(float epsilon)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_EPSILON);
    stage.u.epsilon = epsilon;
    return stage;
}

static inline struct tempera_stage tempera_stage_eta(float epsilon)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_ETA);
    stage.u.eta = epsilon;
    return stage;
}

static inline struct tempera_stage tempera_stage_tail_free(float fraction)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_TAIL_FREE);
    stage.u.tail_free = fraction;
    return stage;
}

static inline struct tempera_stage tempera_stage_top_a(float a)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_TOP_A);
    stage.u.top_a = a;
    return stage;
}

static inline struct tempera_stage tempera_stage_top_n_sigma(float n)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_TOP_N_SIGMA);
    stage.u.top_n_sigma = n;
    return stage;
}

static inline struct tempera_stage tempera_stage_top_h(float fraction)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_TOP_H);
    stage.u.top_h = fraction;
    return stage;
}

// No parameter: such a stage always acts.
static inline struct tempera_stage tempera_stage_p_less(void)
{
    return tempera_stage_of(TEMPERA_STAGE_P_LESS);
}

// Nothing is spared; set u.xtc.spared to spare tokens.
static inline struct tempera_stage tempera_stage_xtc(float probability, float threshold)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_XTC);
    stage.u.xtc.probability = probability;
    stage.u.xtc.threshold = threshold;
    return stage;
}

static inline struct tempera_stage tempera_stage_adaptive_p(float target, float decay)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_ADAPTIVE_P);
    stage.u.adaptive_p.target = target;
    stage.u.adaptive_p.decay = decay;
    return stage;
}

static inline struct tempera_stage tempera_stage_mirostat_1(float tau, float eta, int32_t m)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_MIROSTAT_1);
    stage.u.mirostat.tau = tau;
    stage.u.mirostat.eta = eta;
    stage.u.mirostat.m = m;
    return stage;
}

static inline struct tempera_stage tempera_stage_mirostat_2(float tau, float eta)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_MIROSTAT_2);
    stage.u.mirostat.tau = tau;
    stage.u.mirostat.eta = eta;
    return stage;
}

static inline struct tempera_stage tempera_stage_dynamic_temperature(float low, float high,
                                                                     float exponent)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_DYNAMIC_TEMPERATURE);
    stage.u.dynamic_temperature.low = low;
    stage.u.dynamic_temperature.high = high;
    stage.u.dynamic_temperature.exponent = exponent;
    return stage;
}

static inline struct tempera_stage tempera_stage_smoothing(float factor, float curve)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_SMOOTHING);
    stage.u.smoothing.factor = factor;
    stage.u.smoothing.curve = curve;
    return stage;
}

// All three over the prompt and what was drawn; set u.penalties.drawn_only for OpenAI's meaning.
static inline struct tempera_stage tempera_stage_penalties(float repetition, float presence,
                                                           float frequency, int32_t window)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_PENALTIES);
    stage.u.penalties.repetition = repetition;
    stage.u.penalties.presence = presence;
    stage.u.penalties.frequency = frequency;
    stage.u.penalties.window = window;
    return stage;
}

static inline struct tempera_stage
tempera_stage_logit_bias(const struct tempera_logit_bias *entries, size_t count)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_LOGIT_BIAS);
    stage.u.logit_bias.entries = entries;
    stage.u.logit_bias.count = count;
    return stage;
}

static inline struct tempera_stage tempera_stage_dry(float multiplier, float base,
                                                     int32_t allowed_length, int32_t window,
                                                     const int32_t *breakers, size_t n_breakers)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_DRY);
    stage.u.dry.multiplier = multiplier;
    stage.u.dry.base = base;
    stage.u.dry.allowed_length = allowed_length;
    stage.u.dry.window = window;
    stage.u.dry.breakers.ids = breakers;
    stage.u.dry.breakers.count = n_breakers;
    return stage;
}

static inline struct tempera_stage tempera_stage_no_repeat_ngram(int32_t n, int32_t window)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_NO_REPEAT_NGRAM);
    stage.u.no_repeat_ngram.n = n;
    stage.u.no_repeat_ngram.window = window;
    return stage;
}

static inline struct tempera_stage tempera_stage_allow(const int32_t *ids, size_t count)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_ALLOW);
    stage.u.tokens.ids = ids;
    stage.u.tokens.count = count;
    return stage;
}

static inline struct tempera_stage tempera_stage_ban(const int32_t *ids, size_t count)
{
    struct tempera_stage stage = tempera_stage_of(TEMPERA_STAGE_BAN);
    stage.u.tokens.ids = ids;
    stage.u.tokens.count = count;
    return stage;
}

#ifdef __cplusplus
}
#endif
#endif
