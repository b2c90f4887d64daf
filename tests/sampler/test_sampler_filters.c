// SPDX-License-Identifier: MIT
// Every filter at its borders: the values that switch it off, those next to them, and rows made
// so that what has to stay is known.
#include "sampler_setup.h"

static float z[1001], probs[1001];

static uint64_t kept_by(size_t n, struct tempera_stage stage)
{
    return run_stage(z, n, stage, 0).n_kept;
}

static void borders_of_ranks(void)
{
    for (size_t i = 0; i < 1000; i++)
        z[i] = 0;
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_p(0)), 1);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_p(1e-40f)), 1);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_p(0x1p-149f)), 1);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_p(0.0011f)), 2);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_p(0.5f)), 500);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_p(1)), 1000);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_p(nextafterf(1, 0))), 1000);
    // The floats 0.8f and 0.3f lie above what they stand for, 0.7f and 0.9f below.
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_p(0.8f)), 800);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_p(0.3f)), 300);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_p(0.7f)), 700);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_p(0.9f)), 900);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_k(0)), 1000);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_k(7)), 7);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_k(1000)), 1000);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_k(INT32_MAX)), 1000);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_min_p(0)), 1000);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_min_p(1)), 1000);
    z[500] = 1;
    CHECK_EQ_U64(kept_by(1000, tempera_stage_min_p(1)), 1);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_min_p(0.36f)), 1000); // e^-1 = 0.3679
    CHECK_EQ_U64(kept_by(1000, tempera_stage_min_p(0.37f)), 1);
    CHECK_EQ_U64(kept_by(1, tempera_stage_top_k(1)), 1);
    CHECK_EQ_U64(kept_by(1, tempera_stage_top_p(0)), 1);
}

// Of k equal tokens each has 1/k, whatever the parameter was rounded to; nothing removes the ties
// at the maximum.
static void borders_of_thresholds(void)
{
    for (size_t i = 0; i < 1000; i++)
        z[i] = 0.75f;
    for (size_t k = 1; k <= 1000; k++) {
        CHECK_EQ_U64(kept_by(k, tempera_stage_epsilon(1.0f / (float)k)), k);
        CHECK_EQ_U64(kept_by(k, tempera_stage_p_less()), k);
    }
    const struct tempera_stage all_stay[] = {
        tempera_stage_epsilon(0),
        tempera_stage_epsilon(1),
        tempera_stage_eta(0),
        tempera_stage_eta(1),
        tempera_stage_top_a(0),
        tempera_stage_top_a(1),
        tempera_stage_top_n_sigma(0),
        tempera_stage_top_n_sigma(INFINITY),
        tempera_stage_top_n_sigma(1e-45f),
        tempera_stage_p_less(),
        tempera_stage_tail_free(0),
        tempera_stage_tail_free(1),
    };
    for (size_t i = 0; i < COUNT_OF(all_stay); i++) {
        CHECK_EQ_U64(kept_by(1000, all_stay[i]), 1000);
        CHECK_EQ_U64(kept_by(1, all_stay[i]), 1);
    }
    z[500] = 1;
    // p of the largest is e^0.25 / (e^0.25 + 999) = 0.0012837, of the others 0.00099972
    CHECK_EQ_U64(kept_by(1000, tempera_stage_epsilon(0.0009997f)), 1000);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_epsilon(0.0009998f)), 1);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_epsilon(0x1p-149f)), 1000);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_epsilon(1)), 1);
    // sqrt(e) exp(-H) = sqrt(e) / 999.97
    CHECK_EQ_U64(kept_by(1000, tempera_stage_eta(0.999f)), 1000);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_eta(1)), 1);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_a(1)), 1000); // a p_max^2 is 1.6e-6
    // sum of p^2 = 0.00100007
    CHECK_EQ_U64(kept_by(1000, tempera_stage_p_less()), 1);
    // sigma = 0.0079: the others lie 31.6 sigma below
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_n_sigma(31.6f)), 1);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_n_sigma(31.7f)), 1000);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_n_sigma(0)), 1);
    const float two[2] = {6, 0}; // sigma = 3, exactly
    CHECK_EQ_U64(run_stage(two, 2, tempera_stage_top_n_sigma(2), 0).n_kept, 2);
    CHECK_EQ_U64(run_stage(two, 2, tempera_stage_top_n_sigma(nextafterf(2, 0)), 0).n_kept, 1);
    z[500] = 20; // top-a: p_max is 1 - 2e-6, the others are 2e-9 of it
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_a(4.2e-9f)), 1000);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_a(4.5e-9f)), 1);
}

