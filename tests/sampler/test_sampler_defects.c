// SPDX-License-Identifier: MIT
// Defects that samplers in use have had, one test each, so that ours never gets them. The name in
// front of each test is the repository and the thread on GitHub that tells the story.
#include "sampler_setup.h"

#include <tempera/softmax.h>

#include "base/half.h"
#include "sampler/row/draw.h"

enum { WIDE = 128256 };

static float z[WIDE], probs[WIDE];

static struct tempera_sample_result probs_after(const float *row, size_t n,
                                                const struct tempera_stage *stages, size_t n_stages)
{
    struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
    struct tempera_sample_row how = {.sampler = &sampler};
    return probs_of_row(row, n, &how, probs);
}

static double total(const float *p, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)p[i];
    return sum;
}

// ------------------------------------------------------------------------------------------------
// Random numbers and the tail. Of this group, vllm-project/vllm#43150 and #51367 (noise of 24 bits
// never reaches a tail of 262,144 tokens) is tests/sampler/test_draw.c: "the tail is reached".

// sgl-project/sglang#25106, pytorch/pytorch#20179: a uniform of exactly 0 or 1 gives infinite
// noise, which wins for a token of next to no probability.
static void extreme_bits_give_no_unlikely_token(void)
{
    uint64_t masses[100];
    for (size_t i = 0; i < 100; i++)
        masses[i] = i == 50 ? UINT64_C(1) << 51 : 0;
    const tempera_u128 one = 1;
    for (int i = 0; i <= 128; i++) {
        tempera_u128 low = i == 128 ? ~(tempera_u128)0 : (one << i) - 1;
        CHECK_EQ_SIZE(tempera_draw_index(masses, 100, low), 50);
        CHECK_EQ_SIZE(tempera_draw_index(masses, 100, ~low), 50);
    }
}

// sgl-project/sglang#33423: forbidden tokens are sampled (-inf + inf is NaN, which wins argmax).
// huggingface/transformers#23088, pytorch/pytorch#4858: tokens of probability 0 are sampled.
static void forbidden_tokens_are_never_drawn(void)
{
    const struct tempera_logit_bias bans[] = {{3, -INFINITY}, {4, -INFINITY}};
    const struct tempera_stage stages[] = {tempera_stage_logit_bias(bans, 2),
                                           tempera_stage_top_k(40),
                                           tempera_stage_temperature(1.5f)};
    const uint32_t mask[] = {0xFFFFFFFE, 0x7FFFFFFF};
    struct tempera_sampler sampler = tempera_sampler_of(stages, 3);
    struct tempera_sample_row row = {.sampler = &sampler, .mask = mask, .mask_nbits = 60};
    for (size_t i = 0; i < 64; i++)
        z[i] = i % 7 == 0 ? -INFINITY : (float)(i % 5) * 0.1f;
    probs_of_row(z, 64, &row, probs);
    for (size_t i = 0; i < 64; i++)
        if (i == 0 || i == 3 || i == 4 || i >= 60 || i % 7 == 0)
            CHECK(probs[i] == 0);
    for (row.seed = 0; row.seed < check_cases(20000); row.seed++)
        CHECK(probs[sample_row(z, 64, &row).token] > 0);
}

// NVIDIA/Megatron-LM#7182: in bf16, softmax and its running sum saturate before the tail of a
// vocabulary of 131k, so that top-p drops or keeps it in blocks.
static void running_sums_do_not_saturate(void)
{
    for (size_t i = 0; i < WIDE; i++)
        z[i] = i == 0 ? 12 : 0; // e^12 = 162,755 against 128,255 ones
    double head = exp(12), all = head + WIDE - 1;
    for (int part = 1; part < 10; part++) {
        // so that the nucleus takes part / 10 of the tail
        struct tempera_stage stage =
            tempera_stage_top_p((float)((head + (WIDE - 1) * part / 10.0) / all));
        double kept = (double)run_stage(z, WIDE, stage, 1).n_kept;
        CHECK_NEAR(kept, 1 + (WIDE - 1) * part / 10.0, all * 0x1p-23 + 1);
    }
    struct tempera_stage none = tempera_stage_temperature(1);
    probs_after(z, WIDE, &none, 1);
    CHECK_NEAR(total(probs, WIDE), 1, WIDE * 0x1p-42);
}

