// SPDX-License-Identifier: MIT
// The named chains: which stages, in which order, with which values; and that nothing a caller asks
// for is passed over in silence.
#include "sampler_setup.h"

#include <tempera/presets.h>

typedef size_t preset(const struct tempera_sampling_params *params, struct tempera_stage *stages);

static struct tempera_stage stages[TEMPERA_PRESET_STAGES];

// The names of the stages, with blanks between.
static const char *names_of(preset *make, const struct tempera_sampling_params *params)
{
    static char names[600];
    size_t n = make(params, stages);
    CHECK(n <= TEMPERA_PRESET_STAGES);
    names[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            strcat(names, " ");
        strcat(names, tempera_stage_name(stages[i].kind));
    }
    return names;
}

static bool is_valid(preset *make, const struct tempera_sampling_params *params)
{
    struct tempera_sampler sampler = tempera_sampler_of(stages, make(params, stages));
    return tempera_sampler_check(&sampler, NULL) == TEMPERA_OK;
}

static void defaults(void)
{
    struct tempera_sampling_params off = tempera_sampling_params_default();
    CHECK_EQ_STR(names_of(tempera_preset_temperature_first, &off), "");
    CHECK_EQ_STR(names_of(tempera_preset_temperature_last, &off), "");
    CHECK(is_valid(tempera_preset_temperature_first, &off));
    struct tempera_sampling_params llama = tempera_sampling_params_llama_cpp();
    CHECK_EQ_STR(names_of(tempera_preset_temperature_last, &llama),
                 "top-k top-p min-p temperature");
    CHECK_EQ_INT(stages[0].u.top_k, 40);
    CHECK(stages[1].u.top_p == 0.95f && stages[2].u.min_p == 0.05f);
    CHECK(stages[3].u.temperature == 0.8f);
    CHECK_EQ_STR(names_of(tempera_preset_temperature_first, &llama),
                 "temperature top-k top-p min-p");
    // What is switched on by one value does something: the others are set. ollama/ollama#15783:
    // penalties are accepted and ignored.
    llama.repetition_penalty = 1.1f;
    llama.dry_multiplier = 0.8f;
    llama.ngram = 3;
    llama.xtc_probability = 0.5f;
    llama.adaptive_target = 0.3f;
    CHECK_EQ_STR(names_of(tempera_preset_temperature_last, &llama),
                 "no-repeat-ngram penalties dry top-k top-p min-p xtc temperature adaptive-p");
    CHECK(is_valid(tempera_preset_temperature_last, &llama));
    CHECK_EQ_INT(stages[0].u.no_repeat_ngram.window, 64);
    CHECK_EQ_INT(stages[1].u.penalties.window, 64);
    CHECK_EQ_INT(stages[1].u.penalties.drawn_only, 0);
    CHECK_EQ_INT(stages[2].u.dry.window, 64);
    CHECK_EQ_INT(stages[2].u.dry.allowed_length, 2);
    CHECK(stages[2].u.dry.base == 1.75f && stages[6].u.xtc.threshold == 0.1f);
    CHECK(stages[8].u.adaptive_p.decay == 0.9f);
}

static const struct tempera_logit_bias bias[] = {{3, 1}};
static const int32_t ids[] = {1, 2, 3, 4, 5};

static struct tempera_sampling_params everything(void)
{
    struct tempera_sampling_params p = tempera_sampling_params_default();
    p.min_keep = 2;
    p.temperature = 1.5f;
    p.smoothing_factor = 0.2f;
    p.top_k = 50;
    p.top_p = 0.9f;
    p.min_p = 0.1f;
    p.typical = 0.8f;
    p.epsilon = 1e-3f;
    p.eta = 2e-3f;
    p.tail_free = 0.97f;
    p.top_a = 0.05f;
    p.top_h = 0.4f;
    p.top_n_sigma = 1.5f;
    p.p_less = 1;
    p.xtc_probability = 0.25f;
    p.xtc_spared = (struct tempera_token_list){ids, 1};
    p.presence_penalty = 0.5f;
    p.dry_multiplier = 0.8f;
    p.dry_breakers = (struct tempera_token_list){ids, 2};
    p.ngram = 4;
    p.logit_bias = bias;
    p.n_logit_bias = 1;
    p.allowed = (struct tempera_token_list){ids, 3};
    p.banned = (struct tempera_token_list){ids, 4};
    p.adaptive_target = 0.4f;
    return p;
}