static void borders_of_typical(void)
{
    for (size_t i = 0; i < 1000; i++)
        z[i] = i % 2 ? -0.0f : 0.0f;
    CHECK_EQ_U64(kept_by(1000, tempera_stage_typical(1)), 1000);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_typical(0.8f)), 800);
    CHECK_EQ_U64(kept_by(1000, tempera_stage_typical(0)), 1);
    CHECK_EQ_U64(kept_by(1, tempera_stage_typical(0)), 1);
    // By id among ties, the zeros of both signs being ties.
    struct tempera_stage stage = tempera_stage_typical(0.3f);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_sample_row row = {.sampler = &sampler};
    CHECK_EQ_U64(probs_of_row(z, 1000, &row, probs).n_kept, 300);
    for (size_t i = 0; i < 1000; i++)
        CHECK((probs[i] > 0) == (i < 300));
    for (size_t i = 0; i < 1000; i++)
        z[i] = -z[i]; // now the maximum is the other zero
    CHECK_EQ_U64(probs_of_row(z, 1000, &row, probs).n_kept, 300);
    for (size_t i = 0; i < 1000; i++)
        CHECK((probs[i] > 0) == (i < 300));
    // A token with half the mass and 1000 with the rest: H lies between, nearer to the many, so the
    // maximum goes; what comes next starts from the new one.
    for (size_t i = 0; i < 1001; i++)
        z[i] = 0;
    z[700] = 6.9f;
    const struct tempera_stage then[] = {tempera_stage_typical(0.4f), tempera_stage_min_p(0.5f),
                                         tempera_stage_temperature(0)};
    CHECK(run_stages(z, 1001, then, 1, 0).n_kept > 750);
    CHECK(run_stages(z, 1001, then, 2, 0).n_kept == run_stages(z, 1001, then, 1, 0).n_kept);
    CHECK_EQ_INT(run_stages(z, 1001, then, 3, 0).token, 0);
}

static void borders_of_tail_free(void)
{
    // Masses of 1, 1/2, 1/4, 1/8, 1/16, 0 bend by 1/4, 1/8, 1/16, 0: 6/7 of it by the first two.
    const float ln2 = 0.6931472f, row[6] = {0, -ln2, -2 * ln2, -3 * ln2, -4 * ln2, -1000};
    const struct {
        float share;
        uint64_t kept;
    } expected[] = {{0, 1}, {0.5f, 1}, {0.85f, 1}, {0.86f, 2}, {0.99f, 2}, {1, 6}};
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        CHECK_EQ_U64(run_stage(row, 6, tempera_stage_tail_free(expected[i].share), 0).n_kept,
                     expected[i].kept);
    for (size_t n = 1; n <= 3; n++) // too few for a second difference after the first
        CHECK_EQ_U64(run_stage(row, n, tempera_stage_tail_free(0), 0).n_kept, n);
}

