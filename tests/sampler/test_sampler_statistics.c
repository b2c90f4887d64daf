// SPDX-License-Identifier: MIT
// What can only be seen in many draws: that tokens come as often as their probabilities say, by
// chi-square, for every stage and preset, whichever of seed, stream and step tells the draws
// apart; and that successive draws know nothing of one another.
#include "chi_square.h"
#include "sampler_setup.h"

#include <tempera/presets.h>

enum { VOCAB = 64, N_DRAWS = 20000 };

static float z[VOCAB];

// ------------------------------------------------------------------------------------------------
// Chi-square

static void chi_square_is_right(void)
{
    CHECK_NEAR(chi_square_tail(3.841458820694124, 1), 0.05, 1e-9); // from tables
    CHECK_NEAR(chi_square_tail(18.307038053275146, 10), 0.05, 1e-9);
    CHECK_NEAR(chi_square_tail(135.80672317102676, 100), 0.01, 1e-9);
    CHECK_NEAR(chi_square_tail(2 * log(1e6), 2), 1e-6, 1e-12); // e^(-x / 2)
    CHECK_NEAR(chi_square_tail(0.5, 2), exp(-0.25), 1e-12);
}

// ------------------------------------------------------------------------------------------------
// Draws

// What tells the draws apart.
enum apart { BY_SEED, BY_STREAM, BY_STEP, N_APART };

static const char *const apart_names[] = {"seeds", "streams", "steps"};

// Counts the tokens of many draws; returns their chance under the exact probabilities `p`.
static double draw_many(struct tempera_sample_row row, struct tempera_sampler_state *state,
                        enum apart apart, double *p)
{
    float probs[VOCAB];
    double counts[VOCAB] = {0};
    probs_of_row(z, VOCAB, &row, probs);
    for (size_t i = 0; i < VOCAB; i++)
        p[i] = (double)probs[i];
    struct tempera_matrix logits = tempera_matrix_f32(z, 1, VOCAB);
    struct tempera_sample_result result;
    size_t nbytes;
    void *scratch = new_scratch(&logits, row.sampler, NULL, &nbytes);
    for (uint32_t i = 0; i < N_DRAWS; i++) {
        if (apart == BY_SEED)
            row.seed = i;
        else if (apart == BY_STREAM)
            row.stream = i;
        else
            state->step = 1000 + 8 * i; // a whole window on, so that the history stays
        CHECK_STATUS(tempera_sample(&logits, &row, &result, scratch, nbytes, NULL), TEMPERA_OK);
        counts[result.token]++;
    }
    free(scratch);
    return chance_of(counts, p, VOCAB, N_DRAWS);
}

static void check_chain(const char *name, const struct tempera_stage *stages, size_t n_stages)
{
    // A window of 8 is full after 8 tokens, so that the step alone can be moved on.
    static const int32_t history[] = {3, 5, 17, 9, 17, 3, 3, 17};
    static enum apart apart;
    apart = (apart + 1) % N_APART;
    struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
    struct tempera_sampler_state *state = new_state(&sampler, history, COUNT_OF(history));
    state->step = 1000;
    double p[VOCAB];
    struct tempera_sample_row row = {.sampler = &sampler, .state = state, .seed = 99};
    double chance = draw_many(row, state, apart, p);
    printf("# %s, by %s: p = %.3f\n", name, apart_names[apart], chance);
    CHECK(chance > reject_below);
    free(state);
}

static void fill_row(void)
{
    for (size_t i = 0; i < VOCAB; i++)
        z[i] = (float)check_random_between(-3, 3);
    z[20] = z[21] = z[22] = 2.5f;
}

static void every_stage(void)
{
    static const struct tempera_logit_bias bias[] = {{5, 2}, {6, -INFINITY}, {7, -1}};
    static const int32_t listed[] = {20, 3, 44, 45, 46, 60};
    struct tempera_stage sparing = tempera_stage_xtc(1, 0.05f);
    sparing.u.xtc.spared = (struct tempera_token_list){listed, COUNT_OF(listed)};
    const struct {
        const char *name;
        struct tempera_stage stage;
    } cases[] = {
        {"T = 1", tempera_stage_temperature(1)},
        {"T = 0.7", tempera_stage_temperature(0.7f)},
        {"T = 2.5", tempera_stage_temperature(2.5f)},
        {"T = inf", tempera_stage_temperature(INFINITY)},
        {"top-k 10", tempera_stage_top_k(10)},
        {"top-p 0.8", tempera_stage_top_p(0.8f)},
        {"min-p 0.1", tempera_stage_min_p(0.1f)},
        {"typical 0.7", tempera_stage_typical(0.7f)},
        {"epsilon 0.01", tempera_stage_epsilon(0.01f)},
        {"eta 0.01", tempera_stage_eta(0.01f)},
        {"tail-free 0.9", tempera_stage_tail_free(0.9f)},
        {"top-a 0.3", tempera_stage_top_a(0.3f)},
        {"top-n-sigma 1", tempera_stage_top_n_sigma(1)},
        {"p-less", tempera_stage_p_less()},
        {"top-H 0.6", tempera_stage_top_h(0.6f)},
        {"XTC 1, 0.05", tempera_stage_xtc(1, 0.05f)},
        {"XTC 1, 0.05, sparing some", sparing},
        {"mirostat 1", tempera_stage_mirostat_1(3.5f, 0.1f, 30)},
        {"mirostat 2", tempera_stage_mirostat_2(2, 0.1f)},
        {"adaptive-p", tempera_stage_adaptive_p(0.04f, 0.9f)},
        {"dynamic temperature", tempera_stage_dynamic_temperature(0.5f, 1.5f, 1)},
        {"smoothing", tempera_stage_smoothing(0.3f, 1.5f)},
        {"allow", tempera_stage_allow(listed, COUNT_OF(listed))},
        {"ban", tempera_stage_ban(listed, COUNT_OF(listed))},
        {"DRY", tempera_stage_dry(0.8f, 1.75f, 1, 8, NULL, 0)},
        {"no-repeat-ngram", tempera_stage_no_repeat_ngram(1, 8)},
        {"logit bias", tempera_stage_logit_bias(bias, COUNT_OF(bias))},
        {"repetition", tempera_stage_penalties(1.4f, 0, 0, 8)},
        {"presence", tempera_stage_penalties(1, 0.7f, 0, 8)},
        {"frequency", tempera_stage_penalties(1, 0, -0.4f, 8)},
    };
    fill_row();
    for (size_t i = 0; i < COUNT_OF(cases); i++) // in turn by seeds, streams and steps
        check_chain(cases[i].name, &cases[i].stage, 1);
}

