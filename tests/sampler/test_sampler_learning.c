// SPDX-License-Identifier: MIT
// The stages that learn, at their borders and in the long run: what they keep is known for small
// rows, and what they steer comes to its target.
#include "sampler_setup.h"

enum { N = 200, STEPS = 4000 };

static float z[N], probs[N];

static void set_row(float value)
{
    for (size_t i = 0; i < N; i++)
        z[i] = value;
}

// One row at a level.
static struct tempera_sample_result at_level(const float *row, size_t n, struct tempera_stage stage,
                                             double level)
{
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_sampler_state *state = new_state(&sampler, NULL, 0);
    state->level = level;
    struct tempera_sample_row how = {.sampler = &sampler, .state = state};
    struct tempera_sample_result result = probs_of_row(row, n, &how, probs);
    free(state);
    return result;
}

// ------------------------------------------------------------------------------------------------
// Mirostat

static void mirostat_2(void)
{
    const float ln2 = 0.6931472f, row[4] = {-3 * ln2, -ln2, -3 * ln2, -2 * ln2};
    const struct {
        float tau;
        uint64_t kept;
    } cases[] = {{0, 1}, {0.5f, 1}, {0.9f, 1}, {1, 2}, {1.45f, 2}, {1.5f, 4}, {3e38f, 4}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) // without a state, mu is 2 tau
        CHECK_EQ_U64(run_stage(row, 4, tempera_stage_mirostat_2(cases[i].tau, 0), 0).n_kept,
                     cases[i].kept);
    struct tempera_stage stage = tempera_stage_mirostat_2(1, 0.5f);
    CHECK_EQ_U64(at_level(row, 4, stage, 3).n_kept, 4);
    CHECK_EQ_U64(at_level(row, 4, stage, 2.9).n_kept, 2);
    CHECK_EQ_U64(at_level(row, 4, stage, -1e300).n_kept, 1);
    CHECK_EQ_U64(at_level(row, 4, tempera_stage_keeping(stage, 3), -1).n_kept, 3);
    // One token has no surprise, so that mu rises by eta tau.
    struct tempera_sample_result one = at_level(row, 4, stage, 1);
    CHECK_EQ_U64(one.n_kept, 1);
    CHECK(one.level == 1.5);
    CHECK_EQ_INT(run_stage(row, 1, stage, 0).token, 0);
    // 1/2 and 1/4 are left: 2/3 has a surprise of 0.585 bits, 1/3 of 1.585.
    struct tempera_sample_result two = at_level(row, 4, stage, 2);
    CHECK_NEAR(two.level, 2 - 0.5 * (log2(two.token == 1 ? 1.5 : 3) - 1), 1e-6);
    // Ties stay together, and the maximum always.
    set_row(2);
    CHECK_EQ_U64(at_level(z, N, stage, 0.5).n_kept, N);
    // Equal tokens of p = 2^-mu stay, whatever was rounded.
    for (size_t n = 2; n <= N; n++) {
        z[0] = 2 + 0x1p-20f;
        double mu = log2((double)n);
        CHECK_EQ_U64(at_level(z + 1, n - 1, stage, log2((double)(n - 1))).n_kept, n - 1);
        CHECK_EQ_U64(at_level(z, n, stage, mu - 1e-3).n_kept, 1);
        CHECK_EQ_U64(at_level(z, n, stage, mu + 1e-3).n_kept, n);
    }
}