// Each parameter arrives at its stage.
static void check_values(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct tempera_stage *s = &stages[i];
        CHECK_EQ_U64(s->min_keep, 2);
        switch (s->kind) {
        case TEMPERA_STAGE_LOGIT_BIAS:
            CHECK(s->u.logit_bias.entries == bias && s->u.logit_bias.count == 1);
            break;
        case TEMPERA_STAGE_PENALTIES:
            CHECK(s->u.penalties.repetition == 1 && s->u.penalties.presence == 0.5f);
            CHECK(s->u.penalties.frequency == 0 && s->u.penalties.drawn_only == 1);
            CHECK_EQ_INT(s->u.penalties.window, 1024);
            break;
        case TEMPERA_STAGE_TEMPERATURE:
            CHECK(s->u.temperature == 1.5f);
            break;
        case TEMPERA_STAGE_TOP_K:
            CHECK_EQ_INT(s->u.top_k, 50);
            break;
        case TEMPERA_STAGE_TOP_P:
            CHECK(s->u.top_p == 0.9f);
            break;
        case TEMPERA_STAGE_MIN_P:
            CHECK(s->u.min_p == 0.1f);
            break;
        case TEMPERA_STAGE_TYPICAL:
            CHECK(s->u.typical == 0.8f);
            break;
        case TEMPERA_STAGE_EPSILON:
            CHECK(s->u.epsilon == 1e-3f);
            break;
        case TEMPERA_STAGE_ETA:
            CHECK(s->u.eta == 2e-3f);
            break;
        case TEMPERA_STAGE_TAIL_FREE:
            CHECK(s->u.tail_free == 0.97f);
            break;
        case TEMPERA_STAGE_TOP_A:
            CHECK(s->u.top_a == 0.05f);
            break;
        case TEMPERA_STAGE_TOP_N_SIGMA:
            CHECK(s->u.top_n_sigma == 1.5f);
            break;
        case TEMPERA_STAGE_TOP_H:
            CHECK(s->u.top_h == 0.4f);
            break;
        case TEMPERA_STAGE_P_LESS:
            break;
        case TEMPERA_STAGE_XTC:
            CHECK(s->u.xtc.probability == 0.25f && s->u.xtc.threshold == 0.1f);
            CHECK(s->u.xtc.spared.ids == ids && s->u.xtc.spared.count == 1);
            break;
        case TEMPERA_STAGE_ADAPTIVE_P:
            CHECK(s->u.adaptive_p.target == 0.4f && s->u.adaptive_p.decay == 0.9f);
            break;
        case TEMPERA_STAGE_SMOOTHING:
            CHECK(s->u.smoothing.factor == 0.2f && s->u.smoothing.curve == 1);
            break;
        case TEMPERA_STAGE_DRY:
            CHECK(s->u.dry.multiplier == 0.8f && s->u.dry.base == 1.75f);
            CHECK(s->u.dry.breakers.ids == ids && s->u.dry.breakers.count == 2);
            CHECK(s->u.dry.allowed_length == 2 && s->u.dry.window == 1024);
            break;
        case TEMPERA_STAGE_NO_REPEAT_NGRAM:
            CHECK(s->u.no_repeat_ngram.n == 4 && s->u.no_repeat_ngram.window == 1024);
            break;
        case TEMPERA_STAGE_ALLOW:
            CHECK(s->u.tokens.ids == ids && s->u.tokens.count == 3);
            break;
        case TEMPERA_STAGE_BAN:
            CHECK(s->u.tokens.ids == ids && s->u.tokens.count == 4);
            break;
        default:
            CHECK_EQ_STR(tempera_stage_name(s->kind), "one of the above");
        }
    }
}

static void orders(void)
{
    struct tempera_sampling_params all = everything();
    CHECK_EQ_STR(names_of(tempera_preset_temperature_first, &all),
                 "logit-bias allow ban no-repeat-ngram penalties dry temperature smoothing top-k "
                 "top-p min-p typical epsilon eta tail-free top-a top-n-sigma top-h p-less xtc "
                 "adaptive-p");
    CHECK(is_valid(tempera_preset_temperature_first, &all));
    check_values(21);
    CHECK_EQ_STR(names_of(tempera_preset_temperature_last, &all),
                 "logit-bias allow ban no-repeat-ngram penalties dry top-n-sigma top-k typical "
                 "top-p min-p epsilon eta tail-free top-a top-h p-less xtc temperature smoothing "
                 "adaptive-p");
    CHECK(is_valid(tempera_preset_temperature_last, &all));
    check_values(21);
}

