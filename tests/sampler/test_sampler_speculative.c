// SPDX-License-Identifier: MIT
// Speculative verification: one position as a function of its random bits, so that the distribution
// of its token can be enumerated exactly and must be p; whole chains against a version in long
// double; how often pairs of tokens come.
#include "chi_square.h"
#include "sampler_setup.h"

#include <tempera/decoding.h>

#include "base/half.h"
#include "sampler/calls/speculative.h"
#include "sampler/row/draw.h"

enum { MOST = 64, MOST_DRAFTED = 6 };

static float z[(MOST_DRAFTED + 1) * MOST], q[MOST_DRAFTED * MOST];
static int32_t drafted[MOST_DRAFTED];
static struct tempera_sample_row rows[MOST_DRAFTED + 1];
static struct tempera_sample_result results[MOST_DRAFTED + 1];

static uint64_t half_of_all(void)
{
    return (uint64_t)1 << 63;
}

// ------------------------------------------------------------------------------------------------
// One position

// How many of the 2^64 values of r are accepted: those below a border.
static long double share_accepted(const struct tempera_speculation *shares, uint64_t w, uint64_t v)
{
    if (tempera_speculation_accepts(shares, w, v, UINT64_MAX))
        return 1;
    uint64_t border = 0;
    for (uint64_t bit = half_of_all(); bit > 0; bit >>= 1)
        if (tempera_speculation_accepts(shares, w, v, border + bit - 1))
            border += bit;
    CHECK(!tempera_speculation_accepts(shares, w, v, border));
    CHECK(border == 0 || tempera_speculation_accepts(shares, w, v, border - 1));
    return ldexpl((long double)border, -64);
}

static void acceptance(void)
{
    for (int round = 0; round < 3000; round++) {
        // from few tokens of 2^50 to 2^31 of 2^52
        tempera_u128 W = (((tempera_u128)check_random() << 19) >> check_random_below(32)) | 1;
        tempera_u128 V = (((tempera_u128)check_random() << 18) >> check_random_below(32)) | 1;
        if (round % 3 == 0)
            V = (tempera_u128)1 << 51;
        struct tempera_speculation shares = tempera_speculation_of(W, V);
        uint64_t w = (check_random() >> 12) >> check_random_below(20);
        uint64_t v = (check_random() >> 12) >> check_random_below(20);
        long double ratio = ((long double)w / (long double)W) / ((long double)v / (long double)V);
        CHECK(fabsl(share_accepted(&shares, w, v) - fminl(ratio, 1)) <= 0x1p-57L);
        CHECK(!tempera_speculation_accepts(&shares, 0, v, 0));
        CHECK(tempera_speculation_accepts(&shares, 1, 0, UINT64_MAX));
    }
    // Equal shares are always accepted.
    struct tempera_speculation equal =
        tempera_speculation_of((tempera_u128)1 << 70, (tempera_u128)1 << 51);
    CHECK(tempera_speculation_accepts(&equal, (uint64_t)1 << 51, (uint64_t)1 << 32, UINT64_MAX));
}

// The chance of each token: that it is drafted and accepted, or drawn instead of another.
static void enumerate(size_t n, const uint64_t *w, const struct tempera_draft *draft,
                      const long double *drafted_with, long double *chance)
{
    int32_t ids[MOST];
    uint64_t masses[MOST];
    tempera_u128 W = 0, V = 0;
    struct tempera_candidates c = {.ids = ids, .masses = masses, .n = n};
    for (size_t i = 0; i < n; i++) {
        ids[i] = (int32_t)i;
        masses[i] = w[i];
        W += w[i];
        V += tempera_draft_mass(draft, (int32_t)i);
        chance[i] = 0;
    }
    struct tempera_speculation shares = tempera_speculation_of(W, V);
    long double rejected = 0, total = 0;
    for (size_t i = 0; i < n; i++) {
        long double share = share_accepted(&shares, w[i], tempera_draft_mass(draft, ids[i]));
        chance[i] += drafted_with[i] * share;
        rejected += drafted_with[i] * (1 - share);
    }
    tempera_speculation_take_residuals(&shares, draft, &c);
    for (size_t i = 0; i < n; i++)
        total += (long double)masses[i];
    for (size_t i = 0; i < n; i++)
        chance[i] += rejected * (long double)masses[i] / total;
}