// ------------------------------------------------------------------------------------------------
// Thresholds, ties, order

// NVIDIA/TensorRT-LLM#19485: the running sum in f32 never reaches a top_p near 1, and the index
// runs off the vocabulary.
static void top_p_near_1_ends_within_the_row(void)
{
    for (size_t i = 0; i < WIDE; i++)
        z[i] = (float)check_random_between(-3, 3);
    float p = 1;
    for (int i = 0; i < 5; i++) {
        struct tempera_sample_result r = run_stage(z, WIDE, tempera_stage_top_p(p), 7);
        CHECK(r.n_kept <= WIDE && r.n_kept > WIDE - 100);
        CHECK(r.token >= 0 && r.token < WIDE);
        p = nextafterf(p, 0);
    }
}

// sgl-project/sglang#4876: an unstable sort at a tie on the border of the nucleus; the token that
// is drawn is not one that is kept, and its logprob is -3.4e38.
static void ties_on_the_border_of_the_nucleus(void)
{
    const float row[6] = {1, 2, 1, 1, 2, 1};
    struct tempera_stage stage = tempera_stage_top_p(0.75f);
    struct tempera_sample_result r = probs_after(row, 6, &stage, 1);
    CHECK_EQ_U64(r.n_kept, 4); // 2e / (2e + 4) = 0.576, then 0.106 for each tie
    CHECK(probs[0] > 0 && probs[2] > 0 && probs[3] == 0 && probs[5] == 0);
    for (uint64_t seed = 0; seed < 1000; seed++) {
        r = run_stage(row, 6, stage, seed);
        CHECK(probs[r.token] > 0);
        CHECK_NEAR(r.logprob, log((double)probs[r.token]), 1e-6);
    }
}

// mstar-project/mstar#254: top_k = 1 keeps all ties, so that "greedy" is random.
static void top_k_1_is_greedy(void)
{
    const float row[5] = {1, 3, 3, 3, 2};
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct tempera_sample_result r = run_stage(row, 5, tempera_stage_top_k(1), seed);
        CHECK_EQ_INT(r.token, 1);
        CHECK_EQ_INT(run_stage(row, 5, tempera_stage_temperature(0), seed).token, r.token);
        CHECK(r.logprob == 0);
    }
}

// thu-nics/C2C#21: the token that reaches top_p is dropped.
static void the_token_that_reaches_top_p_stays(void)
{
    const float row[4] = {logf(0.5f), logf(0.25f), logf(0.15f), logf(0.1f)};
    CHECK_EQ_U64(run_stage(row, 4, tempera_stage_top_p(0.45f), 0).n_kept, 1);
    CHECK_EQ_U64(run_stage(row, 4, tempera_stage_top_p(0.55f), 0).n_kept, 2);
    CHECK_EQ_U64(run_stage(row, 4, tempera_stage_top_p(0.76f), 0).n_kept, 3);
    CHECK_EQ_U64(run_stage(row, 4, tempera_stage_top_p(0.91f), 0).n_kept, 4);
}

// ggml-org/llama.cpp#4091, huggingface/transformers#8686: top-p and temperature in an order that
// nobody can see. Here it is the caller's, and both orders have their own answer.
static void the_order_is_the_callers(void)
{
    const float row[3] = {0, -1, -2}; // 0.665, 0.245, 0.090; at T = 2: 0.506, 0.307, 0.186
    const struct tempera_stage p = tempera_stage_top_p(0.85f), T = tempera_stage_temperature(2);
    const struct tempera_stage last[] = {p, T}, first[] = {T, p};
    CHECK_EQ_U64(run_stages(row, 3, last, 2, 0).n_kept, 2);
    CHECK_EQ_U64(run_stages(row, 3, first, 2, 0).n_kept, 3);
}