// Rows of Zipf's law have the exponent that is estimated from them.
static void mirostat_1(void)
{
    const double exponents[] = {0.3, 0.9999999999, 1, 1.1, 2.5, 8};
    const double levels[] = {-1, 0.1, 0.5, 1, 2, 3, 5, 7, 20};
    for (size_t e = 0; e < COUNT_OF(exponents); e++)
        for (size_t l = 0; l < COUNT_OF(levels); l++) {
            double s = exponents[e], sum = s == 1 ? log(N) : (1 - pow(N, 1 - s)) / (s - 1);
            for (size_t i = 0; i < N; i++)
                z[i] = (float)(-s * log((double)(N - i)));
            double k = pow(exp2(levels[l]) / sum, 1 / s);
            k = fmin(fmax(floor(k), 1), N);
            struct tempera_stage stage = tempera_stage_mirostat_1(3, 0.1f, 100);
            uint64_t kept = at_level(z, N, stage, levels[l]).n_kept;
            CHECK(kept + 1 >= (uint64_t)k && kept <= (uint64_t)k + 1); // scores are rounded
        }
    // Where the slope is 0 nothing can be said, and one token has none.
    struct tempera_stage stage = tempera_stage_mirostat_1(0, 1, 2);
    set_row(-3);
    CHECK_EQ_U64(run_stage(z, N, stage, 0).n_kept, N);
    CHECK_EQ_U64(run_stage(z, 1, stage, 0).n_kept, 1);
    z[77] = 5;
    CHECK_EQ_INT(run_stage(z, N, stage, 0).token, 77);
    CHECK_EQ_U64(run_stage(z, N, tempera_stage_keeping(stage, 7), 0).n_kept, 7);
    CHECK_EQ_U64(run_stage(z, N, tempera_stage_mirostat_1(3e38f, 1, INT32_MAX), 0).n_kept, N);
    // The steepest and the flattest of slopes.
    const float steep[3] = {3e38f, -3e38f, 0}, flat[3] = {0, -0x1p-149f, 0};
    CHECK_EQ_U64(run_stage(steep, 3, tempera_stage_mirostat_1(1, 1, 3), 0).n_kept, 1);
    CHECK_EQ_U64(run_stage(flat, 3, tempera_stage_mirostat_1(1, 1, 3), 0).n_kept, 3);
    CHECK_EQ_U64(run_stage(flat, 3, tempera_stage_mirostat_1(0, 1, 3), 0).n_kept, 1);
}

// ------------------------------------------------------------------------------------------------
// Adaptive-p

static double adapted(double p, double wanted)
{
    double y = fabs(p - wanted) / 0.3;
    return exp(5 - 10 * y * y / (1 + y));
}

static void adaptive_p(void)
{
    const float row[4] = {logf(0.6f), logf(0.1f), -2000, logf(0.3f)};
    const struct {
        float target;
        double level, wanted;
    } cases[] = {{0.3f, 0.3, 0.3}, {0.3f, 0.5, 0.1}, {0.3f, 0.9, 0}, {0.9f, 0.2, 1}, {0, 0, 0}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tempera_stage stage = tempera_stage_adaptive_p(cases[i].target, 0.75f);
        struct tempera_sample_result r = at_level(row, 4, stage, cases[i].level);
        const double p[4] = {0.6, 0.1, 0, 0.3};
        double sum = 0;
        for (size_t j = 0; j < 4; j++)
            sum += p[j] > 0 ? adapted(p[j], cases[i].wanted) : 0;
        for (size_t j = 0; j < 4; j++)
            CHECK_NEAR(probs[j], p[j] > 0 ? adapted(p[j], cases[i].wanted) / sum : 0, 1e-5);
        CHECK_EQ_U64(r.n_kept, 3); // what can't be drawn doesn't become likely
        CHECK_NEAR(r.level, 0.75 * cases[i].level + 0.25 * p[r.token], 1e-6);
    }
    struct tempera_stage stage = tempera_stage_adaptive_p(0.5f, 0);
    CHECK_EQ_U64(run_stage(row, 1, stage, 0).n_kept, 1);
    CHECK(run_stage(row, 1, stage, 0).level == 1); // decay 0: the last p alone
    set_row(-7);
    CHECK_EQ_U64(at_level(z, N, stage, 0.5).n_kept, N);
    for (size_t i = 0; i < N; i++)
        CHECK(probs[i] == 1.0f / N);
    CHECK(at_level(z, N, stage, 0.5).level == (double)(1.0f / N));
}

// ------------------------------------------------------------------------------------------------
// In chains