static void borders_of_top_h(void)
{
    // 1/2, 1/4, 1/8 and 1/8: of 1.75 bits they have 0.5, 0.5, 0.375 and 0.375, in this order.
    const float ln2 = 0.6931472f, row[4] = {-3 * ln2, -ln2, -2 * ln2, -3 * ln2};
    const struct {
        float share;
        uint64_t kept;
    } expected[] = {{0, 1},     {0.2f, 1},    {0.285f, 1},  {0.57f, 1},      {0.572f, 2},
                    {0.78f, 2}, {0.7858f, 3}, {0.9999f, 3}, {0.9999999f, 3}, {1, 4}};
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        CHECK_EQ_U64(run_stage(row, 4, tempera_stage_top_h(expected[i].share), 0).n_kept,
                     expected[i].kept);
    struct tempera_stage stage = tempera_stage_top_h(0.7858f);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_sample_row how = {.sampler = &sampler};
    probs_of_row(row, 4, &how, probs);
    CHECK(probs[0] > 0 && probs[3] == 0); // ties by id
    // Equal tokens have equal shares, whatever the parameter was rounded to.
    for (size_t i = 0; i < 1000; i++)
        z[i] = i % 2 ? -0.0f : 0.0f;
    for (int percent = 1; percent <= 100; percent++)
        CHECK_EQ_U64(kept_by(1000, tempera_stage_top_h((float)percent / 100)),
                     (uint64_t)(10 * percent));
    CHECK_EQ_U64(kept_by(1000, tempera_stage_top_h(0)), 1);
    CHECK_EQ_U64(kept_by(1, tempera_stage_top_h(0)), 1);
    CHECK_EQ_U64(kept_by(2, tempera_stage_top_h(0.3f)), 1);
    // One token has all: no entropy is left to cut.
    z[300] = 1000;
    CHECK_EQ_INT(run_stage(z, 1000, tempera_stage_top_h(0.5f), 0).token, 300);
    const struct tempera_stage greedy[] = {tempera_stage_temperature(0), tempera_stage_top_h(0)};
    CHECK_EQ_U64(run_stages(z, 1000, greedy, 2, 0).n_kept, 1);
    const struct tempera_stage even[] = {tempera_stage_temperature(INFINITY),
                                         tempera_stage_top_h(0.7f)};
    CHECK_EQ_U64(run_stages(z, 1000, even, 2, 0).n_kept, 700);
}

static void borders_of_xtc(void)
{
    const float row[4] = {logf(0.1f), logf(0.4f), logf(0.2f), logf(0.3f)};
    const struct {
        float probability, threshold;
        uint64_t kept;
    } expected[] = {{1, 0.15f, 2}, {1, 0.2f, 2},  {1, 0.201f, 3}, {1, 0.3f, 3}, {1, 0.35f, 4},
                    {1, 0, 1},     {1, 0.09f, 1}, {1, 0.5f, 4},   {1, 1, 4},    {0, 0.15f, 4}};
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        struct tempera_stage stage =
            tempera_stage_xtc(expected[i].probability, expected[i].threshold);
        CHECK_EQ_U64(run_stage(row, 4, stage, 0).n_kept, expected[i].kept);
        CHECK_EQ_U64(run_stage(row, 1, stage, 0).n_kept, 1);
    }
    // Later stages take the new maximum.
    const struct tempera_stage then[] = {tempera_stage_xtc(1, 0.15f), tempera_stage_min_p(0.6f)};
    CHECK_EQ_INT(run_stages(row, 4, then, 2, 0).token, 2);
    // Who is spared stays, whether it would have gone or not.
    const int32_t spared[] = {0, 1, 1};
    struct tempera_stage stage = tempera_stage_xtc(1, 0.15f); // 1 and 3 would go
    stage.u.xtc.spared = (struct tempera_token_list){spared, 3};
    CHECK_EQ_U64(run_stage(row, 4, stage, 0).n_kept, 3);
    const struct tempera_stage greedy[] = {stage, tempera_stage_temperature(0)};
    CHECK_EQ_INT(run_stages(row, 4, greedy, 2, 0).token, 1);
    CHECK_EQ_U64(run_stage(row, 4, tempera_stage_keeping(stage, 3), 0).n_kept, 3);
    CHECK_EQ_U64(run_stage(row, 4, tempera_stage_keeping(stage, 4), 0).n_kept, 4);
    stage.u.xtc.threshold = 0.35f; // of one top choice nothing goes
    CHECK_EQ_U64(run_stage(row, 4, stage, 0).n_kept, 4);
    // Of ties the last by id stays.
    const float ties[4] = {0, -0.0f, 0, -0.0f};
    CHECK_EQ_INT(run_stage(ties, 4, tempera_stage_xtc(1, 0.25f), 0).token, 3);
    CHECK_EQ_U64(run_stage(ties, 4, tempera_stage_xtc(1, 0.25f), 0).n_kept, 1);
}