static void the_result_is_p(void)
{
    for (int round = 0; round < 400; round++) {
        size_t n = 1 + check_random_below(MOST);
        uint64_t w[MOST];
        long double W = 0, Q = 0, drafted_with[MOST], chance[MOST];
        for (size_t i = 0; i < n; i++) {
            w[i] = round % 3 == 0 ? check_random_below(4)
                                  : (check_random() >> 13) >> check_random_below(30);
            q[i] = round % 4 == 0 ? (float)check_random_below(3) / 64
                                  : (float)check_random_between(0, 1) *
                                        powf(2, -(float)check_random_below(20));
        }
        w[n - 1] = (uint64_t)1 << 51;
        q[n / 2] = 0.5f;
        for (size_t i = 0; i < n; i++) {
            W += (long double)w[i];
            Q += (long double)q[i];
        }
        for (size_t i = 0; i < n; i++)
            drafted_with[i] = (long double)q[i] / Q;
        const struct tempera_draft draft = {q, TEMPERA_F32, 0};
        enumerate(n, w, &draft, drafted_with, chance);
        for (size_t i = 0; i < n; i++)
            CHECK(fabsl(chance[i] - (long double)w[i] / W) <= 0x1p-44L);
        // A certain token, as from a lookup
        const struct tempera_draft certain = {NULL, TEMPERA_F32, (int32_t)check_random_below(n)};
        for (size_t i = 0; i < n; i++)
            drafted_with[i] = (int32_t)i == certain.token;
        enumerate(n, w, &certain, drafted_with, chance);
        for (size_t i = 0; i < n; i++)
            CHECK(fabsl(chance[i] - (long double)w[i] / W) <= 0x1p-44L);
    }
}

// ------------------------------------------------------------------------------------------------
// Chains

struct setting {
    size_t n, n_drafted;
    struct tempera_sampler_state *state;
    const struct tempera_matrix *draft_probs;
};

static enum tempera_status run(const struct setting *s, size_t *n_tokens)
{
    struct tempera_matrix logits = tempera_matrix_f32(z, s->n_drafted + 1, s->n), one = logits;
    one.rows = 1;
    size_t nbytes;
    void *scratch = new_scratch(&one, rows[0].sampler, NULL, &nbytes);
    memset(results, 0x55, sizeof results);
    enum tempera_status status =
        tempera_speculative_verify(&logits, rows, s->state, drafted, s->n_drafted, s->draft_probs,
                                   results, n_tokens, scratch, nbytes);
    free(scratch);
    return status;
}

// The lowest token whose running share exceeds 128 bits; false if rounding may decide.
static bool draw(const long double *share, size_t n, tempera_u128 bits, int32_t *token)
{
    long double total = 0, sum = 0, target;
    for (size_t i = 0; i < n; i++)
        total += share[i];
    target = ldexpl((long double)bits, -128) * total;
    *token = -1;
    for (size_t i = 0; i < n; i++) {
        sum += share[i];
        if (fabsl(sum - target) < 1e-9L * total)
            return false;
        if (*token < 0 && share[i] > 0 && sum > target)
            *token = (int32_t)i;
    }
    return true;
}