static void mirostats(void)
{
    struct tempera_sampling_params all = everything();
    all.adaptive_target = -1;
    const char *const names[] = {"mirostat-1", "mirostat-2"};
    preset *const presets[] = {tempera_preset_temperature_first, tempera_preset_temperature_last};
    for (int version = 1; version <= 2; version++)
        for (size_t i = 0; i < COUNT_OF(presets); i++) {
            char expected[200] = "logit-bias allow ban no-repeat-ngram penalties dry temperature "
                                 "smoothing ";
            strcat(expected, names[version - 1]);
            all.mirostat = version;
            CHECK_EQ_STR(names_of(presets[i], &all), expected);
            CHECK(is_valid(presets[i], &all));
            const struct tempera_stage *stage = &stages[8];
            CHECK(stage->u.mirostat.tau == 5 && stage->u.mirostat.eta == 0.1f);
            CHECK(version == 2 || stage->u.mirostat.m == 100);
        }
}

static void temperatures(void)
{
    struct tempera_sampling_params p = tempera_sampling_params_default();
    const struct {
        float T, range, low, high;
    } cases[] = {{1, 0.5f, 0.5f, 1.5f}, {0.8f, 2, 0, 2.8f}, {3e38f, 3e38f, 0, 0x1.fffffep127f}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        p.temperature = cases[i].T;
        p.temperature_range = cases[i].range;
        CHECK_EQ_STR(names_of(tempera_preset_temperature_last, &p), "dynamic-temperature");
        CHECK(stages[0].u.dynamic_temperature.low == cases[i].low);
        CHECK(stages[0].u.dynamic_temperature.high == cases[i].high);
        CHECK(is_valid(tempera_preset_temperature_last, &p));
    }
    p.temperature = 0;
    CHECK_EQ_STR(names_of(tempera_preset_temperature_last, &p), "temperature");
    p.temperature = INFINITY;
    CHECK_EQ_STR(names_of(tempera_preset_temperature_last, &p), "temperature");
    p.top_n_sigma = -1; // llama.cpp's way to switch it off
    p.temperature = 1;
    p.temperature_range = 0;
    CHECK_EQ_STR(names_of(tempera_preset_temperature_last, &p), "");
}

// Whatever can't be meant gets into the chain and is refused there.
static void nothing_is_passed_over(void)
{
    struct tempera_sampling_params p = tempera_sampling_params_llama_cpp();
    CHECK(is_valid(tempera_preset_temperature_first, &p));
    float *const floats[] = {&p.temperature,
                             &p.temperature_range,
                             &p.smoothing_factor,
                             &p.top_p,
                             &p.min_p,
                             &p.typical,
                             &p.epsilon,
                             &p.eta,
                             &p.tail_free,
                             &p.top_a,
                             &p.top_h,
                             &p.top_n_sigma,
                             &p.xtc_probability,
                             &p.dry_multiplier,
                             &p.adaptive_target,
                             &p.repetition_penalty,
                             &p.presence_penalty,
                             &p.frequency_penalty};
    for (size_t i = 0; i < COUNT_OF(floats); i++) {
        float good = *floats[i];
        *floats[i] = NAN;
        CHECK(!is_valid(tempera_preset_temperature_first, &p));
        CHECK(!is_valid(tempera_preset_temperature_last, &p));
        *floats[i] = good;
    }
    p.top_k = -1;
    CHECK(!is_valid(tempera_preset_temperature_last, &p));
    p.top_k = 40;
    p.ngram = -1;
    CHECK(!is_valid(tempera_preset_temperature_last, &p));
    p.ngram = 0;
    p.mirostat = 3;
    CHECK(!is_valid(tempera_preset_temperature_last, &p));
    p.mirostat = 2;
    CHECK(is_valid(tempera_preset_temperature_last, &p));
    p.adaptive_target = 0.5f; // at most one stage learns
    CHECK(!is_valid(tempera_preset_temperature_last, &p));
    p = tempera_sampling_params_llama_cpp();
    p.struct_size--;
    CHECK(!is_valid(tempera_preset_temperature_first, &p));
    CHECK(!is_valid(tempera_preset_temperature_last, &p));
    CHECK(!is_valid(tempera_preset_temperature_last, NULL));
}

