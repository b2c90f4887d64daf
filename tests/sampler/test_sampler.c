// SPDX-License-Identifier: MIT
// The contract of sampler.h: edges of every stage and of rows, arguments that must be refused with
// nothing written, batches, and tokens that must never change. States: test_sampler_states.c.
#include "sampler_setup.h"

#include <fenv.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "base/half.h"

enum { MOST = 32000 };

static float z[MOST], probs[MOST];

static uint64_t kept_by(size_t n, struct tempera_stage stage)
{
    return run_stage(z, n, stage, 0).n_kept;
}

static void fill_random(size_t n)
{
    for (size_t i = 0; i < n; i++)
        z[i] = (float)check_random_between(-4, 4);
}

// ------------------------------------------------------------------------------------------------
// Stages

// Ties are cut by id: the lowest stay. Zeros of either sign are ties.
static void ties_go_to_the_lowest_ids(void)
{
    const float row[8] = {-0.0f, 5, 0.0f, -1, -0.0f, 5, 0.0f, -0.0f};
    struct tempera_stage stages[] = {tempera_stage_top_k(4), tempera_stage_top_p(0.99999f)};
    const struct {
        size_t n;
        bool stays[8];
    } expected[] = {{4, {1, 1, 1, 0, 0, 1, 0, 0}}, {7, {1, 1, 1, 0, 1, 1, 1, 1}}};
    for (size_t s = 0; s < 2; s++) {
        struct tempera_sampler sampler = tempera_sampler_of(&stages[s], 1);
        struct tempera_sample_row how = {.sampler = &sampler};
        if (s == 1) // the -1 has 0.1 % of the mass
            stages[s].u.top_p = 0.9985f;
        CHECK_EQ_U64(probs_of_row(row, 8, &how, probs).n_kept, expected[s].n);
        for (size_t i = 0; i < 8; i++)
            CHECK((probs[i] > 0) == expected[s].stays[i]);
    }
}

// A filter before the temperature sees T = 1, one after it T; several temperatures multiply.
static void stages_act_in_their_order(void)
{
    for (size_t i = 0; i < 50; i++)
        z[i] = -0.2f * (float)i;
    const struct tempera_stage last[] = {tempera_stage_top_p(0.9f), tempera_stage_temperature(2)};
    const struct tempera_stage first[] = {tempera_stage_temperature(2), tempera_stage_top_p(0.9f)};
    const struct tempera_stage halves[] = {
        tempera_stage_temperature(4), tempera_stage_temperature(0.5f), tempera_stage_top_p(0.9f)};
    uint64_t n_last = run_stages(z, 50, last, 2, 0).n_kept;
    uint64_t n_first = run_stages(z, 50, first, 2, 0).n_kept;
    CHECK_EQ_U64(n_last, kept_by(50, tempera_stage_top_p(0.9f)));
    CHECK(n_first > n_last);
    CHECK_EQ_U64(run_stages(z, 50, halves, 3, 0).n_kept, n_first);
    struct tempera_sample_result a = run_stages(z, 50, first, 2, 9);
    struct tempera_sample_result b = run_stages(z, 50, halves, 3, 9);
    CHECK_MEM(&a, &b, sizeof a);
}

static void temperature_0(void)
{
    const float row[5] = {1, 4, 2, 4, 4};
    const struct tempera_stage then[] = {tempera_stage_temperature(0), tempera_stage_top_p(0.5f),
                                         tempera_stage_temperature(INFINITY),
                                         tempera_stage_temperature(3)};
    for (uint64_t seed = 0; seed < 50; seed++)
        for (size_t n_stages = 1; n_stages <= 4; n_stages++) {
            struct tempera_sample_result r = run_stages(row, 5, then, n_stages, seed);
            CHECK_EQ_INT(r.token, 1);
            CHECK(r.logprob == 0);
            CHECK_EQ_U64(r.n_kept, 1);
            CHECK_ULP(r.raw_logprob, -log(3 + exp(-3) + exp(-2)), 1);
        }
}