// The token at a position, by the definition; false if rounding may decide.
static bool position(const struct setting *s, size_t i, const struct tempera_sampler_state *state,
                     int32_t *token, bool *accepted)
{
    static float p[MOST];
    long double residuals[MOST], Q = 0;
    struct tempera_sample_row row = rows[i];
    row.state = state;
    probs_of_row(z + i * s->n, s->n, &row, p);
    uint64_t step = state == NULL ? i : state->step;
    for (size_t j = 0; j < s->n; j++)
        Q += s->draft_probs == NULL ? (int32_t)j == drafted[i] : (long double)q[i * s->n + j];
    for (size_t j = 0; j < s->n; j++) {
        long double own =
            s->draft_probs == NULL ? (int32_t)j == drafted[i] : (long double)q[i * s->n + j] / Q;
        residuals[j] = fmaxl((long double)p[j] - own, 0);
        if (residuals[j] < 1e-7L)
            residuals[j] = 0;
        if ((int32_t)j != drafted[i])
            continue;
        long double r = ldexpl(
            (long double)(uint64_t)tempera_draw_bits(row.seed, row.stream, step, 0x50000000), -64);
        if (fabsl(r * own - (long double)p[j]) < 1e-6L)
            return false;
        *accepted = r * own < (long double)p[j];
    }
    *token = drafted[i];
    if (*accepted)
        return true;
    return draw(residuals, s->n, tempera_draw_bits(row.seed, row.stream, step, 0x50000001), token);
}

// p is rounded to f32 in the reference, so near a border it doesn't know.
static void check_chain(struct setting s, const struct tempera_sampler_state *before,
                        size_t *n_known)
{
    size_t nbytes = before == NULL ? 0 : before->nbytes, n_tokens = 99;
    struct tempera_sampler_state *follow = malloc(nbytes + 1);
    if (before != NULL)
        memcpy(follow, before, nbytes);
    CHECK_STATUS(run(&s, &n_tokens), TEMPERA_OK);
    for (size_t i = 0; i < n_tokens; i++) {
        bool accepted = false;
        int32_t token;
        struct tempera_sample_row row = rows[i];
        row.state = before == NULL ? NULL : follow;
        if (i < s.n_drafted && position(&s, i, row.state, &token, &accepted)) {
            CHECK_EQ_INT(results[i].token, token);
            CHECK((n_tokens == i + 1) == !accepted);
            ++*n_known;
        }
        if (i == s.n_drafted && before != NULL) {
            struct tempera_sample_result last = sample_row(z + i * s.n, s.n, &row);
            CHECK_MEM(&results[i], &last, sizeof last);
        }
        static float p[MOST];
        uint64_t n_kept = probs_of_row(z + i * s.n, s.n, &row, p).n_kept;
        CHECK_EQ_U64(results[i].n_kept, n_kept);
        double exact = log((double)p[results[i].token]);
        CHECK_NEAR(results[i].logprob, exact, 1e-6 * (1 - exact));
        if (before != NULL)
            tempera_sampler_accept(follow, results[i].token, &results[i]);
    }
    if (before != NULL)
        CHECK_MEM(s.state, follow, nbytes);
    free(follow);
    const unsigned char untouched = 0x55;
    if (n_tokens <= s.n_drafted)
        CHECK_MEM((unsigned char *)&results[n_tokens], &untouched, 1);
}

static void fill(size_t n)
{
    for (size_t i = 0; i < (MOST_DRAFTED + 1) * n; i++)
        z[i] = (float)check_random_between(-2, 2);
    for (size_t i = 0; i < MOST_DRAFTED * n; i++)
        q[i] = (float)exp(check_random_between(-2, 2)) / (3 * (float)n);
    for (size_t i = 0; i < MOST_DRAFTED; i++)
        drafted[i] = (int32_t)check_random_below(n);
}