// flashinfer-ai/flashinfer#384: token 1061800448, which is a float's bits. vllm-project/vllm#40376:
// a NaN in the scores is an illegal memory access.
static void tokens_are_always_ids_of_the_row(void)
{
    const struct tempera_stage stages[] = {tempera_stage_top_k(20), tempera_stage_top_p(0.9f),
                                           tempera_stage_min_p(0.01f),
                                           tempera_stage_temperature(0.7f)};
    for (uint64_t round = 0; round < check_cases(20000); round++) {
        size_t n = 1 + check_random_below(40);
        bool has_nan = false;
        for (size_t i = 0; i < n; i++) {
            z[i] = tempera_bits_float((uint32_t)check_random()); // any float at all
            has_nan |= z[i] != z[i];
        }
        struct tempera_sample_result r = run_stages(z, n, stages, 4, round);
        CHECK_EQ_INT(r.status == TEMPERA_NAN_INPUT, has_nan);
        CHECK(r.status == TEMPERA_OK ? r.token >= 0 && (size_t)r.token < n : r.token == -1);
    }
}

// llama.cpp's graph version of min-p compares with >, so that min_p = 1 bans every token.
static void min_p_1_keeps_the_maxima(void)
{
    const float row[4] = {2, 5, 5, 4};
    struct tempera_stage stage = tempera_stage_min_p(1);
    CHECK_EQ_U64(probs_after(row, 4, &stage, 1).n_kept, 2);
    CHECK(probs[1] == 0.5f && probs[2] == 0.5f);
}

// ------------------------------------------------------------------------------------------------
// Temperature 0 and tiny temperatures

// vllm-project/vllm#1623: a temperature or top_p of 0.0001 gives NaN and ends the server.
static void tiny_temperature_and_top_p_give_numbers(void)
{
    for (size_t i = 0; i < 1000; i++)
        z[i] = (float)check_random_between(-20, 20);
    z[123] = 25;
    for (float value = 1e-4f; value > 0; value *= 0.01f) {
        const struct tempera_stage stages[] = {tempera_stage_temperature(value),
                                               tempera_stage_top_p(value)};
        for (size_t first = 0; first < 2; first++) {
            struct tempera_sample_result r = run_stages(z, 1000, stages + first, 1, 5);
            CHECK_STATUS(r.status, TEMPERA_OK);
            CHECK_EQ_INT(r.token, 123);
            CHECK(r.logprob == 0);
        }
    }
}

// state-spaces/mamba#1041 (T = 0 divides by zero), thinking-machines-lab/tinker-cookbook#198
// (T = 0 is taken for T = 1), vllm-project/vllm#6719 (T = 0 is not reproducible),
// abetlen/llama-cpp-python#1484 (T = 0 overruled by a penalty of 0).
static void temperature_0_is_greedy(void)
{
    const struct tempera_stage stages[] = {tempera_stage_penalties(1, 0, 0, 64),
                                           tempera_stage_top_p(0.9f), tempera_stage_temperature(0)};
    for (size_t i = 0; i < 300; i++)
        z[i] = (float)(i * 37 % 101);
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct tempera_sample_result r = run_stages(z, 300, stages, 3, seed);
        CHECK_EQ_INT(r.token, 30); // 30 * 37 = 10 * 101 + 100, the first of three maxima
        CHECK(r.logprob == 0);
    }
}

// ------------------------------------------------------------------------------------------------
// NaN, infinities, degenerate rows

// meta-llama/llama#380 and hundreds more: "probability tensor contains either inf, nan or
// element < 0". QwenLM/Qwen3-TTS#355: f16 overflows to inf.
static void probabilities_are_probabilities(void)
{
    static const float values[] = {INFINITY, -INFINITY,       65504,  -65504, 0,
                                   -0.0f,    0x1.fffffep127f, -3e38f, 1e-45f};
    const struct tempera_stage stages[] = {tempera_stage_temperature(0.3f),
                                           tempera_stage_top_p(0.9f), tempera_stage_min_p(0.02f)};
    for (int round = 0; round < 5000; round++) {
        size_t n = 1 + check_random_below(20), n_stages = check_random_below(4);
        for (size_t i = 0; i < n; i++)
            z[i] = values[check_random_below(COUNT_OF(values))];
        struct tempera_sample_result r = probs_after(z, n, stages, n_stages);
        for (size_t i = 0; i < n; i++)
            CHECK(probs[i] >= 0 && probs[i] <= 1);
        if (r.status == TEMPERA_OK)
            CHECK_NEAR(total(probs, n), 1, (double)n * 0x1p-25);
        else
            CHECK(r.status == TEMPERA_ALL_MASKED && total(probs, n) == 0);
    }
}