static void extreme_temperatures(void)
{
    const float row[4] = {-50, 900, -INFINITY, 3};
    const float tiny[] = {0x1p-149f, 1e-40f, 1e-30f, 1e-4f};
    for (size_t i = 0; i < COUNT_OF(tiny); i++) {
        struct tempera_sample_result r = run_stage(row, 4, tempera_stage_temperature(tiny[i]), i);
        CHECK_EQ_INT(r.token, 1);
        CHECK(r.logprob == 0);
        CHECK_EQ_U64(r.n_kept, 3);
    }
    const float large[] = {1e35f, 0x1.fffffep127f, INFINITY};
    for (size_t i = 0; i < COUNT_OF(large); i++) {
        struct tempera_sample_result r = run_stage(row, 4, tempera_stage_temperature(large[i]), i);
        CHECK_ULP(r.logprob, -log(3), 1);
        CHECK_EQ_U64(r.n_kept, 3);
    }
    // Products beyond the range of a double are 0 and inf, and mean that.
    struct tempera_stage many[10];
    for (size_t s = 0; s < 10; s++)
        many[s] = tempera_stage_temperature(1e-40f);
    struct tempera_sample_result r = run_stages(row, 4, many, 10, 1);
    CHECK_EQ_INT(r.token, 1);
    CHECK_EQ_U64(r.n_kept, 1);
    for (size_t s = 0; s < 10; s++)
        many[s] = tempera_stage_temperature(1e38f);
    r = run_stages(row, 4, many, 10, 1);
    CHECK_ULP(r.logprob, -log(3), 1);
    // Stages after T = inf act on equal scores.
    const struct tempera_logit_bias bias = {3, 2};
    const struct tempera_stage after[] = {tempera_stage_temperature(INFINITY),
                                          tempera_stage_logit_bias(&bias, 1)};
    struct tempera_sampler sampler = tempera_sampler_of(after, 2);
    struct tempera_sample_row how = {.sampler = &sampler};
    probs_of_row(row, 4, &how, probs);
    CHECK_ULP(probs[3], exp(2) / (exp(2) + 2), 1);
    CHECK_ULP(probs[0], 1 / (exp(2) + 2), 1);
}

// Large scores: differences are taken in double, before the division.
static void large_scores(void)
{
    const float row[3] = {3e38f, 2.9e38f, -3e38f};
    struct tempera_sample_result r = run_stage(row, 3, tempera_stage_temperature(0.01f), 0);
    CHECK_EQ_INT(r.token, 0);
    CHECK(r.logprob == 0 && r.raw_logprob == 0);
    struct tempera_stage stage = tempera_stage_temperature(1e38f);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_sample_row how = {.sampler = &sampler};
    probs_of_row(row, 3, &how, probs);
    CHECK_NEAR(probs[1] / probs[0], exp(-0.1), 1e-6);
    CHECK_NEAR(probs[2] / probs[0], exp(-6), 1e-6);
}

// ------------------------------------------------------------------------------------------------
// Rows

static void nan_rows(void)
{
    const float row[4] = {1, NAN, 2, 3};
    struct tempera_stage stage = tempera_stage_temperature(0);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_sample_row how = {.sampler = &sampler};
    struct tempera_sample_result r = probs_of_row(row, 4, &how, probs);
    CHECK_STATUS(r.status, TEMPERA_NAN_INPUT);
    CHECK_EQ_INT(r.token, -1);
    CHECK_EQ_U64(r.n_kept, 0);
    CHECK(is_canonical_nan(r.logprob) && is_canonical_nan(r.raw_logprob));
    for (size_t i = 0; i < 4; i++)
        CHECK(is_canonical_nan(probs[i]));
    const float payload[2] = {tempera_bits_float(0xFF812345), INFINITY}; // a signalling one
    r = probs_of_row(payload, 2, &how, probs);
    CHECK_STATUS(r.status, TEMPERA_NAN_INPUT);
    CHECK(is_canonical_nan(r.logprob) && is_canonical_nan(probs[1]));
}

