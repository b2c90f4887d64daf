// SPDX-License-Identifier: MIT
// Beam steps against all continuations sorted; a search of full width against every sequence there
// is; scores of lengths.
#include "sampler_setup.h"

#include <tempera/decoding.h>
#include <tempera/softmax.h>

#include "base/half.h"

enum { MOST_BEAMS = 9, MOST = 5000, MOST_WIDTH = 300 };

static float z[MOST_BEAMS * MOST], raw[MOST_BEAMS * MOST];
static double logprobs[MOST_BEAMS];
static const uint32_t *masks[MOST_BEAMS];
static struct tempera_beam beams[MOST_WIDTH], all[MOST_BEAMS * MOST];

static int by_logprob(const void *a, const void *b)
{
    const struct tempera_beam *x = a, *y = b;
    if (x->logprob != y->logprob)
        return x->logprob < y->logprob ? 1 : -1;
    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

// All continuations, the best first.
static size_t continuations(size_t n_beams, size_t n, bool masked)
{
    size_t count = 0;
    for (size_t r = 0; r < n_beams; r++) {
        struct tempera_softmax_options options = tempera_softmax_options_default();
        options.mask = masked ? masks[r] : NULL;
        struct tempera_matrix in = tempera_matrix_f32(z + r * n, 1, n);
        struct tempera_matrix out = tempera_matrix_f32(raw + r * n, 1, n);
        if (tempera_log_softmax(&in, &options, &out, NULL, NULL) != TEMPERA_OK)
            continue;
        for (size_t i = 0; i < n; i++) {
            double logprob = logprobs[r] + (double)raw[r * n + i];
            if (logprob > -INFINITY)
                all[count++] = (struct tempera_beam){logprob, (int32_t)i, (uint32_t)r};
        }
    }
    qsort(all, count, sizeof *all, by_logprob);
    return count;
}

static void check_step(const struct tempera_matrix *logits, size_t n_beams, size_t n, size_t width,
                       bool masked, enum tempera_status expected)
{
    size_t n_found = 99, count = continuations(n_beams, n, masked);
    memset(beams, 0x55, sizeof beams);
    struct tempera_beam untouched = beams[0];
    CHECK_STATUS(tempera_beam_step(logits, logprobs, masked ? masks : NULL, beams, width, &n_found),
                 expected);
    CHECK_EQ_SIZE(n_found, count < width ? count : width);
    CHECK_MEM(beams, all, n_found * sizeof *beams);
    for (size_t i = n_found; i < MOST_WIDTH; i++)
        CHECK_MEM(&beams[i], &untouched, sizeof untouched);
}

static void steps(void)
{
    static const size_t sizes[] = {1, 2, 17, 300, 4096, 5000};
    static const size_t widths[] = {0, 1, 2, 5, 64, MOST_WIDTH};
    static uint32_t bits[MOST_BEAMS][MOST / 32 + 1];
    static uint16_t half[MOST_BEAMS * MOST];
    for (unsigned round = 0; round < 150; round++) {
        size_t n_beams = 1 + check_random_below(MOST_BEAMS), n = sizes[round % COUNT_OF(sizes)];
        size_t width = widths[check_random_below(COUNT_OF(widths))];
        enum tempera_dtype dtype = round % 3 == 0 ? TEMPERA_F16 : TEMPERA_F32;
        for (size_t i = 0; i < n_beams * n; i++) {
            z[i] = round % 2 ? (float)check_random_below(8) : (float)check_random_between(-6, 6);
            half[i] = tempera_f32_to_f16(z[i]);
            if (dtype == TEMPERA_F16)
                z[i] = tempera_f16_to_f32(half[i]);
        }
        for (size_t r = 0; r < n_beams; r++) {
            logprobs[r] = round % 5 == 1 ? 0 : check_random_between(-20, 0);
            for (size_t i = 0; i <= n / 32; i++)
                bits[r][i] = (uint32_t)check_random();
            bits[r][0] |= 1;
            masks[r] = r % 3 == 2 ? NULL : bits[r];
        }
        if (round % 4 == 3)
            logprobs[n_beams / 2] = -INFINITY;
        struct tempera_matrix logits = {dtype == TEMPERA_F16 ? (void *)half : (void *)z, dtype,
                                        n_beams, n, n};
        check_step(&logits, n_beams, n, width, round % 7 < 3, TEMPERA_OK);
    }
}

// Beams that fail continue nothing; those that are over aren't read.
static void rows_that_fail(void)
{
    static const uint32_t none[2] = {0};
    for (size_t i = 0; i < 3 * 40; i++)
        z[i] = (float)check_random_between(-3, 3);
    for (size_t r = 0; r < 3; r++) {
        logprobs[r] = -(double)r;
        masks[r] = NULL;
    }
    struct tempera_matrix logits = tempera_matrix_f32(z, 3, 40);
    z[40] = NAN;
    check_step(&logits, 3, 40, 20, false, TEMPERA_NAN_INPUT);
    logprobs[1] = -INFINITY;
    check_step(&logits, 3, 40, 20, false, TEMPERA_OK);
    masks[2] = none;
    check_step(&logits, 3, 40, 200, true, TEMPERA_ALL_MASKED);
    z[3] = INFINITY;
    check_step(&logits, 3, 40, 200, true, TEMPERA_ALL_MASKED);
    CHECK(beams[0].token == 3 && beams[0].logprob == 0);
    logits.rows = 0;
    check_step(&logits, 0, 40, 20, false, TEMPERA_OK);
}

// With beams for everything, the search finds the best of all sequences.
static void whole_search(void)
{
    enum { N = 5, STEPS = 3, LEAVES = N * N * N };
    static float scores[1 + N + N * N][N];
    double best = -INFINITY;
    size_t best_leaf = 0, n_beams = 1, places[LEAVES] = {0}, next[LEAVES];
    static double beam_logprobs[LEAVES];
    for (size_t i = 0; i < COUNT_OF(scores); i++)
        for (size_t j = 0; j < N; j++)
            scores[i][j] = (float)check_random_between(-3, 3);
    for (size_t leaf = 0; leaf < LEAVES; leaf++) {
        const size_t path[STEPS] = {leaf / (N * N), leaf / N % N, leaf % N};
        const size_t nodes[STEPS] = {0, 1 + path[0], 1 + N + path[0] * N + path[1]};
        double logprob = 0;
        for (size_t s = 0; s < STEPS; s++) {
            double sum = 0;
            for (size_t j = 0; j < N; j++)
                sum += exp((double)scores[nodes[s]][j]);
            logprob += (double)scores[nodes[s]][path[s]] - log(sum);
        }
        if (logprob > best) {
            best = logprob;
            best_leaf = leaf;
        }
    }
    // A place is the path so far: 0, then token by token
    beam_logprobs[0] = 0;
    for (size_t s = 0; s < STEPS; s++) {
        static const size_t first_node[STEPS] = {0, 1, 1 + N};
        for (size_t r = 0; r < n_beams; r++)
            memcpy(z + r * N, scores[first_node[s] + places[r]], sizeof scores[0]);
        struct tempera_matrix logits = tempera_matrix_f32(z, n_beams, N);
        size_t n_found;
        CHECK_STATUS(tempera_beam_step(&logits, beam_logprobs, NULL, beams, MOST_WIDTH, &n_found),
                     TEMPERA_OK);
        CHECK_EQ_SIZE(n_found, n_beams * N);
        for (size_t i = 0; i < n_found; i++) {
            next[i] = places[beams[i].parent] * N + (size_t)beams[i].token;
            beam_logprobs[i] = beams[i].logprob;
        }
        memcpy(places, next, sizeof places);
        n_beams = n_found;
    }
    CHECK_EQ_SIZE(places[0], best_leaf);
    CHECK_NEAR(beam_logprobs[0], best, 1e-5);
    double sum = 0;
    for (size_t i = 0; i < n_beams; i++)
        sum += exp(beam_logprobs[i]);
    CHECK_NEAR(sum, 1, 1e-5);
}

static void scores_of_lengths(void)
{
    CHECK(tempera_beam_score(-12.5, 7, 0) == -12.5);
    CHECK(tempera_beam_score(-12.5, 1, 3) == -12.5);
    for (int i = 0; i < 2000; i++) {
        double logprob = check_random_between(-500, 0), penalty = check_random_between(-8, 8);
        size_t length = 1 + (check_random() >> check_random_below(64)) / 2;
        double exact =
            (double)((long double)logprob / powl((long double)length, (long double)penalty));
        CHECK_NEAR(tempera_beam_score(logprob, length, penalty), exact, 0x1p-42 * fabs(exact));
    }
    CHECK_NEAR(tempera_beam_score(-12, 4, 1), -3, 1e-14);
    CHECK(tempera_beam_score(-INFINITY, 4, 1) == -INFINITY);
    CHECK(isnan(tempera_beam_score(-1, 0, 1)));
    CHECK(isnan(tempera_beam_score(-1, 2, 8.5)) && isnan(tempera_beam_score(-1, 2, NAN)));
}

static void check_refused(const struct tempera_matrix *logits, const double *given, void *to,
                          size_t width, size_t *n_found)
{
    struct tempera_beam untouched[8];
    memset(beams, 0x55, sizeof untouched);
    memset(untouched, 0x55, sizeof untouched);
    CHECK_STATUS(tempera_beam_step(logits, given, NULL, to, width, n_found),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_MEM(beams, untouched, sizeof untouched);
}

static void bad_arguments(void)
{
    struct tempera_matrix logits = tempera_matrix_f32(z, 2, 10), wide = logits, empty = logits;
    size_t n_found = 77;
    wide.cols = wide.row_stride = (size_t)INT32_MAX + 1;
    empty.data = NULL;
    logprobs[0] = logprobs[1] = 0;
    check_refused(NULL, logprobs, beams, 3, &n_found);
    check_refused(&wide, logprobs, beams, 3, &n_found);
    check_refused(&empty, logprobs, beams, 3, &n_found);
    check_refused(&logits, NULL, beams, 3, &n_found);
    check_refused(&logits, logprobs, NULL, 3, &n_found);
    check_refused(&logits, logprobs, beams, 3, NULL);
    check_refused(&logits, logprobs, beams, SIZE_MAX / 4, &n_found);
    check_refused(&logits, logprobs, beams, 3, (void *)&beams[2]);
    check_refused(&logits, logprobs, z + 4, 1, &n_found);
    check_refused(&logits, logprobs, logprobs, 1, &n_found);
    check_refused(&logits, logprobs, beams, 3, (void *)&logprobs[1]);
    logprobs[1] = NAN;
    check_refused(&logits, logprobs, beams, 3, &n_found);
    logprobs[1] = INFINITY;
    check_refused(&logits, logprobs, beams, 3, &n_found);
    CHECK_EQ_SIZE(n_found, 77);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"a step keeps the best of all continuations", steps},
        {"rows that fail are reported", rows_that_fail},
        {"a search of full width finds the best of all sequences", whole_search},
        {"length penalties are the formula", scores_of_lengths},
        {"bad arguments are refused", bad_arguments},
    };
    return CHECK_RUN(tests, argc, argv);
}