// LostRuins/koboldcpp#398: typical crashes where tokens are banned. llama.cpp's takes p ln p of
// p = 0, so that the entropy is NaN.
static void typical_behind_bans(void)
{
    static const struct tempera_logit_bias bias[] = {{1, -INFINITY}, {3, -INFINITY}};
    static const int32_t banned[] = {5, 7};
    const float row[9] = {2, 9, 1, 8, 0, 7, -INFINITY, 3, -3e38f};
    const struct tempera_stage stages[] = {tempera_stage_logit_bias(bias, COUNT_OF(bias)),
                                           tempera_stage_ban(banned, COUNT_OF(banned)),
                                           tempera_stage_typical(0.9f)};
    struct tempera_sampler sampler = tempera_sampler_of(stages, COUNT_OF(stages));
    struct tempera_sample_row how = {.sampler = &sampler};
    struct tempera_sample_result result = probs_of_row(row, 9, &how, probs);
    // 0.665, 0.245, 0.090 are left: H = 0.832, nearest -ln p = 0.408, then 1.408.
    CHECK_EQ_U64(result.n_kept, 2);
    CHECK(probs[0] > 0 && probs[2] > 0 && probs[4] == 0 && probs[8] == 0);
    CHECK(isfinite(result.logprob));
}

// llama.cpp's graph version of dynamic temperature divides by 0 where low is 0 and so is the
// entropy.
static void dynamic_temperature_without_entropy(void)
{
    const float sure[4] = {0, 400, 0, 0}, ties[3] = {5, 5, 5};
    struct tempera_stage stage = tempera_stage_dynamic_temperature(0, 1.5f, 1);
    struct tempera_sample_result result = run_stage(sure, 4, stage, 1);
    CHECK_EQ_INT(result.token, 1);
    CHECK(result.logprob == 0);
    CHECK_EQ_U64(run_stage(ties, 3, stage, 1).n_kept, 3);
    CHECK_EQ_INT(run_stage(ties, 1, stage, 1).token, 0);
}

// ggml-org/llama.cpp#26651: all scores -inf is an abort. pytorch/pytorch#55056: it is NaN.
static void all_masked_is_a_status(void)
{
    for (size_t i = 0; i < 50; i++)
        z[i] = -INFINITY;
    const struct tempera_stage stages[] = {tempera_stage_temperature(0.5f), tempera_stage_top_k(5),
                                           tempera_stage_top_p(0.5f)};
    CHECK_STATUS(probs_after(z, 50, stages, 3).status, TEMPERA_ALL_MASKED);
    CHECK(total(probs, 50) == 0);
}

// llm.c's sampler takes exp of raw scores: large ones overflow, and the last token always wins.
static void scores_are_taken_from_their_maximum(void)
{
    const float high[3] = {1000, 1001, 999}, low[3] = {-1000, -999, -1001};
    float p[3];
    struct tempera_stage stage = tempera_stage_temperature(1);
    probs_after(high, 3, &stage, 1);
    memcpy(p, probs, sizeof p);
    probs_after(low, 3, &stage, 1);
    CHECK_MEM(probs, p, sizeof p);
    CHECK_ULP(p[1], 1 / (1 + exp(-1) + exp(-2)), 1);
}

// llama2.c: a top_p below 1/n on a nearly uniform row leaves no candidate and reads index -1.
static void top_p_below_1_over_n_keeps_one(void)
{
    for (size_t i = 0; i < 32000; i++)
        z[i] = (float)(i % 7) * 1e-6f;
    for (float p = 3e-5f; p > 1e-45f; p /= 3) {
        struct tempera_sample_result r = run_stage(z, 32000, tempera_stage_top_p(p), 3);
        CHECK_EQ_U64(r.n_kept, 1);
        CHECK_EQ_INT(r.token, 6);
    }
}

// ------------------------------------------------------------------------------------------------
// State