// llama.cpp's chain, and what vLLM makes of a request with much in it.
static void presets(void)
{
    struct tempera_stage stages[TEMPERA_PRESET_STAGES];
    struct tempera_sampling_params last = tempera_sampling_params_llama_cpp();
    struct tempera_sampling_params first = tempera_sampling_params_default();
    last.repetition_penalty = first.repetition_penalty = 1.2f;
    last.presence_penalty = first.frequency_penalty = 0.1f;
    last.penalty_window = first.penalty_window = 8;
    first.temperature = 1.5f;
    first.top_p = 0.9f;
    first.top_k = 30;
    first.min_p = 0.02f;
    fill_row();
    check_chain("no stage", NULL, 0);
    for (int j = 0; j < N_APART; j++) {
        check_chain("temperature last", stages, tempera_preset_temperature_last(&last, stages));
        check_chain("temperature first", stages, tempera_preset_temperature_first(&first, stages));
    }
    last.mirostat = 2;
    last.mirostat_tau = 3;
    first.adaptive_target = 0.05f;
    for (int j = 0; j < N_APART; j++) {
        check_chain("mirostat", stages, tempera_preset_temperature_last(&last, stages));
        check_chain("adaptive-p", stages, tempera_preset_temperature_first(&first, stages));
    }
}

static void masked(void)
{
    const uint32_t mask[] = {0xF0F0FF01, 0x0000FFFF};
    struct tempera_stage stage = tempera_stage_top_p(0.9f);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_sample_row row = {.sampler = &sampler, .mask = mask, .mask_nbits = 44};
    double p[VOCAB];
    fill_row();
    double chance = draw_many(row, NULL, BY_STREAM, p);
    printf("# under a mask: p = %.3f\n", chance);
    CHECK(chance > reject_below);
    for (size_t i = 44; i < VOCAB; i++)
        CHECK(p[i] == 0);
}

// Pairs of tokens drawn at one step and the next, on 8 tokens.
static void successive_draws(void)
{
    enum { N = 8 };
    struct tempera_sampler sampler = tempera_sampler_of(NULL, 0);
    struct tempera_sampler_state *state = new_state(&sampler, NULL, 0);
    struct tempera_sample_row row = {.sampler = &sampler, .state = state, .seed = 5};
    float probs[N];
    double pairs[N * N] = {0}, p[N * N];
    fill_row();
    probs_of_row(z, N, &row, probs);
    for (size_t i = 0; i < N * N; i++)
        p[i] = (double)probs[i / N] * (double)probs[i % N];
    for (int i = 0; i < N_DRAWS; i++) {
        int32_t token[2];
        for (int j = 0; j < 2; j++) {
            token[j] = sample_row(z, N, &row).token;
            CHECK_STATUS(tempera_sampler_accept(state, token[j], NULL), TEMPERA_OK);
        }
        pairs[token[0] * N + token[1]]++;
    }
    double chance = chance_of(pairs, p, N * N, N_DRAWS);
    printf("# pairs: p = %.3f\n", chance);
    CHECK(chance > reject_below);
    free(state);
}

// The test can fail: draws at T = 1.15 are not draws at T = 1.
static void a_small_difference_is_seen(void)
{
    double p[VOCAB], warm[VOCAB], counts[VOCAB];
    struct tempera_stage stages[] = {tempera_stage_temperature(1),
                                     tempera_stage_temperature(1.15f)};
    fill_row();
    for (size_t s = 0; s < 2; s++) {
        struct tempera_sampler sampler = tempera_sampler_of(&stages[s], 1);
        struct tempera_sample_row row = {.sampler = &sampler};
        CHECK(draw_many(row, NULL, BY_SEED, s == 0 ? p : warm) > reject_below);
    }
    for (size_t i = 0; i < VOCAB; i++)
        counts[i] = N_DRAWS * warm[i];
    double chance = chance_of(counts, p, VOCAB, N_DRAWS);
    printf("# T = 1.15 for 1: p = %.2e even if the counts meet their expectation\n", chance);
    CHECK(chance < reject_below);
    for (size_t i = 0; i < VOCAB; i++)
        counts[i] = N_DRAWS / (double)VOCAB;
    CHECK(chance_of(counts, p, VOCAB, N_DRAWS) < reject_below);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"chi-square gives the known values", chi_square_is_right},
        {"every stage draws from its distribution", every_stage},
        {"presets draw from their distributions", presets},
        {"masked rows draw from their distribution", masked},
        {"successive draws are independent", successive_draws},
        {"draws at T = 1.15 are rejected as draws at T = 1", a_small_difference_is_seen},
    };
    return CHECK_RUN(tests, argc, argv);
}
