// SPDX-License-Identifier: MIT
// Races, several draws and draws without replacement: as functions of their random bits, against a
// version that sorts, and by how often tokens come.
#include "chi_square.h"
#include "sampler_setup.h"

#include <tempera/decoding.h>

#include "sampler/row/draw.h"
#include "sampler/row/gumbel.h"
#include "sampler_masses.h"

enum { MOST = 300 };

static float z[MOST], probs[MOST];
static struct tempera_sample_result results[70000];

// ------------------------------------------------------------------------------------------------
// The reference

// As docs/SAMPLING.md says it.
static long double noise(uint64_t r)
{
    if (r < (uint64_t)3 << 62)
        return -logl(ldexpl((long double)(r >> 11) + 0.5L, -53));
    return -log1pl(-ldexpl((long double)(UINT64_MAX - r) + 0.5L, -64));
}

struct runner {
    int32_t id;
    long double time;
};

static int by_time(const void *a, const void *b)
{
    const struct runner *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

// Everybody who can be drawn from a row without stages, the first one first.
static size_t race(size_t n, const struct tempera_sample_row *row, struct runner *runners)
{
    float max = -INFINITY;
    size_t n_runners = 0;
    for (size_t i = 0; i < n; i++)
        max = fmaxf(max, z[i]);
    for (size_t i = 0; i < n; i++) {
        uint64_t w = mass_of(z[i], max, 1);
        uint64_t step = row->state == NULL ? 0 : row->state->step;
        uint64_t r =
            (uint64_t)tempera_draw_bits(row->seed, row->stream, step, 0x80000000u + (uint32_t)i);
        if (w > 0)
            runners[n_runners++] = (struct runner){(int32_t)i, noise(r) / (long double)w};
    }
    qsort(runners, n_runners, sizeof *runners, by_time);
    return n_runners;
}

static void fill(size_t n, double spread)
{
    for (size_t i = 0; i < n; i++)
        z[i] = (float)check_random_between(-spread, spread);
}

static enum tempera_status draw_distinct(size_t n, const struct tempera_sample_row *row, size_t k,
                                         size_t *n_drawn)
{
    struct tempera_matrix logits = tempera_matrix_f32(z, 1, n);
    size_t nbytes;
    void *scratch = new_scratch(&logits, row->sampler, NULL, &nbytes);
    enum tempera_status status =
        tempera_sample_distinct(&logits, row, k, results, n_drawn, scratch, nbytes);
    free(scratch);
    return status;
}

static enum tempera_status draw_many(size_t n, const struct tempera_sample_row *row, size_t n_draws)
{
    struct tempera_matrix logits = tempera_matrix_f32(z, 1, n);
    size_t nbytes;
    void *scratch = new_scratch(&logits, row->sampler, NULL, &nbytes);
    enum tempera_status status =
        tempera_sample_many(&logits, row, n_draws, results, scratch, nbytes);
    free(scratch);
    return status;
}

static void check_counts(const double *counts, const double *p, size_t n, double n_draws)
{
    double chance = chance_of(counts, p, n, n_draws);
    printf("# p = %.3f\n", chance);
    CHECK(chance > reject_below);
}

// ------------------------------------------------------------------------------------------------
// Noise

static void noise_of_all_bits(void)
{
    const uint64_t border = (uint64_t)3 << 62;
    const uint64_t some[] = {0,          1,      2047,       2048,           border - 2049,
                             border - 1, border, border + 1, UINT64_MAX - 1, UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(some); i++) {
        double exact = (double)noise(some[i]);
        CHECK_NEAR(tempera_gumbel_noise(some[i]), exact, 0x1p-51 * exact);
    }
    CHECK(tempera_gumbel_noise(0) < 38 && tempera_gumbel_noise(UINT64_MAX) > 0);
    for (int i = 0; i < (int)check_cases(100000); i++) {
        uint64_t r = check_random() << check_random_below(2);
        r = i % 2 ? r >> check_random_below(64) : ~(r >> check_random_below(64));
        double exact = (double)noise(r), e = tempera_gumbel_noise(r);
        CHECK_NEAR(e, exact, 0x1p-51 * exact);
        if (r < UINT64_MAX - 4096)
            CHECK(tempera_gumbel_noise(r + 4096) <= e);
    }
}

// The chance to win, over a grid of all random bits that three tokens can have.
static void enumeration(void)
{
    enum { GRID = 128 };
    static const double w[3] = {1, 2, 5};
    double e[GRID];
    size_t wins[3] = {0};
    for (uint64_t i = 0; i < GRID; i++)
        e[i] = tempera_gumbel_noise((2 * i + 1) << 56);
    for (size_t a = 0; a < GRID; a++)
        for (size_t b = 0; b < GRID; b++)
            for (size_t c = 0; c < GRID; c++) {
                double times[3] = {e[a] / w[0], e[b] / w[1], e[c] / w[2]};
                size_t first = times[1] < times[0];
                wins[times[2] < times[first] ? 2 : first]++;
            }
    for (size_t i = 0; i < 3; i++)
        CHECK_NEAR((double)wins[i] / (GRID * GRID * GRID), w[i] / 8, 1.0 / GRID);
}

// ------------------------------------------------------------------------------------------------
// Races

static struct tempera_sampler racer(const struct tempera_stage *stages, size_t n)
{
    struct tempera_sampler sampler = tempera_sampler_of(stages, n);
    sampler.draw = TEMPERA_DRAW_RACE;
    return sampler;
}

static void winners(void)
{
    struct tempera_sampler sampler = racer(NULL, 0);
    struct runner runners[MOST];
    const int32_t history[] = {1, 2, 3};
    struct tempera_sampler_state *state = new_state(&sampler, history, 3);
    for (uint64_t seed = 0; seed < 400; seed++) {
        size_t n = 1 + check_random_below(MOST), n_drawn;
        struct tempera_sample_row row = {
            .sampler = &sampler, .seed = seed, .stream = 5, .state = seed % 2 ? state : NULL};
        fill(n, seed % 3 == 0 ? 30 : 3); // at 30, some have no mass
        size_t n_runners = race(n, &row, runners);
        struct tempera_sample_result winner = sample_row(z, n, &row);
        CHECK_EQ_INT(winner.token, runners[0].id);
        CHECK_EQ_U64(winner.n_kept, n);
        CHECK_STATUS(draw_distinct(n, &row, MOST, &n_drawn), TEMPERA_OK);
        CHECK_EQ_SIZE(n_drawn, n_runners);
        CHECK_MEM(&results[0], &winner, sizeof winner);
        probs_of_row(z, n, &row, probs);
        for (size_t i = 0; i < n_drawn; i++) {
            CHECK_EQ_INT(results[i].token, runners[i].id);
            double p = (double)probs[runners[i].id];
            CHECK_NEAR(results[i].logprob, log(p), 3e-7 * (1 - log(p)) + 0x1p-50 / p);
        }
    }
    free(state);
}

// A filter that lets the winner stay doesn't change it.
static void filters_do_not_change_the_winner(void)
{
    const struct tempera_stage stage = tempera_stage_top_k(20);
    struct tempera_sampler all = racer(NULL, 0), filtered = racer(&stage, 1);
    size_t n_same = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct tempera_sample_row row = {.sampler = &all, .seed = seed};
        fill(60, 3);
        int32_t winner = sample_row(z, 60, &row).token;
        row.sampler = &filtered;
        probs_of_row(z, 60, &row, probs);
        if (probs[winner] > 0) {
            CHECK_EQ_INT(sample_row(z, 60, &row).token, winner);
            n_same++;
        }
    }
    CHECK(n_same > 100 && n_same < 200);
}