// ggml-org/llama.cpp's clones copy the ring of the penalties but not the counts.
static void a_clone_has_the_same_penalties(void)
{
    struct tempera_stage stage = tempera_stage_penalties(1.1f, 0.5f, 0.5f, 16);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    const int32_t history[20] = {7, 7, 7, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 1, 1, 1, 1, 2, 0, 0};
    struct tempera_sampler_state *state = new_state(&sampler, history, 20);
    struct tempera_sampler_state *clone = malloc(state->nbytes);
    memcpy(clone, state, state->nbytes);
    const float row[10] = {0};
    float p[10];
    struct tempera_sample_row how = {.sampler = &sampler, .state = clone, .seed = 2};
    for (int step = 0; step < 40; step++) {
        how.state = state;
        struct tempera_sample_result a = probs_of_row(row, 10, &how, p);
        how.state = clone;
        struct tempera_sample_result b = probs_of_row(row, 10, &how, probs);
        CHECK_MEM(probs, p, sizeof p);
        CHECK_MEM(&a, &b, sizeof a);
        tempera_sampler_accept(state, a.token, NULL);
        tempera_sampler_accept(clone, b.token, NULL);
    }
    tempera_sampler_accept(clone, 0, NULL); // and then it goes its own way
    CHECK_EQ_U64(clone->step, state->step + 1);
    free(clone);
    free(state);
}

// The tokens of `n` steps, with results accepted.
static void go_on(const struct tempera_sampler *sampler, struct tempera_sampler_state *state,
                  uint64_t seed, int32_t *tokens, size_t n)
{
    static float row_scores[50];
    for (size_t i = 0; i < 50; i++)
        row_scores[i] = (float)(i * i % 53) / 13;
    struct tempera_sample_row row = {.sampler = sampler, .state = state, .seed = seed};
    for (size_t i = 0; i < n; i++) {
        struct tempera_sample_result result = sample_row(row_scores, 50, &row);
        tokens[i] = result.token;
        CHECK_STATUS(tempera_sampler_accept(state, result.token, &result), TEMPERA_OK);
    }
}

// abetlen/llama-cpp-python#914: mirostat's threshold is lost between calls. koboldcpp: all requests
// share it. Here two texts in turns are as they are one after the other, and a text in pieces is as
// it is in one go.
static void what_was_learned_is_the_states(void)
{
    enum { STEPS = 60 };
    const struct tempera_stage feedback_stages[] = {tempera_stage_mirostat_1(2, 0.5f, 40),
                                                    tempera_stage_mirostat_2(2, 0.5f),
                                                    tempera_stage_adaptive_p(0.1f, 0.7f)};
    for (size_t s = 0; s < COUNT_OF(feedback_stages); s++) {
        struct tempera_sampler sampler = tempera_sampler_of(&feedback_stages[s], 1);
        int32_t alone[2][STEPS], in_turns[2][STEPS];
        struct tempera_sampler_state *states[2];
        for (uint64_t i = 0; i < 2; i++) {
            states[i] = new_state(&sampler, NULL, 0);
            go_on(&sampler, states[i], i, alone[i], STEPS);
            CHECK_STATUS(tempera_sampler_state_init(states[i], states[i]->nbytes, &sampler),
                         TEMPERA_OK);
        }
        for (size_t step = 0; step < STEPS; step++)
            for (uint64_t i = 0; i < 2; i++)
                go_on(&sampler, states[i], i, &in_turns[i][step], 1);
        CHECK_MEM(in_turns, alone, sizeof alone);
        CHECK(states[0]->level != states[1]->level);
        // It matters: from where learning begins, the distribution would be another.
        struct tempera_sampler_state *fresh = new_state(&sampler, NULL, 0);
        fresh->step = STEPS;
        go_on(&sampler, fresh, 0, in_turns[0], 1);
        go_on(&sampler, states[0], 0, alone[0], 1);
        CHECK(fresh->level != states[0]->level);
        free(fresh);
        free(states[0]);
        free(states[1]);
    }
}

// ggml-org/llama.cpp's clones of mirostat write to the source, those of adaptive-p lose what they
// need for the next step. Clones go on as the original does, and leave it alone.
static void a_clone_has_learned_the_same(void)
{
    const struct tempera_stage feedback_stages[] = {tempera_stage_mirostat_1(2, 0.5f, 40),
                                                    tempera_stage_mirostat_2(2, 0.5f),
                                                    tempera_stage_adaptive_p(0.1f, 0.7f)};
    for (size_t s = 0; s < COUNT_OF(feedback_stages); s++) {
        struct tempera_sampler sampler = tempera_sampler_of(&feedback_stages[s], 1);
        struct tempera_sampler_state *state = new_state(&sampler, NULL, 0), clone, original;
        int32_t tokens[40], other[40];
        CHECK_EQ_U64(state->nbytes, sizeof clone);
        go_on(&sampler, state, 3, tokens, 40);
        clone = original = *state;
        go_on(&sampler, &clone, 3, other, 40);
        CHECK_MEM(state, &original, sizeof original);
        go_on(&sampler, state, 3, tokens, 40);
        CHECK_MEM(other, tokens, sizeof tokens);
        CHECK_MEM(&clone, state, sizeof clone);
        free(state);
    }
}