static void chains(void)
{
    static const uint32_t mask[2] = {0xFFFFFF0F, 0xFFFF};
    const struct tempera_stage stages[] = {tempera_stage_penalties(1.2f, 0.3f, 0.1f, 5),
                                           tempera_stage_temperature(0.8f), tempera_stage_top_k(30),
                                           tempera_stage_mirostat_2(3, 0.3f)};
    const int32_t history[] = {1, 2, 3};
    size_t n_known = 0, n_positions = 0;
    for (uint64_t seed = 0; seed < 600; seed++) {
        struct tempera_sampler sampler = tempera_sampler_of(stages, 3 + seed % 2);
        struct setting s = {8 + check_random_below(MOST - 8), check_random_below(MOST_DRAFTED + 1),
                            NULL, NULL};
        fill(s.n);
        struct tempera_matrix probs = tempera_matrix_f32(q, s.n_drafted, s.n);
        s.draft_probs = seed % 3 ? &probs : NULL;
        struct tempera_sampler_state *before = new_state(&sampler, history, 3);
        if (seed % 4 != 0)
            s.state = new_state(&sampler, history, 3);
        for (size_t i = 0; i <= s.n_drafted; i++) {
            rows[i] = (struct tempera_sample_row){.sampler = &sampler, .seed = seed, .stream = 3};
            if (i % 2 && seed % 5 == 0) {
                rows[i].mask = mask;
                rows[i].mask_nbits = 48;
            }
        }
        check_chain(s, s.state == NULL ? NULL : before, &n_known);
        n_positions++;
        free(before);
        free(s.state);
    }
    printf("# %zu positions of %zu chains were decided by the reference\n", n_known, n_positions);
    CHECK(n_known > 500);
}

// Nothing drafted is tempera_sample, by mass and by race.
static void nothing_drafted(void)
{
    struct tempera_sampler sampler = tempera_sampler_of(NULL, 0);
    struct setting s = {30, 0, NULL, NULL};
    for (uint64_t seed = 0; seed < 50; seed++) {
        size_t n_tokens;
        sampler.draw = seed % 2 ? TEMPERA_DRAW_RACE : TEMPERA_DRAW_MASS;
        fill(30);
        rows[0] = (struct tempera_sample_row){.sampler = &sampler, .seed = seed, .want = 3};
        CHECK_STATUS(run(&s, &n_tokens), TEMPERA_OK);
        CHECK_EQ_SIZE(n_tokens, 1);
        struct tempera_sample_result expected = sample_row(z, 30, &rows[0]);
        CHECK_MEM(&results[0], &expected, sizeof expected);
    }
}

// What is drafted from p itself, or greedily where T = 0, is accepted; else the maximum comes.
static void greedy(void)
{
    struct tempera_stage cold = tempera_stage_temperature(0);
    struct tempera_sampler sampler = tempera_sampler_of(&cold, 1);
    struct setting s = {20, 3, NULL, NULL};
    fill(20);
    for (size_t i = 0; i <= 3; i++) {
        rows[i] = (struct tempera_sample_row){.sampler = &sampler};
        z[i * 20 + 7 + i] = 5;
        if (i < 3)
            drafted[i] = (int32_t)(7 + i);
    }
    size_t n_tokens;
    CHECK_STATUS(run(&s, &n_tokens), TEMPERA_OK);
    CHECK_EQ_SIZE(n_tokens, 4);
    CHECK_EQ_INT(results[3].token, 10);
    drafted[1] = 3;
    CHECK_STATUS(run(&s, &n_tokens), TEMPERA_OK);
    CHECK_EQ_SIZE(n_tokens, 2);
    CHECK_EQ_INT(results[1].token, 8);
    CHECK(results[1].logprob == 0);
    // No draft at all: drawn from p
    struct tempera_matrix probs = tempera_matrix_f32(q, 3, 20);
    memset(q, 0, sizeof q);
    drafted[0] = 7;
    s.draft_probs = &probs;
    CHECK_STATUS(run(&s, &n_tokens), TEMPERA_OK);
    CHECK_EQ_SIZE(n_tokens, 1);
    CHECK_EQ_INT(results[0].token, 7);
}