static void how_often_tokens_win(void)
{
    enum { N = 12, DRAWS = 40000 };
    const struct tempera_stage stages[] = {tempera_stage_top_k(10),
                                           tempera_stage_temperature(1.3f)};
    struct tempera_sampler sampler = racer(stages, 2);
    struct tempera_sample_row row = {.sampler = &sampler};
    double counts[N] = {0};
    double p[N];
    fill(N, 2);
    probs_of_row(z, N, &row, probs);
    for (size_t i = 0; i < N; i++)
        p[i] = (double)probs[i];
    for (row.seed = 0; row.seed < DRAWS; row.seed++)
        counts[sample_row(z, N, &row).token]++;
    check_counts(counts, p, N, DRAWS);
}

// ------------------------------------------------------------------------------------------------
// Without replacement

// The first two, in order: p_i p_j / (1 - p_i).
static void how_often_pairs_come(void)
{
    enum { N = 5, DRAWS = 40000 };
    struct tempera_sampler sampler = tempera_sampler_of(NULL, 0);
    struct tempera_sample_row row = {.sampler = &sampler};
    size_t n_drawn;
    double counts[N * N] = {0};
    double p[N * N];
    fill(N, 1);
    probs_of_row(z, N, &row, probs);
    for (size_t i = 0; i < N * N; i++) {
        double first = (double)probs[i / N], second = (double)probs[i % N];
        p[i] = i / N == i % N ? 0 : first * second / (1 - first);
    }
    for (row.seed = 0; row.seed < DRAWS; row.seed++) {
        CHECK_STATUS(draw_distinct(N, &row, 2, &n_drawn), TEMPERA_OK);
        counts[results[0].token * N + results[1].token]++;
    }
    check_counts(counts, p, N * N, DRAWS);
}