// ln(p_i / p_j) after penalties: what was added to one score, less what was added to the other.
static double change_of(const struct tempera_stage *stage, const int32_t *history, size_t count,
                        const float *row, size_t n, size_t i)
{
    struct tempera_stage off = tempera_stage_penalties(1, 0, 0, stage->u.penalties.window);
    struct tempera_sampler sampler = tempera_sampler_of(stage, 1);
    struct tempera_sampler without = tempera_sampler_of(&off, 1);
    struct tempera_sampler_state *state = new_state(&sampler, history, count);
    struct tempera_sample_row how = {.sampler = &without, .state = state};
    probs_of_row(row, n, &how, probs);
    double before = log((double)probs[i] / (double)probs[0]);
    how.sampler = &sampler;
    probs_of_row(row, n, &how, probs);
    free(state);
    return log((double)probs[i] / (double)probs[0]) - before;
}

// abetlen/llama-cpp-python#1295: the wrong window. ollama/ollama#10771: presence is taken from
// frequency. ollama/ollama#15783: penalties are accepted and ignored.
static void penalties_do_what_they_say(void)
{
    const float row[6] = {0, 2, -2, 1, 1, 1};
    const int32_t history[] = {5, 4, 1, 2, 1, 3, 1}; // a window of 5 has forgotten 5 and 4
    const double presence = 0.25, frequency = 0.125;
    const struct {
        struct tempera_stage stage;
        double change[6];
    } cases[] = {
        {tempera_stage_penalties(1, 0.25f, 0, 5), {0, -presence, -presence, -presence, 0, 0}},
        {tempera_stage_penalties(1, 0, 0.125f, 5),
         {0, -3 * frequency, -frequency, -frequency, 0, 0}},
        {tempera_stage_penalties(2, 0, 0, 5), {0, 2 / 2.0 - 2, -2 * 2.0 + 2, 1 / 2.0 - 1, 0, 0}},
        {tempera_stage_penalties(2, 0.25f, 0.125f, 7),
         {0, -1 - presence - 3 * frequency, -2 - presence - frequency, -0.5 - presence - frequency,
          -0.5 - presence - frequency, -0.5 - presence - frequency}},
        {tempera_stage_penalties(2, 0.25f, 0.125f, 1), {0, -1 - presence - frequency, 0, 0, 0, 0}},
        {tempera_stage_penalties(2, 0.25f, 0.125f, 100),
         {0, -1 - presence - 3 * frequency, -2 - presence - frequency, -0.5 - presence - frequency,
          -0.5 - presence - frequency, -0.5 - presence - frequency}},
    };
    for (size_t c = 0; c < COUNT_OF(cases); c++)
        for (size_t i = 0; i < 6; i++)
            CHECK_NEAR(change_of(&cases[c].stage, history, 7, row, 6, i), cases[c].change[i], 1e-6);
}

// ggml-org/llama.cpp#9356: a window of 0 is a crash.
static void a_window_of_0_is_off(void)
{
    const float row[3] = {1, 2, 3};
    const int32_t history[] = {2, 2, 1};
    struct tempera_stage stage = tempera_stage_penalties(2, 1, 1, 0);
    for (size_t i = 0; i < 3; i++)
        CHECK(change_of(&stage, history, 3, row, 3, i) == 0);
}