// As often as it says, each stage by a coin of its own, and without a word to the draw.
static void coins_of_xtc(void)
{
    enum { N = 40000 };
    const float row[2] = {0, 0};
    const struct tempera_stage stages[] = {tempera_stage_xtc(0.3f, 0.4f),
                                           tempera_stage_xtc(0.3f, 0.4f)};
    size_t once = 0, twice = 0, zeros = 0;
    for (uint64_t seed = 0; seed < N; seed++) {
        struct tempera_sample_result one = run_stages(row, 2, stages, 1, seed);
        once += one.n_kept == 1;
        twice += run_stages(row, 2, stages, 2, seed).n_kept == 1;
        zeros += one.n_kept == 2 && one.token == 0;
    }
    // Within five standard deviations of N p.
    CHECK_NEAR((double)once, 0.3 * N, 5 * sqrt(0.3 * 0.7 * N));
    CHECK_NEAR((double)twice, 0.51 * N, 5 * sqrt(0.51 * 0.49 * N));
    CHECK_NEAR((double)zeros, 0.35 * N, 5 * sqrt(0.35 * 0.65 * N));
}

// ------------------------------------------------------------------------------------------------
// At least so many

static void min_keep(void)
{
    const struct tempera_stage strict[] = {
        tempera_stage_top_k(1),     tempera_stage_top_p(0), tempera_stage_min_p(1),
        tempera_stage_epsilon(1),   tempera_stage_eta(1),   tempera_stage_top_a(1),
        tempera_stage_tail_free(0), tempera_stage_p_less(), tempera_stage_top_n_sigma(0),
        tempera_stage_typical(0),   tempera_stage_top_h(0),
    };
    // What lies far below has no mass, and is kept all the same.
    for (size_t i = 0; i < 1000; i++)
        z[i] = i % 3 ? -1000.0f * (float)(i % 7) : 0;
    z[500] = 1;
    for (size_t s = 0; s < COUNT_OF(strict); s++) {
        struct tempera_stage stage = strict[s];
        uint64_t alone = kept_by(1000, stage);
        CHECK_EQ_U64(kept_by(1000, tempera_stage_keeping(stage, 1)), alone);
        for (uint32_t n = 2; n <= 1002; n += n < 10 ? 1 : 31)
            CHECK_EQ_U64(kept_by(1000, tempera_stage_keeping(stage, n)), n < alone  ? alone
                                                                         : n < 1000 ? n
                                                                                    : 1000);
        CHECK_EQ_U64(kept_by(1000, tempera_stage_keeping(stage, UINT32_MAX)), 1000);
        CHECK_EQ_U64(kept_by(1, tempera_stage_keeping(stage, 5)), 1);
    }
    // Of ties the lower ids.
    for (size_t i = 0; i < 10; i++)
        z[i] = i == 6;
    struct tempera_stage stage = tempera_stage_keeping(tempera_stage_min_p(1), 4);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_sample_row row = {.sampler = &sampler};
    CHECK_EQ_U64(probs_of_row(z, 10, &row, probs).n_kept, 4);
    for (size_t i = 0; i < 10; i++)
        CHECK((probs[i] > 0) == (i < 3 || i == 6));
    // What is off stays off, and what is looser than that isn't touched.
    CHECK_EQ_U64(kept_by(10, tempera_stage_keeping(tempera_stage_top_k(0), 4)), 10);
    CHECK_EQ_U64(kept_by(10, tempera_stage_keeping(tempera_stage_top_k(7), 4)), 7);
    // XTC leaves out nothing rather than too much.
    CHECK_EQ_U64(kept_by(10, tempera_stage_keeping(tempera_stage_xtc(1, 0.05f), 1)), 1);
    CHECK_EQ_U64(kept_by(10, tempera_stage_keeping(tempera_stage_xtc(1, 0.05f), 2)), 10);
    CHECK_EQ_U64(kept_by(3, tempera_stage_keeping(tempera_stage_xtc(1, 0.05f), 3)), 3);
}

// ------------------------------------------------------------------------------------------------
// Temperatures that depend on the row