// After a temperature of 0, inf and next to nothing, under a mask, with nothing left.
static void behind_other_stages(void)
{
    const struct tempera_stage feedback_stages[] = {tempera_stage_mirostat_1(1, 0.1f, 100),
                                                    tempera_stage_mirostat_2(1, 0.1f),
                                                    tempera_stage_adaptive_p(0.3f, 0.5f)};
    const uint32_t mask[] = {1u << 4 | 1u << 9}, nothing[] = {0};
    for (size_t i = 0; i < N; i++)
        z[i] = (float)(i * 7 % 50) / 10;
    for (size_t s = 0; s < COUNT_OF(feedback_stages); s++) {
        struct tempera_stage stages[] = {tempera_stage_temperature(0), feedback_stages[s]};
        CHECK_EQ_INT(run_stages(z, N, stages, 2, 5).token, 7);
        CHECK_EQ_U64(run_stages(z, N, stages, 2, 5).n_kept, 1);
        stages[0] = tempera_stage_temperature(INFINITY);
        CHECK_EQ_U64(run_stages(z, N, stages, 2, 5).n_kept, N);
        stages[0] = tempera_stage_temperature(1e-40f);
        struct tempera_sample_result tiny = run_stages(z, N, stages, 2, 5);
        CHECK_EQ_INT(tiny.token % 50, 7);
        CHECK(isfinite(tiny.level));
        struct tempera_sampler sampler = tempera_sampler_of(&stages[1], 1);
        struct tempera_sample_row row = {.sampler = &sampler, .mask = mask, .mask_nbits = 32};
        int32_t token = sample_row(z, N, &row).token;
        CHECK(token == 4 || token == 9);
        // Where nothing was drawn nothing is learned.
        row.mask = nothing;
        struct tempera_sampler_state *state = new_state(&sampler, NULL, 0);
        row.state = state;
        CHECK_STATUS(sample_row(z, N, &row).status, TEMPERA_ALL_MASKED);
        CHECK(sample_row(z, N, &row).level == state->level);
        free(state);
    }
}

static double sum_of_exp(size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)z[i]);
    return sum;
}

// Many steps of a text; the means of the surprise in the distribution that was drawn from, and of p
// among the first n_known tokens.
static void walk(const struct tempera_stage *stages, size_t n_stages, size_t n_known,
                 double *surprise, double *p)
{
    struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
    struct tempera_sampler_state *state = new_state(&sampler, NULL, 0);
    struct tempera_sample_row row = {.sampler = &sampler, .state = state, .seed = 5};
    for (size_t i = 0; i < N; i++)
        z[i] = (float)(-1.2 * log((double)(i + 1)));
    *surprise = *p = 0;
    for (size_t i = 0; i < STEPS; i++) {
        struct tempera_sample_result result = sample_row(z, N, &row);
        *surprise -= (double)result.logprob / log(2) / STEPS;
        *p += exp((double)z[result.token]) / sum_of_exp(n_known) / STEPS;
        CHECK_STATUS(tempera_sampler_accept(state, result.token, &result), TEMPERA_OK);
    }
    free(state);
    printf("# %s: mean surprise %.4f bits, mean p %.4f\n",
           tempera_stage_name(stages[n_stages - 1].kind), *surprise, *p);
}

// What is steered comes to its target: the surprise of mirostat on any row, the p of adaptive-p as
// well as the few probabilities that there are allow.
static void in_the_long_run(void)
{
    const struct tempera_stage mirostats[] = {tempera_stage_mirostat_1(2.5f, 0.1f, 100),
                                              tempera_stage_mirostat_2(2.5f, 0.1f),
                                              tempera_stage_mirostat_2(4, 0.1f)};
    const float targets[] = {0.1f, 0.2f, 0.3f};
    double surprise, p;
    for (size_t i = 0; i < COUNT_OF(mirostats); i++) {
        walk(&mirostats[i], 1, N, &surprise, &p);
        CHECK_NEAR(surprise, (double)mirostats[i].u.mirostat.tau, 0.02);
    }
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        const struct tempera_stage stages[] = {tempera_stage_top_k(6),
                                               tempera_stage_adaptive_p(targets[i], 0.9f)};
        walk(stages, 2, 6, &surprise, &p);
        CHECK_NEAR(p, (double)targets[i], 0.05);
    }
}