// Drafts of 16 bits are those of the same numbers in f32.
static void drafts_of_16_bits(void)
{
    static uint16_t halves[2][MOST_DRAFTED * MOST];
    struct tempera_sampler sampler = tempera_sampler_of(NULL, 0);
    const enum tempera_dtype dtypes[] = {TEMPERA_F16, TEMPERA_BF16};
    for (uint64_t seed = 0; seed < 60; seed++) {
        enum tempera_dtype dtype = dtypes[seed % 2];
        fill(30);
        for (size_t i = 0; i < 4 * 30; i++) {
            halves[0][i] =
                dtype == TEMPERA_F16 ? tempera_f32_to_f16(q[i]) : tempera_f32_to_bf16(q[i]);
            q[i] = dtype == TEMPERA_F16 ? tempera_f16_to_f32(halves[0][i])
                                        : tempera_bf16_to_f32(halves[0][i]);
        }
        for (size_t i = 0; i <= 4; i++)
            rows[i] = (struct tempera_sample_row){.sampler = &sampler, .seed = seed};
        struct tempera_matrix wide = tempera_matrix_f32(q, 4, 30),
                              half = {halves[0], dtype, 4, 30, 30};
        struct setting s = {30, 4, NULL, &wide};
        size_t n_tokens, n_again;
        CHECK_STATUS(run(&s, &n_tokens), TEMPERA_OK);
        struct tempera_sample_result expected[5];
        memcpy(expected, results, sizeof expected);
        s.draft_probs = &half;
        CHECK_STATUS(run(&s, &n_again), TEMPERA_OK);
        CHECK_EQ_SIZE(n_again, n_tokens);
        CHECK_MEM(results, expected, sizeof expected);
    }
}

// Two tokens, the second depending on the first, drafted from other distributions.
static void how_often_pairs_come(void)
{
    enum { N = 5, DRAWS = 30000 };
    static float first_z[N], second_z[N * N], draft_q[N], probs[N];
    double p[N * N], counts[N * N] = {0};
    struct tempera_sampler sampler = tempera_sampler_of(NULL, 0);
    for (size_t i = 0; i < N; i++) {
        first_z[i] = (float)check_random_between(-1, 1);
        draft_q[i] = 0.1f * (float)(i + 1) / 1.5f;
    }
    for (size_t i = 0; i < N * N; i++)
        second_z[i] = (float)check_random_between(-1, 1);
    struct tempera_sample_row row = {.sampler = &sampler};
    probs_of_row(first_z, N, &row, probs);
    for (size_t i = 0; i < N; i++) {
        float then[N];
        probs_of_row(second_z + i * N, N, &row, then);
        for (size_t j = 0; j < N; j++)
            p[i * N + j] = (double)probs[i] * (double)then[j];
    }
    struct tempera_sampler_state *state = new_state(&sampler, NULL, 0);
    struct tempera_matrix draft = tempera_matrix_f32(draft_q, 1, N);
    size_t n_accepted = 0;
    for (row.seed = 0; row.seed < DRAWS; row.seed++) {
        double u = check_random_between(0, 1);
        drafted[0] = 0;
        while (drafted[0] < N - 1 && u >= (double)draft_q[drafted[0]])
            u -= (double)draft_q[drafted[0]++];
        rows[0] = rows[1] = row;
        memcpy(z, first_z, sizeof first_z);
        memcpy(z + N, second_z + drafted[0] * N, sizeof first_z);
        tempera_sampler_state_init(state, state->nbytes, &sampler);
        struct setting s = {N, 1, state, &draft};
        size_t n_tokens;
        CHECK_STATUS(run(&s, &n_tokens), TEMPERA_OK);
        CHECK_EQ_U64(state->step, n_tokens);
        int32_t first = results[0].token, second = results[1].token;
        n_accepted += n_tokens == 2;
        if (n_tokens == 1) {
            struct tempera_sample_row next = row;
            next.state = state;
            second = sample_row(second_z + first * N, N, &next).token;
        }
        counts[first * N + second]++;
    }
    double chance = chance_of(counts, p, N * N, DRAWS);
    printf("# p = %.3f, %zu of %d drafts accepted\n", chance, n_accepted, DRAWS);
    CHECK(chance > reject_below);
    CHECK(n_accepted > DRAWS / 2 && n_accepted < DRAWS);
    free(state);
}