// mybigday/llama.rn#401: a crash by logit bias, and probabilities from before it.
static void logit_bias_shows_in_the_probabilities(void)
{
    const float row[4] = {2, -1, 1, 0.5f};
    const struct tempera_logit_bias entries[] = {{1, 3}, {2, -INFINITY}, {1, 0.5f}, {2, 100}};
    struct tempera_stage stage = tempera_stage_logit_bias(entries, 4);
    const double sum = exp(2) + exp(2.5) + exp(0.5);
    struct tempera_sample_result r = probs_after(row, 4, &stage, 1);
    CHECK_ULP(probs[0], exp(2) / sum, 1);
    CHECK_ULP(probs[1], exp(2.5) / sum, 1);
    CHECK(probs[2] == 0);
    CHECK_NEAR(r.logprob, log((double)probs[r.token]), 1e-6);
    // Finite biases beyond the floats neither ban nor become NaN.
    const struct tempera_logit_bias huge[] = {{0, 3e38f}, {0, 3e38f}, {1, -3e38f}, {1, -3e38f}};
    stage = tempera_stage_logit_bias(huge, 4);
    r = probs_after(row, 4, &stage, 1);
    CHECK_STATUS(r.status, TEMPERA_OK);
    CHECK_EQ_INT(r.token, 0);
    CHECK_EQ_U64(r.n_kept, 4);
}

// ------------------------------------------------------------------------------------------------
// Log-probabilities

// vllm-project/vllm#9453: logprobs change with the sampling parameters; ollama/ollama#16196: or
// not, when they should. Here one call gives both.
static void raw_logprobs_are_those_of_log_softmax(void)
{
    const struct tempera_logit_bias bias = {4, 5};
    const struct tempera_stage stages[] = {tempera_stage_logit_bias(&bias, 1),
                                           tempera_stage_temperature(0.4f), tempera_stage_top_k(10),
                                           tempera_stage_top_p(0.9f), tempera_stage_temperature(0)};
    const uint32_t mask[4] = {0xFF00FF77, 0x12345678, 0xFFFFFFFF, 0x0F};
    for (uint64_t round = 0; round < 600; round++) {
        size_t n = 5 + check_random_below(95), n_stages = round % 6;
        for (size_t i = 0; i < n; i++)
            z[i] = (float)check_random_between(-6, 6);
        struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
        struct tempera_sample_row how = {
            .sampler = &sampler, .seed = round, .want = TEMPERA_WANT_RAW_LOGPROB};
        struct tempera_softmax_options options = tempera_softmax_options_default();
        if (round % 2) {
            how.mask = options.mask = mask;
            how.mask_nbits = (uint32_t)n;
        }
        struct tempera_sample_result r = sample_row(z, n, &how);
        struct tempera_matrix in = tempera_matrix_f32(z, 1, n);
        struct tempera_matrix out = tempera_matrix_f32(probs, 1, n);
        CHECK_STATUS(tempera_log_softmax(&in, &options, &out, NULL, NULL), TEMPERA_OK);
        CHECK_MEM(&r.raw_logprob, &probs[r.token], sizeof(float));
    }
}

// ggml-org/llama.cpp#10783: probabilities under the name of logprobs; #7203: the wrong ones at
// T = 0.
static void logprobs_are_logarithms(void)
{
    const float row[3] = {1, 2, 0};
    const double p1 = exp(1) / (1 + exp(1) + exp(-1)); // of token 1, in units of e
    struct tempera_sample_result r = run_stage(row, 3, tempera_stage_temperature(0), 1);
    CHECK_EQ_INT(r.token, 1);
    CHECK(r.logprob == 0);
    CHECK_ULP(r.raw_logprob, log(p1), 1);
}

// huggingface/trl#4159: rollouts with logprobs at T = 1, training with logprobs at T.
// PrimeIntellect-ai/prime-rl#697: "we scaled logprobs, not logits oops".
static void logprobs_are_at_the_temperature(void)
{
    const float row[3] = {1, 2, 0};
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct tempera_sample_result r = run_stage(row, 3, tempera_stage_temperature(0.5f), seed);
        double sum = exp(2) + exp(4) + exp(0);
        CHECK_ULP(r.logprob, (double)row[r.token] / 0.5 - log(sum), 1);
    }
}