static void fewer_than_k(void)
{
    const uint32_t mask = 0xB4; // 2, 4, 5, 7
    struct tempera_stage stage = tempera_stage_top_k(3);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_sample_row row = {.sampler = &sampler, .mask = &mask, .mask_nbits = 8};
    struct tempera_token_logprob top[4];
    struct tempera_logprobs report = {sizeof report, NULL, 0, NULL, 4, 1, top, 0};
    size_t n_drawn = 99;
    row.logprobs = &report;
    fill(40, 2);
    memset(results, 0x55, sizeof results);
    const struct tempera_sample_result untouched = results[0];
    CHECK_STATUS(draw_distinct(40, &row, 6, &n_drawn), TEMPERA_OK);
    CHECK_EQ_SIZE(n_drawn, 3);
    CHECK_EQ_SIZE(report.n_top, 3);
    CHECK_MEM(&results[3], &untouched, sizeof untouched);
    unsigned seen = 0;
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ_U64(results[i].n_kept, 3);
        seen |= 1u << results[i].token;
    }
    CHECK((seen & ~mask) == 0 && __builtin_popcount(seen) == 3);
    CHECK_STATUS(draw_distinct(40, &row, 0, &n_drawn), TEMPERA_OK);
    CHECK_EQ_SIZE(n_drawn, 0);
    z[4] = NAN;
    memset(results, 0x55, sizeof results);
    CHECK_STATUS(draw_distinct(40, &row, 6, &n_drawn), TEMPERA_NAN_INPUT);
    CHECK_EQ_SIZE(n_drawn, 0);
    CHECK_EQ_SIZE(report.n_top, 0);
    CHECK_MEM(&results[0], &untouched, sizeof untouched);
}

// ------------------------------------------------------------------------------------------------
// With replacement

// Each draw has the bits of its own number, and the first is that of tempera_sample.
static void many_draws(void)
{
    const struct tempera_stage stages[] = {tempera_stage_top_p(0.9f),
                                           tempera_stage_temperature(0.7f)};
    struct tempera_sampler sampler = tempera_sampler_of(stages, 2),
                           plain = tempera_sampler_of(NULL, 0);
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct tempera_sample_row row = {.sampler = &sampler, .seed = seed, .want = seed % 4};
        size_t n = 1 + check_random_below(MOST);
        fill(n, 4);
        CHECK_STATUS(draw_many(n, &row, 20), TEMPERA_OK);
        struct tempera_sample_result first = sample_row(z, n, &row);
        CHECK_MEM(&results[0], &first, sizeof first);
        row.sampler = &plain;
        CHECK_STATUS(draw_many(n, &row, 20), TEMPERA_OK);
        uint64_t masses[MOST];
        float max = -INFINITY;
        for (size_t i = 0; i < n; i++)
            max = fmaxf(max, z[i]);
        for (size_t i = 0; i < n; i++)
            masses[i] = mass_of(z[i], max, 1);
        for (uint32_t i = 0; i < 20; i++) {
            tempera_u128 bits = tempera_draw_bits(seed, 0, 0, i);
            CHECK_EQ_INT(results[i].token, (intmax_t)tempera_draw_index(masses, n, bits));
        }
    }
}

// Each draw says what it would teach.
static void levels_of_many(void)
{
    const float tau = 3, eta = 0.25f;
    const struct tempera_stage stage = tempera_stage_mirostat_2(tau, eta);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_sample_row row = {.sampler = &sampler, .seed = 9};
    size_t n_drawn;
    for (int round = 0; round < 2; round++) {
        fill(100, 3);
        if (round == 0)
            CHECK_STATUS(draw_many(100, &row, 20), TEMPERA_OK);
        else
            CHECK_STATUS(draw_distinct(100, &row, 5, &n_drawn), TEMPERA_OK);
        for (size_t i = 0; i < (round == 0 ? 20 : n_drawn); i++) {
            double bits = -(double)results[i].logprob / log(2);
            CHECK_NEAR(results[i].level, 2 * tau - (double)eta * (bits - tau), 1e-5);
        }
    }
}

static void how_often_many_draw(void)
{
    enum { N = 40, DRAWS = 70000 };
    struct tempera_stage stage = tempera_stage_top_k(30);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_sample_row row = {.sampler = &sampler, .seed = 77};
    double counts[N] = {0};
    double p[N];
    fill(N, 2);
    probs_of_row(z, N, &row, probs);
    CHECK_STATUS(draw_many(N, &row, DRAWS), TEMPERA_OK);
    for (size_t i = 0; i < DRAWS; i++)
        counts[results[i].token]++;
    for (size_t i = 0; i < N; i++)
        p[i] = (double)probs[i];
    check_counts(counts, p, N, DRAWS);
}