// ------------------------------------------------------------------------------------------------
// Failures

static void rows_that_fail(void)
{
    struct tempera_sampler sampler = tempera_sampler_of(NULL, 0);
    const uint32_t none = 0;
    struct setting s = {20, 3, NULL, NULL};
    fill(20);
    for (size_t i = 0; i <= 3; i++) {
        rows[i] = (struct tempera_sample_row){.sampler = &sampler};
        z[i * 20 + 4] = 60; // certain
        drafted[i] = 4;
    }
    z[2 * 20] = NAN;
    size_t n_tokens = 99;
    s.state = new_state(&sampler, NULL, 0);
    struct tempera_token_logprob top;
    struct tempera_logprobs report = {sizeof report, NULL, 0, NULL, 1, 0, &top, 9};
    rows[2].logprobs = &report;
    CHECK_STATUS(run(&s, &n_tokens), TEMPERA_NAN_INPUT);
    CHECK_EQ_SIZE(n_tokens, 2);
    CHECK_EQ_U64(s.state->step, 2);
    CHECK_EQ_SIZE(report.n_top, 0);
    CHECK_EQ_INT(results[1].token, 4);
    CHECK(*(unsigned char *)&results[2] == 0x55);
    rows[0].mask = &none;
    CHECK_STATUS(run(&s, &n_tokens), TEMPERA_ALL_MASKED);
    CHECK_EQ_SIZE(n_tokens, 0);
    free(s.state);
}

// A call with everything in order; a test spoils one thing and then calls check_refused.
struct call {
    struct tempera_matrix logits, probs;
    struct tempera_sampler_state *state;
    const struct tempera_sampler *sampler; // of all rows
    const struct tempera_sample_row *rows_given;
    struct tempera_sample_result *results_given;
    const int32_t *drafted_given;
    size_t n_drafted, *n_given, nbytes;
    void *scratch;
    const struct call *good;
};

static size_t n_counted;

static void open_call(struct call *c, const struct call *good)
{
    *c = *good;
    for (size_t row = 0; row < 3; row++)
        rows[row] = (struct tempera_sample_row){.sampler = good->sampler};
}

// Then everything is in order again.
static void check_refused(struct call *c, enum tempera_status expected)
{
    struct tempera_sample_result untouched[3];
    memset(results, 0x55, sizeof results);
    memset(untouched, 0x55, sizeof untouched);
    n_counted = 55;
    uint64_t step = c->state == NULL ? 0 : c->state->step;
    CHECK_STATUS(tempera_speculative_verify(&c->logits, c->rows_given, c->state, c->drafted_given,
                                            c->n_drafted, &c->probs, c->results_given, c->n_given,
                                            c->scratch, c->nbytes),
                 expected);
    CHECK_MEM(results, untouched, sizeof untouched);
    CHECK_EQ_SIZE(n_counted, 55);
    CHECK(c->state == NULL || c->state->step == step);
    open_call(c, c->good);
}