static void dynamic_temperature(void)
{
    // low = high is a temperature, bit for bit.
    for (size_t i = 0; i < 100; i++)
        z[i] = (float)check_random_between(-3, 3);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct tempera_sample_result a =
            run_stage(z, 100, tempera_stage_dynamic_temperature(0.7f, 0.7f, 2), seed);
        struct tempera_sample_result b = run_stage(z, 100, tempera_stage_temperature(0.7f), seed);
        CHECK_MEM(&a, &b, sizeof a);
    }
    // Two tokens of 3/4 and 1/4: H / ln 2 = 0.8112781, squared 0.6581722.
    const float row[2] = {logf(3), 0};
    struct tempera_stage stage = tempera_stage_dynamic_temperature(0.5f, 2, 2);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_sample_row how = {.sampler = &sampler};
    probs_of_row(row, 2, &how, probs);
    CHECK_NEAR(probs[1], 1 / (1 + pow(3, 1 / (0.5 + 1.5 * 0.6581722))), 1e-6);
    stage = tempera_stage_dynamic_temperature(0.5f, 2, 0); // y^0 = 1: always high
    probs_of_row(row, 2, &how, probs);
    CHECK_NEAR(probs[1], 1 / (1 + sqrt(3)), 1e-6);
    // No entropy: low, which may be 0; one token has no scale to measure it by.
    const float sure[3] = {0, 500, 0};
    CHECK_EQ_U64(run_stage(sure, 3, tempera_stage_dynamic_temperature(0, 2, 1), 0).n_kept, 1);
    CHECK_EQ_U64(run_stage(sure, 3, tempera_stage_dynamic_temperature(0, 2, 0), 0).n_kept, 3);
    CHECK_EQ_INT(run_stage(sure, 1, tempera_stage_dynamic_temperature(0, 2, 1), 0).token, 0);
}

static void smoothing(void)
{
    static float plain[100];
    const float curves[] = {1, 2, 3};
    for (size_t k = 0; k < COUNT_OF(curves); k++) {
        double c = (double)curves[k];
        for (size_t i = 0; i < 100; i++) {
            double d = -0.04 * (double)i;
            z[i] = 1 + (float)d;
            d = (double)z[i] - 1;
            plain[i] = (float)(1 + 0.4 * d * d * ((c - 1) / 2 * d - (3 - c) / 2));
        }
        struct tempera_stage stage = tempera_stage_smoothing(0.4f, curves[k]);
        struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
        struct tempera_sample_row row = {.sampler = &sampler};
        static float expected[100];
        probs_of_row(z, 100, &row, probs);
        stage = tempera_stage_temperature(1);
        probs_of_row(plain, 100, &row, expected);
        for (size_t i = 0; i < 100; i++)
            CHECK_NEAR(probs[i], (double)expected[i], 2e-6 * (double)expected[i]);
    }
    // Nothing is lost below the floats, or where T is next to nothing.
    const float far[3] = {3e38f, -3e38f, 2.9e38f};
    const struct tempera_stage tiny[] = {
        tempera_stage_temperature(1e-38f), tempera_stage_temperature(1e-38f),
        tempera_stage_temperature(1e-38f), tempera_stage_temperature(1e-38f),
        tempera_stage_smoothing(1, 1),     tempera_stage_temperature(INFINITY)};
    CHECK_EQ_U64(run_stage(far, 3, tempera_stage_smoothing(3e38f, 2), 0).n_kept, 3);
    CHECK_EQ_INT(run_stage(far, 3, tempera_stage_smoothing(3e38f, 2), 0).token, 0);
    CHECK_EQ_U64(run_stages(far, 3, tiny, COUNT_OF(tiny), 0).n_kept, 3);
    CHECK_EQ_INT(run_stages(far, 3, tiny, COUNT_OF(tiny) - 1, 0).token, 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"top-k, top-p and min-p cut at their borders", borders_of_ranks},
        {"thresholds cut at their borders", borders_of_thresholds},
        {"typical cuts at its borders", borders_of_typical},
        {"top-H cuts at its borders", borders_of_top_h},
        {"tail-free cuts at its borders", borders_of_tail_free},
        {"XTC cuts at its borders", borders_of_xtc},
        {"XTC's coins fall as often as they should", coins_of_xtc},
        {"min_keep keeps the most likely", min_keep},
        {"dynamic temperature is the formula", dynamic_temperature},
        {"smoothing is the formula", smoothing},
    };
    return CHECK_RUN(tests, argc, argv);
}