// genlm/genlm-backend#66: log-softmax in bf16 loses 13 % of the probability of the tail.
static void logprobs_of_the_tail_are_right(void)
{
    for (size_t i = 0; i < WIDE; i++)
        z[i] = i == 0 ? 9 : -(float)(i % 16) * 0.125f;
    long double sum = 0;
    for (size_t i = 0; i < WIDE; i++)
        sum += expl((long double)z[i] - 9);
    struct tempera_sampler sampler = tempera_sampler_of(NULL, 0);
    size_t n_tail = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct tempera_sample_row how = {
            .sampler = &sampler, .seed = seed, .want = TEMPERA_WANT_RAW_LOGPROB};
        struct tempera_sample_result r = sample_row(z, WIDE, &how);
        double exact = (double)((long double)z[r.token] - 9 - logl(sum));
        CHECK_ULP(r.logprob, exact, 1);
        CHECK_ULP(r.raw_logprob, exact, 1);
        n_tail += r.token > 0;
    }
    CHECK(n_tail > 0);
}

// ------------------------------------------------------------------------------------------------
// Seeds. vllm-project/vllm#51226 (a seeded request changes with its neighbours in the batch) is
// tests/sampler/test_sampler.c: "a row's result does not depend on its batch".

// ggml-org/llama.cpp#8593, #6955, abetlen/llama-cpp-python#1809: the seed shown is not the one
// used, is ignored, or has values that mean something else.
static void every_seed_is_just_a_seed(void)
{
    const uint64_t seeds[] = {0, 1, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX, 1u << 31};
    int32_t tokens[COUNT_OF(seeds)];
    for (size_t i = 0; i < 10000; i++)
        z[i] = 0;
    for (size_t i = 0; i < COUNT_OF(seeds); i++) {
        tokens[i] = run_stage(z, 10000, tempera_stage_temperature(1), seeds[i]).token;
        CHECK_EQ_INT(run_stage(z, 10000, tempera_stage_temperature(1), seeds[i]).token, tokens[i]);
        for (size_t j = 0; j < i; j++)
            CHECK(tokens[i] != tokens[j]);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"extreme bits give no unlikely token", extreme_bits_give_no_unlikely_token},
        {"forbidden tokens are never drawn", forbidden_tokens_are_never_drawn},
        {"running sums do not saturate", running_sums_do_not_saturate},
        {"top-p near 1 ends within the row", top_p_near_1_ends_within_the_row},
        {"ties on the border of the nucleus are cut by id", ties_on_the_border_of_the_nucleus},
        {"top-k of 1 is greedy", top_k_1_is_greedy},
        {"the token that reaches top-p stays", the_token_that_reaches_top_p_stays},
        {"top-p before and after T keep different tokens", the_order_is_the_callers},
        {"tokens are always ids of the row", tokens_are_always_ids_of_the_row},
        {"min-p of 1 keeps the maxima", min_p_1_keeps_the_maxima},
        {"tiny T and top-p give numbers", tiny_temperature_and_top_p_give_numbers},
        {"T = 0 is greedy", temperature_0_is_greedy},
        {"probabilities lie in [0, 1] on degenerate rows", probabilities_are_probabilities},
        {"typical after bans looks at what is left", typical_behind_bans},
        {"dynamic temperature without entropy gives numbers", dynamic_temperature_without_entropy},
        {"a row with every token masked gives ALL_MASKED", all_masked_is_a_status},
        {"scores near 1000 and -1000 give the same probabilities",
         scores_are_taken_from_their_maximum},
        {"top-p below 1/n keeps one", top_p_below_1_over_n_keeps_one},
        {"a clone has the same penalties", a_clone_has_the_same_penalties},
        {"texts sampled in turns keep their feedback apart", what_was_learned_is_the_states},
        {"a clone has learned the same", a_clone_has_learned_the_same},
        {"each penalty changes the tokens of its window by its formula",
         penalties_do_what_they_say},
        {"a window of 0 is off", a_window_of_0_is_off},
        {"logit bias shows in the probabilities", logit_bias_shows_in_the_probabilities},
        {"raw logprobs are those of log-softmax", raw_logprobs_are_those_of_log_softmax},
        {"at T = 0, logprob is 0 and raw logprob is ln p", logprobs_are_logarithms},
        {"logprobs are at the temperature", logprobs_are_at_the_temperature},
        {"logprobs of the tail are right", logprobs_of_the_tail_are_right},
        {"a seed repeats its token, 0 and 2^64 - 1 too", every_seed_is_just_a_seed},
    };
    return CHECK_RUN(tests, argc, argv);
}