static void bad_arguments(void)
{
    enum { N = 10 };
    static float good_z[3 * N], good_q[2 * N];
    const int32_t good_drafted[2] = {3, 9}, outside[2] = {3, N}, negative[2] = {-1, 0};
    struct tempera_sampler sampler = tempera_sampler_of(NULL, 0), other = sampler;
    const struct tempera_stage stage = tempera_stage_penalties(1.1f, 0, 0, 40);
    struct tempera_sampler wide = tempera_sampler_of(&stage, 1);
    struct tempera_sampler_state *good_state = new_state(&sampler, NULL, 0);
    size_t nbytes;
    struct tempera_matrix one = tempera_matrix_f32(good_z, 1, N);
    void *scratch = new_scratch(&one, &sampler, NULL, &nbytes);
    for (size_t i = 0; i < 2 * N; i++)
        good_q[i] = 0.1f;
    const enum tempera_status bad = TEMPERA_INVALID_ARGUMENT;
    const struct call good = {.logits = tempera_matrix_f32(good_z, 3, N),
                              .probs = tempera_matrix_f32(good_q, 2, N),
                              .state = good_state,
                              .sampler = &sampler,
                              .rows_given = rows,
                              .results_given = results,
                              .drafted_given = good_drafted,
                              .n_drafted = 2,
                              .n_given = &n_counted,
                              .nbytes = nbytes,
                              .scratch = scratch,
                              .good = &good};
    struct call c;
    open_call(&c, &good);
    c.logits.rows = 2;
    check_refused(&c, bad);
    c.logits.data = NULL;
    check_refused(&c, bad);
    c.n_drafted = 1;
    check_refused(&c, bad);
    c.n_drafted = SIZE_MAX;
    check_refused(&c, bad);
    c.rows_given = NULL;
    check_refused(&c, bad);
    c.results_given = NULL;
    check_refused(&c, bad);
    c.drafted_given = NULL;
    check_refused(&c, bad);
    c.n_given = NULL;
    check_refused(&c, bad);
    c.scratch = NULL;
    check_refused(&c, bad);
    c.nbytes--;
    check_refused(&c, TEMPERA_BUFFER_TOO_SMALL);
    rows[1].sampler = &other;
    check_refused(&c, bad);
    rows[1].seed = 1;
    check_refused(&c, bad);
    rows[2].stream = 1;
    check_refused(&c, bad);
    rows[0].state = good_state;
    check_refused(&c, bad);
    rows[0].sampler = NULL;
    check_refused(&c, bad);
    rows[1].reserved = 1;
    check_refused(&c, bad);
    // a state that remembers less than the sampler needs
    rows[0].sampler = rows[1].sampler = rows[2].sampler = &wide;
    check_refused(&c, bad);
    c.probs.rows = 1;
    check_refused(&c, bad);
    c.probs.cols = N - 1;
    check_refused(&c, bad);
    c.probs.data = NULL;
    check_refused(&c, bad);
    c.drafted_given = outside;
    check_refused(&c, TEMPERA_TOKEN_OUT_OF_RANGE);
    c.drafted_given = negative;
    check_refused(&c, TEMPERA_TOKEN_OUT_OF_RANGE);
    c.n_given = (void *)results;
    check_refused(&c, bad);
    c.results_given = (void *)good_q;
    check_refused(&c, bad);
    c.results_given = (void *)good_z;
    check_refused(&c, bad);
    c.results_given = (void *)good_state;
    check_refused(&c, bad);
    c.probs.data = scratch;
    check_refused(&c, bad);
    c.state = memcpy(scratch, good_state, good_state->nbytes);
    check_refused(&c, bad);
    good_state->version++;
    check_refused(&c, TEMPERA_STATE_MISMATCH);
    good_state->version--;
    const float wrong[] = {NAN, -0.1f, -0x1p-149f, 1.0000001f, INFINITY};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        good_q[2 * N - 1] = wrong[i];
        check_refused(&c, bad);
    }
    free(good_state);
    free(scratch);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"acceptance is a function of its bits", acceptance},
        {"the result is p, enumerated", the_result_is_p},
        {"filtered chains draw from the filtered distribution", chains},
        {"without a draft, one token is sampled", nothing_drafted},
        {"greedy drafts are accepted while they are the maximum", greedy},
        {"drafts of 16 bits give what f32 drafts give", drafts_of_16_bits},
        {"pairs come as often as their probability says", how_often_pairs_come},
        {"rows that fail are reported", rows_that_fail},
        {"bad arguments are refused", bad_arguments},
    };
    return CHECK_RUN(tests, argc, argv);
}