static void many_of_nothing(void)
{
    struct tempera_sampler sampler = tempera_sampler_of(NULL, 0);
    struct tempera_sample_row row = {.sampler = &sampler};
    fill(10, 1);
    CHECK_STATUS(draw_many(10, &row, 0), TEMPERA_OK);
    z[3] = NAN;
    CHECK_STATUS(draw_many(10, &row, 3), TEMPERA_NAN_INPUT);
    struct tempera_sample_result expected = sample_row(z, 10, &row);
    for (size_t i = 0; i < 3; i++)
        CHECK_MEM(&results[i], &expected, sizeof expected);
}

// ------------------------------------------------------------------------------------------------
// Arguments

// Both calls refuse and write nothing; many is spared what concerns n_drawn alone.
static void check_refused(enum tempera_status expected, const struct tempera_matrix *logits,
                          const struct tempera_sample_row *row, size_t n,
                          struct tempera_sample_result *to, size_t *n_drawn, void *scratch,
                          size_t nbytes)
{
    static struct tempera_sample_result untouched[4];
    memset(results, 0x55, sizeof untouched);
    memset(untouched, 0x55, sizeof untouched);
    CHECK_STATUS(tempera_sample_distinct(logits, row, n, to, n_drawn, scratch, nbytes), expected);
    if (n_drawn != NULL && (void *)n_drawn != (void *)to)
        CHECK_STATUS(tempera_sample_many(logits, row, n, to, scratch, nbytes), expected);
    CHECK_MEM(results, untouched, sizeof untouched);
}

static void bad_arguments(void)
{
    struct tempera_sampler sampler = tempera_sampler_of(NULL, 0), race_it = racer(NULL, 0);
    const struct tempera_sample_row row = {.sampler = &sampler};
    struct tempera_sample_row odd = row, racing = {.sampler = &race_it};
    struct tempera_matrix logits = tempera_matrix_f32(z, 1, 10), two = tempera_matrix_f32(z, 2, 10);
    struct tempera_matrix none = tempera_matrix_f32(z, 0, 10);
    size_t nbytes, n_drawn = 55;
    char *scratch = new_scratch(&logits, &sampler, NULL, &nbytes);
    const enum tempera_status bad = TEMPERA_INVALID_ARGUMENT;
    odd.reserved = 1;
    fill(20, 1);
    check_refused(bad, NULL, &row, 3, results, &n_drawn, scratch, nbytes);
    check_refused(bad, &two, &row, 3, results, &n_drawn, scratch, nbytes);
    check_refused(bad, &none, &row, 3, results, &n_drawn, scratch, nbytes);
    check_refused(bad, &logits, NULL, 3, results, &n_drawn, scratch, nbytes);
    check_refused(bad, &logits, &odd, 3, results, &n_drawn, scratch, nbytes);
    check_refused(bad, &logits, &row, 3, NULL, &n_drawn, scratch, nbytes);
    check_refused(bad, &logits, &row, 3, results, NULL, scratch, nbytes);
    check_refused(bad, &logits, &row, SIZE_MAX / 8, results, &n_drawn, scratch, nbytes);
    check_refused(bad, &logits, &row, 3, results, &n_drawn, NULL, nbytes);
    check_refused(bad, &logits, &row, 3, results, &n_drawn, scratch + 8, nbytes);
    check_refused(bad, &logits, &row, 1, (void *)z, &n_drawn, scratch, nbytes);
    check_refused(bad, &logits, &row, 1, (void *)scratch, &n_drawn, scratch, nbytes);
    check_refused(bad, &logits, &row, 3, results, (void *)results, scratch, nbytes);
    check_refused(TEMPERA_BUFFER_TOO_SMALL, &logits, &row, 3, results, &n_drawn, scratch,
                  nbytes - 1);
    CHECK_EQ_SIZE(n_drawn, 55);
    CHECK_STATUS(tempera_sample_many(&logits, &racing, 3, results, scratch, nbytes), bad);
    CHECK_STATUS(tempera_sample_many(&logits, &row, (size_t)1 << 30, results, scratch, nbytes),
                 bad);
    CHECK_STATUS(tempera_sample_distinct(&logits, &racing, 3, results, &n_drawn, scratch, nbytes),
                 TEMPERA_OK);
    free(scratch);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"noise rises with its bits", noise_of_all_bits},
        {"enumerated bits of three tokens give exact probabilities", enumeration},
        {"winners and their order are those of a sorted Gumbel race", winners},
        {"filters do not change the winner among what they keep", filters_do_not_change_the_winner},
        {"tokens win as often as their probability says", how_often_tokens_win},
        {"pairs come as often as their probability says", how_often_pairs_come},
        {"where fewer than k tokens are left, all are drawn", fewer_than_k},
        {"many draws are those of one draw each", many_draws},
        {"many draws report the feedback of each", levels_of_many},
        {"many draws have the row's distribution", how_often_many_draw},
        {"many draws of nothing report why", many_of_nothing},
        {"bad arguments are refused", bad_arguments},
    };
    return CHECK_RUN(tests, argc, argv);
}