static void nothing_allowed(void)
{
    const float row[3] = {-INFINITY, -INFINITY, -INFINITY};
    const float fine[3] = {1, 2, 3};
    const uint32_t none = 0;
    const struct tempera_logit_bias all[] = {{0, -INFINITY}, {2, -INFINITY}, {1, -INFINITY}};
    const struct tempera_stage stages[] = {tempera_stage_logit_bias(all, 3), tempera_stage_top_k(2),
                                           tempera_stage_top_p(0.5f), tempera_stage_min_p(0.5f),
                                           tempera_stage_temperature(0)};
    struct tempera_sampler plain = tempera_sampler_of(NULL, 0);
    struct tempera_sampler ban = tempera_sampler_of(stages, COUNT_OF(stages));
    const struct {
        const float *row;
        struct tempera_sample_row how;
    } cases[] = {
        {row, {.sampler = &plain, .want = TEMPERA_WANT_RAW_LOGPROB}},
        {fine, {.sampler = &plain, .mask = &none, .mask_nbits = 3}},
        {fine, {.sampler = &plain, .mask = &none, .mask_nbits = 0}},
        {fine, {.sampler = &ban, .want = TEMPERA_WANT_RAW_LOGPROB}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        probs[0] = probs[1] = probs[2] = 7;
        struct tempera_sample_result r = probs_of_row(cases[i].row, 3, &cases[i].how, probs);
        CHECK_STATUS(r.status, TEMPERA_ALL_MASKED);
        CHECK_EQ_INT(r.token, -1);
        CHECK_EQ_U64(r.n_kept, 0);
        CHECK(r.logprob == -INFINITY && is_canonical_nan(r.tempered_logprob));
        CHECK(cases[i].how.want ? r.raw_logprob == -INFINITY : is_canonical_nan(r.raw_logprob));
        CHECK(probs[0] == 0 && probs[1] == 0 && probs[2] == 0);
    }
}

static void infinite_scores(void)
{
    const float row[4] = {INFINITY, 5, INFINITY, -3};
    const struct tempera_stage stages[] = {
        tempera_stage_temperature(0.5f), tempera_stage_top_p(0.9f), tempera_stage_min_p(0.1f),
        tempera_stage_top_k(3), tempera_stage_temperature(INFINITY)};
    for (size_t n_stages = 0; n_stages <= COUNT_OF(stages); n_stages++) {
        struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
        struct tempera_sample_row how = {
            .sampler = &sampler, .seed = n_stages, .want = TEMPERA_WANT_RAW_LOGPROB};
        struct tempera_sample_result r = probs_of_row(row, 4, &how, probs);
        CHECK(probs[0] == 0.5f && probs[1] == 0 && probs[2] == 0.5f && probs[3] == 0);
        CHECK(r.token == 0 || r.token == 2);
        CHECK_ULP(r.logprob, -log(2), 1);
        CHECK_ULP(r.raw_logprob, -log(2), 1);
        CHECK_EQ_U64(r.n_kept, 2);
    }
    CHECK_EQ_INT(run_stage(row, 4, tempera_stage_temperature(0), 3).token, 0);
    CHECK(run_stage(row + 1, 2, tempera_stage_temperature(1), 3).raw_logprob == 0);
    const struct tempera_logit_bias ban = {0, -INFINITY};
    CHECK_EQ_INT(run_stage(row, 4, tempera_stage_logit_bias(&ban, 1), 3).token, 2);
}

// A masked entry is never read, not even a NaN; bits beyond the vocabulary are ignored, tokens
// beyond the mask are banned.
static void masks(void)
{
    float row[70];
    for (size_t i = 0; i < 70; i++)
        row[i] = NAN;
    row[0] = 1;
    row[40] = 2;
    row[66] = 3;
    uint32_t mask[4] = {1, 1u << 8, 1u << 2 | 1u << 20, UINT32_MAX};
    struct tempera_sampler plain = tempera_sampler_of(NULL, 0);
    struct tempera_sample_row how = {
        .sampler = &plain, .mask = mask, .want = TEMPERA_WANT_RAW_LOGPROB};
    const struct {
        uint32_t nbits;
        uint64_t n_kept;
    } cases[] = {{70, 3}, {128, 3}, {67, 3}, {66, 2}, {41, 2}, {40, 1}, {1, 1}, {0, 0}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        how.mask_nbits = cases[i].nbits;
        struct tempera_sample_result r = probs_of_row(row, 70, &how, probs);
        CHECK_EQ_U64(r.n_kept, cases[i].n_kept);
        for (size_t j = 0; j < 70; j++)
            CHECK((probs[j] > 0) == (row[j] == row[j] && j < cases[i].nbits));
    }
    how.mask_nbits = 70; // raw log-probabilities are over what the mask allows
    struct tempera_sample_result r = sample_row(row, 70, &how);
    double sum = exp(1) + exp(2) + exp(3);
    CHECK_ULP(r.raw_logprob, (double)row[r.token] - log(sum), 1);
    mask[1] = 0;
    mask[2] |= 1;
    CHECK_STATUS(sample_row(row, 70, &how).status, TEMPERA_NAN_INPUT); // row[64] is allowed
}

// ------------------------------------------------------------------------------------------------
// Arguments

// A call with everything in order; a test spoils one thing and then calls check_refused.
struct call {
    struct tempera_matrix logits, probs;
    struct tempera_sample_row rows[2];
    struct tempera_sample_result results[2];
    void *memory, *scratch;
    size_t nbytes;
    const struct tempera_sample_row *rows_given;
    struct tempera_sample_result *results_given;
};

static struct tempera_sampler plain_sampler = {sizeof(struct tempera_sampler), NULL, 0, 0};
static float call_logits[2 * 10], call_probs[2 * 10];

static void open_call(struct call *call)
{
    memset(call, 0, sizeof *call);
    memset(call->results, 0x55, sizeof call->results);
    for (size_t i = 0; i < 20; i++)
        call_probs[i] = 77;
    call->logits = tempera_matrix_f32(call_logits, 2, 10);
    call->probs = tempera_matrix_f32(call_probs, 2, 10);
    call->memory = new_scratch(&call->logits, &plain_sampler, NULL, &call->nbytes);
    call->scratch = call->memory;
    call->rows[0].sampler = call->rows[1].sampler = &plain_sampler;
    call->rows_given = call->rows;
    call->results_given = call->results;
}

static void close_call(struct call *call)
{
    free(call->memory);
}

// Both functions return `expected` and write nothing. Then everything is in order again.
static void check_refused(struct call *call, enum tempera_status expected)
{
    struct tempera_sample_result untouched[2];
    memset(untouched, 0x55, sizeof untouched);
    CHECK_STATUS(tempera_sample(&call->logits, call->rows_given, call->results_given, call->scratch,
                                call->nbytes, NULL),
                 expected);
    CHECK_STATUS(tempera_sampler_probs(&call->logits, call->rows_given, &call->probs,
                                       call->results_given, call->scratch, call->nbytes, NULL),
                 expected);
    CHECK_MEM(call->results, untouched, sizeof untouched);
    for (size_t i = 0; i < 20; i++)
        CHECK(call_probs[i] == 77);
    close_call(call);
    open_call(call);
}

static void bad_matrices(void)
{
    struct call c;
    open_call(&c);
    c.logits.data = NULL;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.logits.cols = 0;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.logits.row_stride = 9;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.logits.dtype = (enum tempera_dtype)99;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.logits.rows = SIZE_MAX / 8;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.logits.cols = c.logits.row_stride = (size_t)INT32_MAX + 1;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.probs.dtype = TEMPERA_BF16;
    CHECK_STATUS(
        tempera_sampler_probs(&c.logits, c.rows, &c.probs, c.results, c.scratch, c.nbytes, NULL),
        TEMPERA_UNSUPPORTED);
    close_call(&c);
    struct tempera_matrix bad[] = {
        tempera_matrix_f32(NULL, 2, 10), tempera_matrix_f32(call_probs, 2, 9),
        tempera_matrix_f32(call_probs, 1, 10), tempera_matrix_f32(call_logits, 2, 10),
        tempera_matrix_f32(call_logits + 3, 2, 10)};
    for (size_t i = 0; i <= COUNT_OF(bad); i++) {
        open_call(&c);
        CHECK_STATUS(tempera_sampler_probs(&c.logits, c.rows, i < COUNT_OF(bad) ? &bad[i] : NULL,
                                           c.results, c.scratch, c.nbytes, NULL),
                     TEMPERA_INVALID_ARGUMENT);
        CHECK_STATUS(tempera_sample(NULL, c.rows, c.results, c.scratch, c.nbytes, NULL),
                     TEMPERA_INVALID_ARGUMENT);
        close_call(&c);
    }
    CHECK_EQ_SIZE(tempera_sample_scratch_nbytes(NULL, &plain_sampler, NULL), 0);
}

static void bad_buffers(void)
{
    struct call c;
    open_call(&c);
    c.rows_given = NULL;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.results_given = NULL;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.scratch = NULL;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.nbytes--;
    check_refused(&c, TEMPERA_BUFFER_TOO_SMALL);
    c.nbytes = 0;
    check_refused(&c, TEMPERA_BUFFER_TOO_SMALL);
    c.results_given = (void *)c.scratch;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.results_given = (void *)c.rows;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.results_given = (void *)call_logits;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.logits.data = c.scratch;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(
        tempera_sample(&c.logits, c.rows, c.results, (char *)c.scratch + 32, c.nbytes, NULL),
        TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_sampler_probs(&c.logits, c.rows, &c.probs, (void *)call_probs, c.scratch,
                                       c.nbytes, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    close_call(&c);
}

static void bad_rows(void)
{
    struct call c;
    open_call(&c);
    const struct tempera_logit_bias outside = {10, 1};
    struct tempera_stage stage = tempera_stage_logit_bias(&outside, 1);
    struct tempera_sampler biased = tempera_sampler_of(&stage, 1);
    struct tempera_sampler small = plain_sampler, missing = plain_sampler, odd = plain_sampler;
    odd.draw = (enum tempera_draw)2;
    small.struct_size--;
    missing.n_stages = 1;
    c.rows[1].sampler = NULL;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.rows[1].sampler = &small;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.rows[1].sampler = &missing;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.rows[1].sampler = &odd;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.rows[1].reserved = 1;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.rows[1].want = 4;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.rows[1].sampler = &biased;
    check_refused(&c, TEMPERA_TOKEN_OUT_OF_RANGE);
    close_call(&c);
}

static void no_rows(void)
{
    struct tempera_matrix logits = tempera_matrix_f32(NULL, 0, 10);
    CHECK_STATUS(tempera_sample(&logits, NULL, NULL, NULL, 0, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_sampler_probs(&logits, NULL, &logits, NULL, NULL, 0, NULL), TEMPERA_OK);
}

static void check_stage_refused(struct tempera_stage stage, const char *what)
{
    struct call c;
    open_call(&c);
    struct tempera_stage stages[] = {tempera_stage_top_k(4), stage};
    struct tempera_sampler sampler = tempera_sampler_of(stages, 2);
    check_complaint(stage, what);
    c.rows[1].sampler = &sampler;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    close_call(&c);
}

static void bad_stages(void)
{
    static const struct tempera_logit_bias nan_bias = {0, NAN}, inf_bias = {0, INFINITY},
                                           negative[] = {{2, 1}, {-1, 1}};
    check_stage_refused(tempera_stage_temperature(-1), "temperature: temperature must");
    check_stage_refused(tempera_stage_temperature(-0x1p-149f), "temperature: temperature must");
    check_stage_refused(tempera_stage_temperature(NAN), "temperature: temperature must");
    check_stage_refused(tempera_stage_top_k(-1), "top-k: k must");
    check_stage_refused(tempera_stage_top_p(-0.1f), "top-p: p must");
    check_stage_refused(tempera_stage_top_p(nextafterf(1, 2)), "top-p: p must");
    check_stage_refused(tempera_stage_top_p(NAN), "top-p: p must");
    check_stage_refused(tempera_stage_min_p(-0.1f), "min-p: p must");
    check_stage_refused(tempera_stage_min_p(1.5f), "min-p: p must");
    check_stage_refused(tempera_stage_min_p(NAN), "min-p: p must");
    check_stage_refused(tempera_stage_typical(-0.1f), "typical: p must");
    check_stage_refused(tempera_stage_typical(1.5f), "typical: p must");
    check_stage_refused(tempera_stage_epsilon(-0.1f), "epsilon: epsilon must");
    check_stage_refused(tempera_stage_epsilon(NAN), "epsilon: epsilon must");
    check_stage_refused(tempera_stage_eta(1.5f), "eta: epsilon must");
    check_stage_refused(tempera_stage_eta(NAN), "eta: epsilon must");
    check_stage_refused(tempera_stage_tail_free(1.5f), "tail-free: z must");
    check_stage_refused(tempera_stage_tail_free(NAN), "tail-free: z must");
    check_stage_refused(tempera_stage_top_a(-1), "top-a: a must");
    check_stage_refused(tempera_stage_top_a(NAN), "top-a: a must");
    check_stage_refused(tempera_stage_top_n_sigma(-1), "top-n-sigma: n must");
    check_stage_refused(tempera_stage_top_n_sigma(NAN), "top-n-sigma: n must");
    check_stage_refused(tempera_stage_top_h(-0.1f), "top-h: h must");
    check_stage_refused(tempera_stage_top_h(NAN), "top-h: h must");
    check_stage_refused(tempera_stage_xtc(NAN, 0.1f), "xtc: probability");
    check_stage_refused(tempera_stage_xtc(1.5f, 0.1f), "xtc: probability");
    check_stage_refused(tempera_stage_xtc(1, -0.1f), "xtc: threshold");
    struct tempera_stage sparing = tempera_stage_xtc(1, 0.1f);
    sparing.u.xtc.spared.count = 1;
    check_stage_refused(sparing, "ids");
    check_stage_refused(tempera_stage_dynamic_temperature(-1, 1, 1), "low");
    check_stage_refused(tempera_stage_dynamic_temperature(2, 1, 1), "low");
    check_stage_refused(tempera_stage_dynamic_temperature(0, INFINITY, 1), "finite");
    check_stage_refused(tempera_stage_dynamic_temperature(0, NAN, 1), "high");
    check_stage_refused(tempera_stage_dynamic_temperature(0, 1, -1), "exponent");
    check_stage_refused(tempera_stage_dynamic_temperature(0, 1, INFINITY), "exponent");
    check_stage_refused(tempera_stage_smoothing(-1, 1), "factor");
    check_stage_refused(tempera_stage_smoothing(INFINITY, 1), "factor");
    check_stage_refused(tempera_stage_smoothing(1, 0.9f), "curve");
    check_stage_refused(tempera_stage_smoothing(1, NAN), "curve");
    check_stage_refused(tempera_stage_penalties(0, 0, 0, 1), "repetition");
    check_stage_refused(tempera_stage_penalties(-1, 0, 0, 1), "repetition");
    check_stage_refused(tempera_stage_penalties(NAN, 0, 0, 1), "repetition");
    check_stage_refused(tempera_stage_penalties(INFINITY, 0, 0, 1), "repetition");
    check_stage_refused(tempera_stage_penalties(1, INFINITY, 0, 1), "presence");
    check_stage_refused(tempera_stage_penalties(1, 0, NAN, 1), "frequency");
    check_stage_refused(tempera_stage_penalties(1, 0, 0, -1), "window");
    check_stage_refused(tempera_stage_penalties(1, 0, 0, (1 << 28) + 1), "window");
    check_stage_refused(tempera_stage_logit_bias(&nan_bias, 1), "bias");
    check_stage_refused(tempera_stage_logit_bias(&inf_bias, 1), "bias");
    check_stage_refused(tempera_stage_logit_bias(negative, 2), "negative");
    check_stage_refused(tempera_stage_logit_bias(NULL, 1), "entries");
    check_stage_refused(tempera_stage_of((enum tempera_stage_kind)0), "kind");
    struct tempera_error error;
    memset(&error, 0x55, sizeof error);
    struct tempera_stage later = tempera_stage_of((enum tempera_stage_kind)99);
    struct tempera_sampler sampler = tempera_sampler_of(&later, 1);
    CHECK_STATUS(tempera_sampler_check(&sampler, &error), TEMPERA_UNSUPPORTED);
    CHECK_STATUS(error.status, TEMPERA_UNSUPPORTED);
    CHECK(strstr(error.message, "stage 0") != NULL && strstr(error.message, "kind") != NULL);
    struct call c;
    open_call(&c);
    c.rows[1].sampler = &sampler;
    check_refused(&c, TEMPERA_UNSUPPORTED);
    close_call(&c);
    CHECK_STATUS(tempera_sampler_check(&plain_sampler, &error), TEMPERA_OK);
    CHECK_STATUS(error.status, TEMPERA_OK);
    CHECK_EQ_STR(error.message, "");
    CHECK_STATUS(tempera_sampler_check(NULL, &error), TEMPERA_INVALID_ARGUMENT);
    CHECK(error.message[0] != '\0');
}

static void names_of_stages(void)
{
    CHECK_EQ_STR(tempera_stage_name(TEMPERA_STAGE_LOGIT_BIAS), "logit-bias");
    CHECK_EQ_STR(tempera_stage_name(TEMPERA_STAGE_MIN_P), "min-p");
    CHECK_EQ_STR(tempera_stage_name((enum tempera_stage_kind)0), "unknown");
    CHECK_EQ_STR(tempera_stage_name((enum tempera_stage_kind)99), "unknown");
    CHECK_EQ_STR(tempera_stage_name((enum tempera_stage_kind) - 1), "unknown");
}

// ------------------------------------------------------------------------------------------------
// Batches and modes

enum { ROWS = 40, COLS = 500, STRIDE = COLS + 3 };

static struct tempera_sample_row batch_rows[ROWS];
static struct tempera_sample_result alone[ROWS], together[ROWS];
static float alone_probs[ROWS * COLS], together_probs[ROWS * COLS];

// Rows that differ in everything: sampler, state, seed, stream, mask; one NaN, one all masked.
static struct tempera_matrix make_batch(const struct tempera_sampler samplers[2],
                                        struct tempera_sampler_state *states[2])
{
    static const uint32_t mask[COLS / 32 + 1] = {0xFFFF, 7, 0, 0xF0F0};
    fill_random(ROWS * STRIDE);
    z[5 * STRIDE + 7] = NAN;
    for (size_t i = 0; i < COLS; i++)
        z[9 * STRIDE + i] = -INFINITY;
    for (size_t r = 0; r < ROWS; r++) {
        batch_rows[r] = (struct tempera_sample_row){.sampler = &samplers[r % 2],
                                                    .state = r % 3 ? states[r % 2] : NULL,
                                                    .seed = r / 3,
                                                    .stream = (uint32_t)r,
                                                    .want = (uint32_t)r / 7 % 4};
        if (r % 4 == 1) {
            batch_rows[r].mask = mask;
            batch_rows[r].mask_nbits = 300;
        }
    }
    return (struct tempera_matrix){z, TEMPERA_F32, ROWS, COLS, STRIDE};
}

static void run_batch(const struct tempera_matrix *logits, const struct tempera_executor *executor)
{
    struct tempera_matrix out = tempera_matrix_f32(together_probs, ROWS, COLS);
    size_t nbytes;
    void *scratch = new_scratch(logits, batch_rows[0].sampler, executor, &nbytes);
    CHECK_STATUS(
        tempera_sampler_probs(logits, batch_rows, &out, together, scratch, nbytes, executor),
        TEMPERA_NAN_INPUT);
    CHECK_MEM(together, alone, sizeof alone);
    CHECK_MEM(together_probs, alone_probs, sizeof alone_probs);
    memset(together, 0, sizeof together);
    CHECK_STATUS(tempera_sample(logits, batch_rows, together, scratch, nbytes, executor),
                 TEMPERA_NAN_INPUT);
    CHECK_MEM(together, alone, sizeof alone);
    free(scratch);
}

// Runs the tasks last to first, claiming any number of threads.
static void backwards(void *self, size_t n_tasks, tempera_task *task, void *context)
{
    (void)self;
    while (n_tasks-- > 0)
        task(context, n_tasks);
}

// A row's result depends on the row alone, and not on its place, its neighbours or the executor.
static void batches(void)
{
    struct tempera_stage stages[] = {tempera_stage_penalties(1.2f, 0.1f, 0.1f, 20),
                                     tempera_stage_top_p(0.9f), tempera_stage_temperature(1.2f)};
    struct tempera_sampler samplers[] = {tempera_sampler_of(stages, 3), plain_sampler};
    const int32_t history[] = {1, 2, 3, 2, 400, 7};
    struct tempera_sampler_state *states[] = {new_state(&samplers[0], history, 6),
                                              new_state(&samplers[1], history, 5)};
    struct tempera_matrix logits = make_batch(samplers, states);
    for (size_t r = 0; r < ROWS; r++)
        alone[r] = probs_of_row(z + r * STRIDE, COLS, &batch_rows[r], alone_probs + r * COLS);
    CHECK_STATUS(alone[5].status, TEMPERA_NAN_INPUT);
    CHECK_STATUS(alone[9].status, TEMPERA_ALL_MASKED);
    run_batch(&logits, NULL);
    for (size_t n_threads = 1; n_threads <= 7; n_threads += 2) {
        struct tempera_thread_pool *pool;
        CHECK_STATUS(tempera_thread_pool_open(&pool, n_threads), TEMPERA_OK);
        run_batch(&logits, tempera_thread_pool_executor(pool));
        tempera_thread_pool_close(&pool);
    }
    const struct tempera_executor none = {backwards, NULL, 0}, many = {backwards, NULL, 1000};
    run_batch(&logits, &none);
    run_batch(&logits, &many);
    free(states[0]);
    free(states[1]);
}

// Rounding modes and flush-to-zero of the caller have no influence and are found again.
static void floating_point_modes(void)
{
    static float tiny[COLS], usual[COLS], other[COLS];
    struct tempera_stage stages[] = {tempera_stage_temperature(1e-40f), tempera_stage_top_p(0.9f),
                                     tempera_stage_temperature(3e9f), tempera_stage_min_p(1e-42f)};
    struct tempera_sampler sampler = tempera_sampler_of(stages, 4);
    struct tempera_sample_row row = {.sampler = &sampler, .seed = 5};
    for (size_t i = 0; i < COLS; i++)
        tiny[i] = (float)check_random_below(300) * 0x1p-149f;
    struct tempera_sample_result expected = probs_of_row(tiny, COLS, &row, usual);
    CHECK(expected.n_kept > 1 && expected.n_kept < COLS);
    const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        fesetround(modes[i]);
        struct tempera_sample_result r = probs_of_row(tiny, COLS, &row, other);
        int found = fegetround();
        fesetround(FE_TONEAREST);
        CHECK_EQ_INT(found, modes[i]);
        CHECK_MEM(&r, &expected, sizeof r);
        CHECK_MEM(other, usual, sizeof other);
    }
#if defined(__SSE2__)
    const unsigned flush = 0x8040, mxcsr = _mm_getcsr(); // flush to zero, denormals are zero
    _mm_setcsr(mxcsr | flush);
    struct tempera_sample_result r = probs_of_row(tiny, COLS, &row, other);
    struct tempera_stage small = tempera_stage_penalties(1e-40f, 0, 0, 4);
    struct tempera_stage negative = tempera_stage_temperature(-1e-40f);
    sampler = tempera_sampler_of(&small, 1);
    enum tempera_status good = tempera_sampler_check(&sampler, NULL);
    sampler = tempera_sampler_of(&negative, 1);
    enum tempera_status bad = tempera_sampler_check(&sampler, NULL);
    unsigned found = _mm_getcsr();
    _mm_setcsr(mxcsr);
    CHECK_STATUS(good, TEMPERA_OK);
    CHECK_STATUS(bad, TEMPERA_INVALID_ARGUMENT);
    CHECK_EQ_U64(found & flush, flush);
    CHECK_MEM(&r, &expected, sizeof r);
    CHECK_MEM(other, usual, sizeof other);
#endif
}

// ------------------------------------------------------------------------------------------------
// Tokens that must never change: with gcc and clang, on any machine, in any later version.

struct golden {
    const char *name;
    struct tempera_stage stages[5];
    size_t n_stages;
    int32_t tokens[8];
};

static void golden_tokens(void)
{
    const struct golden chains[] = {
        {"no stage", {{0}}, 0, {68, 533, 426, 358, 753, 180, 445, 966}},
        {"T = 0.8 last",
         {tempera_stage_top_k(40), tempera_stage_top_p(0.95f), tempera_stage_min_p(0.05f),
          tempera_stage_temperature(0.8f)},
         4,
         {68, 512, 415, 358, 743, 180, 426, 931}},
        {"T = 1.5 first",
         {tempera_stage_temperature(1.5f), tempera_stage_top_p(0.9f)},
         2,
         {73, 533, 426, 358, 759, 181, 457, 966}},
        {"penalties",
         {tempera_stage_penalties(1.5f, 0.5f, 0.25f, 8), tempera_stage_temperature(0.3f)},
         2,
         {68, 533, 422, 369, 759, 223, 445, 966}},
    };
    uint32_t x = 1;
    for (size_t i = 0; i < 1000; i++) {
        x = x * 1664525u + 1013904223u;
        z[i] = (float)(x >> 20) * 0x1p-8f;
    }
    for (size_t i = 0; i < COUNT_OF(chains); i++) {
        struct tempera_sampler sampler = tempera_sampler_of(chains[i].stages, chains[i].n_stages);
        struct tempera_sampler_state *state = new_state(&sampler, NULL, 0);
        struct tempera_sample_row row = {
            .sampler = &sampler, .state = state, .seed = 1234567890123, .stream = 3};
        int32_t tokens[8];
        printf("# %s:", chains[i].name);
        for (size_t j = 0; j < 8; j++) {
            tokens[j] = sample_row(z, 1000, &row).token;
            CHECK_STATUS(tempera_sampler_accept(state, tokens[j], NULL), TEMPERA_OK);
            printf(" %d,", (int)tokens[j]);
        }
        printf("\n");
        CHECK_MEM(tokens, chains[i].tokens, sizeof tokens);
        free(state);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"ties go to the lowest ids", ties_go_to_the_lowest_ids},
        {"stages act in their order", stages_act_in_their_order},
        {"T = 0 keeps the maximum", temperature_0},
        {"tiny, huge and infinite T give what their limits say", extreme_temperatures},
        {"large scores do not overflow", large_scores},
        {"rows with a NaN are refused", nan_rows},
        {"rows with nothing allowed have a status of their own", nothing_allowed},
        {"scores of +inf share the probability", infinite_scores},
        {"masked tokens count as absent", masks},
        {"bad matrices are refused", bad_matrices},
        {"bad buffers are refused", bad_buffers},
        {"bad rows are refused", bad_rows},
        {"no rows are fine", no_rows},
        {"bad stages are refused by name", bad_stages},
        {"every stage has a name", names_of_stages},
        {"a row's result does not depend on its batch", batches},
        {"the caller's floating-point modes change no bit", floating_point_modes},
        {"the tokens drawn are the recorded ones", golden_tokens},
    };
    return CHECK_RUN(tests, argc, argv);
}