// Rows of a batch that need different amounts of scratch, in any order: the largest serves.
static void rows_of_several_samplers(void)
{
    const struct tempera_stage stages[] = {tempera_stage_adaptive_p(0.3f, 0.5f),
                                           tempera_stage_top_k(5),
                                           tempera_stage_no_repeat_ngram(2, 10)};
    struct tempera_sampler samplers[3];
    static float scores[3 * N];
    for (size_t i = 0; i < COUNT_OF(scores); i++)
        scores[i] = (float)check_random_between(-2, 2);
    for (size_t i = 0; i < 3; i++)
        samplers[i] = tempera_sampler_of(&stages[i], 1);
    struct tempera_matrix logits = tempera_matrix_f32(scores, 3, N);
    size_t nbytes, plain = tempera_sample_scratch_nbytes(&logits, &samplers[1], NULL);
    void *scratch = new_scratch(&logits, &samplers[0], NULL, &nbytes);
    CHECK(plain < nbytes);
    for (size_t shift = 0; shift < 3; shift++) {
        struct tempera_sample_row rows[3] = {{0}};
        struct tempera_sample_result results[3];
        for (size_t i = 0; i < 3; i++) {
            rows[i].sampler = &samplers[(i + shift) % 3];
            rows[i].seed = i;
        }
        CHECK_STATUS(tempera_sample(&logits, rows, results, scratch, plain, NULL),
                     TEMPERA_BUFFER_TOO_SMALL);
        CHECK_STATUS(tempera_sample(&logits, rows, results, scratch, nbytes, NULL), TEMPERA_OK);
        for (size_t i = 0; i < 3; i++) {
            struct tempera_sample_result alone = sample_row(scores + i * N, N, &rows[i]);
            CHECK_MEM(&alone, &results[i], sizeof alone);
        }
    }
    free(scratch);
    // No sampler, no answer.
    CHECK_EQ_SIZE(tempera_sample_scratch_nbytes(&logits, NULL, NULL), 0);
    const struct tempera_stage bad = tempera_stage_adaptive_p(2, 0);
    samplers[0] = tempera_sampler_of(&bad, 1);
    CHECK_EQ_SIZE(tempera_sample_scratch_nbytes(&logits, &samplers[0], NULL), 0);
}

// ------------------------------------------------------------------------------------------------
// What is refused

static void bad_parameters(void)
{
    check_complaint(tempera_stage_mirostat_1(-1, 0, 10), "tau");
    check_complaint(tempera_stage_mirostat_1(1, -1, 10), "eta");
    check_complaint(tempera_stage_mirostat_1(1, 1, 1), "m must be");
    check_complaint(tempera_stage_mirostat_2(NAN, 0), "tau");
    check_complaint(tempera_stage_mirostat_2(INFINITY, 0), "tau");
    check_complaint(tempera_stage_mirostat_2(1, NAN), "eta");
    check_complaint(tempera_stage_mirostat_2(1, INFINITY), "eta");
    check_complaint(tempera_stage_adaptive_p(-0.1f, 0), "target");
    check_complaint(tempera_stage_adaptive_p(1.1f, 0), "target");
    check_complaint(tempera_stage_adaptive_p(NAN, 0), "target");
    check_complaint(tempera_stage_adaptive_p(0.5f, 1), "decay");
    check_complaint(tempera_stage_adaptive_p(0.5f, -0.1f), "decay");
    check_complaint(tempera_stage_adaptive_p(0.5f, NAN), "decay");
    // At most one, and the last of all.
    const struct tempera_stage early[] = {tempera_stage_mirostat_2(3, 0.1f),
                                          tempera_stage_adaptive_p(0.5f, 0.9f)};
    struct tempera_sampler sampler = tempera_sampler_of(early, 2);
    struct tempera_error error;
    CHECK_STATUS(tempera_sampler_check(&sampler, &error), TEMPERA_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "stage 0") != NULL && strstr(error.message, "last") != NULL);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"mirostat 2 is the formula", mirostat_2},
        {"mirostat 1 is the formula", mirostat_1},
        {"adaptive-p is the formula", adaptive_p},
        {"feedback stages work after other stages", behind_other_stages},
        {"feedback reaches its target in the long run", in_the_long_run},
        {"rows of several samplers keep feedback apart", rows_of_several_samplers},
        {"bad parameters are refused", bad_parameters},
    };
    return CHECK_RUN(tests, argc, argv);
}