// Filters see the distribution at T, or the one at T = 1.
static void orders_differ(void)
{
    float z[10];
    for (int i = 0; i < 10; i++)
        z[i] = (float)-i;
    struct tempera_sampling_params p = tempera_sampling_params_default();
    p.temperature = 3;
    p.top_p = 0.9f;
    size_t n = tempera_preset_temperature_first(&p, stages);
    CHECK_EQ_U64(run_stages(z, 10, stages, n, 0).n_kept, 7);
    n = tempera_preset_temperature_last(&p, stages);
    CHECK_EQ_U64(run_stages(z, 10, stages, n, 0).n_kept, 3);
}

// ------------------------------------------------------------------------------------------------
// Tokens that must never change: with gcc and clang, on any machine, in any later version. All
// stages are in the chains.

enum { VOCAB = 1000, STEPS = 12 };

struct golden {
    int32_t tokens[STEPS];
    double level;
};

// Texts with turns of phrase that come again.
static const int32_t text[] = {7, 8, 9, 3, 7, 8, 9, 4, 7, 8, 9, 5, 60, 61, 7, 8};

static void fill_scores(float *z)
{
    uint32_t x = 1;
    for (size_t i = 0; i < VOCAB; i++) {
        x = x * 1664525u + 1013904223u;
        z[i] = (float)(x >> 20) * 0x1p-9f - (float)(i % 100) * 0.05f;
    }
}

static struct tempera_sampling_params loose(void)
{
    struct tempera_sampling_params p = everything();
    p.temperature_range = 0.5f;
    p.top_k = 300;
    p.top_p = 0.98f;
    p.min_p = 0.002f;
    p.typical = 0.95f;
    p.epsilon = 1e-5f;
    p.eta = 1e-4f;
    p.tail_free = 0.999f;
    p.top_a = 1e-3f;
    p.top_h = 0.97f;
    p.top_n_sigma = 3;
    p.p_less = 0;
    p.ngram = 3;
    p.frequency_penalty = 0.25f;
    p.repetition_penalty = 1.1f;
    p.allowed.count = 0;
    return p;
}

static void check_golden(const struct tempera_sampling_params *params, preset *make,
                         const struct golden *expected)
{
    static float z[VOCAB];
    struct tempera_sampler sampler = tempera_sampler_of(stages, make(params, stages));
    struct tempera_sampler_state *state = new_state(&sampler, text, COUNT_OF(text));
    struct tempera_sample_row row = {.sampler = &sampler, .state = state, .seed = 31};
    int32_t tokens[STEPS];
    fill_scores(z);
    printf("#");
    for (size_t i = 0; i < STEPS; i++) {
        struct tempera_sample_result result = sample_row(z, VOCAB, &row);
        tokens[i] = result.token;
        CHECK_STATUS(tempera_sampler_accept(state, result.token, &result), TEMPERA_OK);
        printf(" %d,", (int)result.token);
    }
    printf(" level %a\n", state->level);
    CHECK_MEM(tokens, expected->tokens, sizeof tokens);
    CHECK(state->level == expected->level);
    free(state);
}

static void golden_tokens(void)
{
    static const struct golden first = {
        {911, 706, 206, 924, 842, 309, 427, 927, 841, 519, 532, 369}, 0x1.dc0c5e90a1db8p-4};
    static const struct golden last = {{818, 512, 204, 913, 801, 223, 401, 809, 702, 415, 422, 308},
                                       0x1.2e3ca6ebd36b5p-3};
    static const struct golden mirostat_1 = {
        {909, 401, 200, 413, 847, 309, 426, 702, 844, 512, 546, 113}, 0x1.444612ad9c67ap+3};
    static const struct golden mirostat_2 = {
        {818, 512, 204, 914, 809, 301, 401, 913, 702, 422, 415, 223}, 0x1.003c62f74de99p+3};
    struct tempera_sampling_params p = loose();
    check_golden(&p, tempera_preset_temperature_first, &first);
    p.p_less = 1;
    check_golden(&p, tempera_preset_temperature_last, &last);
    p = loose();
    p.adaptive_target = -1;
    p.mirostat = 1;
    check_golden(&p, tempera_preset_temperature_first, &mirostat_1);
    p.mirostat = 2;
    p.mirostat_tau = 4;
    check_golden(&p, tempera_preset_temperature_last, &mirostat_2);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"the default parameters make no stage", defaults},
        {"presets put stages in their order", orders},
        {"mirostat takes the place of all filters", mirostats},
        {"temperatures and their ranges become the right stages", temperatures},
        {"a parameter out of range is refused, not left out", nothing_is_passed_over},
        {"at T = 3, the two orders keep different numbers of tokens", orders_differ},
        {"presets draw the recorded tokens", golden_tokens},
    };
    return CHECK_RUN(tests, argc, argv);
}
