// SPDX-License-Identifier: MIT
// The fitted temperature against Newton in long double, sums over chunks against sums over all, and
// the solved temperature against the definition of what it was solved for; every border.
#include "check.h"

#include <fenv.h>

#include <tempera/calibration.h>
#include <tempera/softmax.h>

#include "base/half.h"
#include "kernels/kernels.h"

enum { MOST_ROWS = 300, MOST = 400000 };

static float z[MOST];
static int32_t y[MOST_ROWS];

// Classes drawn from softmax(z / T), so that T is about the best temperature.
static void fill(size_t rows, size_t cols, double spread, double T)
{
    for (size_t r = 0; r < rows; r++) {
        double best = -INFINITY;
        for (size_t i = 0; i < cols; i++) {
            double score = spread * check_random_normal();
            double gumbel = -log(-log(check_random_between(0x1p-53, 1)));
            z[r * cols + i] = (float)score;
            if (score / T + gumbel > best) {
                best = score / T + gumbel;
                y[r] = (int32_t)i;
            }
        }
    }
}

struct truth {
    long double loss, slope, curvature;
};

// Sums over the rows at b = 1 / T.
static struct truth truth_at(size_t rows, size_t cols, long double b)
{
    struct truth sums = {0, 0, 0};
    for (size_t r = 0; r < rows; r++) {
        const float *row = z + r * cols;
        long double max = -INFINITY, S = 0, first = 0, second = 0;
        for (size_t i = 0; i < cols; i++)
            max = (long double)row[i] > max ? (long double)row[i] : max;
        for (size_t i = 0; i < cols; i++) {
            long double x = (long double)row[i] - max, e = expl(x * b);
            S += e;
            first += e == 0 ? 0 : e * x;
            second += e == 0 ? 0 : e * x * x;
        }
        long double x = (long double)row[y[r]] - max;
        sums.loss += logl(S) - b * x;
        sums.slope += first / S - x;
        sums.curvature += second / S - first / S * (first / S);
    }
    return sums;
}

static long double best_b(size_t rows, size_t cols, long double low, long double high)
{
    for (int k = 0; k < 45; k++) {
        long double middle = (low + high) / 2;
        if (truth_at(rows, cols, middle).slope < 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

// ------------------------------------------------------------------------------------------------
// Fitting

static void sums_are_the_definitions(void)
{
    enum { ROWS = 7, COLS = 5000 };
    fill(ROWS, COLS, 3, 1);
    struct tempera_temperature_sums sums[] = {
        {.temperature = 0.05}, {.temperature = 1}, {.temperature = 1.7}, {.temperature = 300},
        {.temperature = 1e30}, {.temperature = 1e-37}};
    struct tempera_matrix logits = tempera_matrix_f32(z, ROWS, COLS);
    CHECK_STATUS(tempera_temperature_sums_add(&logits, y, -100, sums, 6, NULL), TEMPERA_OK);
    for (size_t k = 0; k < 6; k++) {
        struct truth truth = truth_at(ROWS, COLS, 1 / (long double)sums[k].temperature);
        double spread = 40; // above max - min
        CHECK_EQ_SIZE(sums[k].count, ROWS);
        CHECK_NEAR(sums[k].loss, (double)truth.loss,
                   ROWS * 0x1p-22 + fabs((double)truth.loss) * 0x1p-50);
        CHECK_NEAR(sums[k].slope, (double)truth.slope, ROWS * spread * 0x1p-21);
        CHECK_NEAR(sums[k].curvature, (double)truth.curvature, ROWS * spread * spread * 0x1p-20);
    }
}

static void fits_the_best(void)
{
    static const double wanted[] = {0.3, 0.9, 1, 1.3, 5, 30};
    for (size_t k = 0; k < 6; k += check_stride(4)) {
        enum { ROWS = 80, COLS = 60 };
        fill(ROWS, COLS, 3 * wanted[k], wanted[k]);
        struct tempera_matrix logits = tempera_matrix_f32(z, ROWS, COLS);
        struct tempera_temperature_fit fit;
        CHECK_STATUS(tempera_fit_temperature(&logits, y, NULL, &fit, NULL), TEMPERA_OK);
        long double b = best_b(ROWS, COLS, 0.01L, 100);
        struct truth truth = truth_at(ROWS, COLS, b);
        // The slope is off by 2^-21 of E|z - max|, here at most 20 T; so b is, over the curvature.
        double slack = 0x1p-21 * 20 * wanted[k] * ROWS / (double)truth.curvature;
        CHECK_NEAR(1 / fit.temperature, (double)b, slack + (double)b * 0x1p-30);
        CHECK_NEAR(fit.loss, (double)truth.loss / ROWS, 0x1p-22);
        CHECK_EQ_SIZE(fit.count, ROWS);
        CHECK_EQ_INT(fit.border, TEMPERA_FIT_INSIDE);
        CHECK(fabs(log(fit.temperature / wanted[k])) < 0.2); // it was the data's temperature
    }
}

// Scores of another size have the T of that size, to the bit if the size is a power of two.
static void fit_scales(void)
{
    enum { ROWS = 50, COLS = 100 };
    fill(ROWS, COLS, 3, 1);
    struct tempera_matrix logits = tempera_matrix_f32(z, ROWS, COLS);
    struct tempera_temperature_fit fit, other;
    CHECK_STATUS(tempera_fit_temperature(&logits, y, NULL, &fit, NULL), TEMPERA_OK);
    for (size_t i = 0; i < ROWS * COLS; i++)
        z[i] *= 8;
    CHECK_STATUS(tempera_fit_temperature(&logits, y, NULL, &other, NULL), TEMPERA_OK);
    CHECK_NEAR(other.temperature, 8 * fit.temperature, 1e-5);
    CHECK_NEAR(other.loss, fit.loss, 0x1p-22);
}

static void borders(void)
{
    enum { ROWS = 20, COLS = 10 };
    struct tempera_matrix logits = tempera_matrix_f32(z, ROWS, COLS);
    struct tempera_temperature_fit fit;
    struct tempera_fit_options options = tempera_fit_options_default();
    for (int side = 0; side < 2; side++) {
        fill(ROWS, COLS, 3, 1);
        for (size_t r = 0; r < ROWS; r++) // the target is the largest, or the smallest
            for (size_t i = 0; i < COLS; i++)
                if (side == 0 ? z[r * COLS + i] > z[r * COLS + (size_t)y[r]]
                              : z[r * COLS + i] < z[r * COLS + (size_t)y[r]])
                    y[r] = (int32_t)i;
        CHECK_STATUS(tempera_fit_temperature(&logits, y, NULL, &fit, NULL), TEMPERA_OK);
        CHECK(fit.temperature == (side == 0 ? 0.01 : 100));
        CHECK_EQ_INT(fit.border, side == 0 ? TEMPERA_FIT_LOWEST : TEMPERA_FIT_HIGHEST);
        options.lowest = 1e-38;
        options.highest = 3e38;
        CHECK_STATUS(tempera_fit_temperature(&logits, y, &options, &fit, NULL), TEMPERA_OK);
        CHECK(fit.temperature == (side == 0 ? 1e-38 : 3e38));
        CHECK_NEAR(fit.loss, side == 0 ? 0 : log(COLS), 1e-6);
    }
    // A valley, and a range that ends before it.
    fill(ROWS, COLS, 3, 1);
    options.lowest = 4;
    options.highest = 9;
    CHECK_STATUS(tempera_fit_temperature(&logits, y, &options, &fit, NULL), TEMPERA_OK);
    CHECK(fit.temperature == 4 && fit.border == TEMPERA_FIT_LOWEST);
    // The same loss at every T.
    memset(z, 0, sizeof z);
    CHECK_STATUS(tempera_fit_temperature(&logits, y, NULL, &fit, NULL), TEMPERA_OK);
    CHECK(fit.temperature == 1 && fit.border == TEMPERA_FIT_INSIDE);
    CHECK_NEAR(fit.loss, log(COLS), 1e-15);
    // No row counts.
    for (size_t r = 0; r < ROWS; r++)
        y[r] = TEMPERA_IGNORE_INDEX;
    CHECK_STATUS(tempera_fit_temperature(&logits, y, NULL, &fit, NULL), TEMPERA_OK);
    CHECK(fit.temperature == 1 && fit.loss == 0 && fit.count == 0);
}

// A valley far off, in an open range: the bracket has to find it.
static void far_valley(void)
{
    enum { ROWS = 40, COLS = 30 };
    struct tempera_matrix logits = tempera_matrix_f32(z, ROWS, COLS);
    struct tempera_fit_options options = tempera_fit_options_default();
    options.lowest = 1e-30;
    options.highest = 1e30;
    for (int side = 0; side < 2; side++) {
        double size = side == 0 ? 1e-25 : 1e25;
        fill(ROWS, COLS, 3, 1);
        double b = (double)best_b(ROWS, COLS, 0.01L, 100);
        for (size_t i = 0; i < ROWS * COLS; i++)
            z[i] *= (float)size;
        struct tempera_temperature_fit fit;
        CHECK_STATUS(tempera_fit_temperature(&logits, y, &options, &fit, NULL), TEMPERA_OK);
        CHECK_NEAR(fit.temperature / size * b, 1, 1e-4);
    }
}

static void bad_rows(void)
{
    enum { ROWS = 30, COLS = 10 };
    fill(ROWS, COLS, 3, 1);
    struct tempera_matrix logits = tempera_matrix_f32(z, ROWS, COLS);
    struct tempera_matrix fewer = tempera_matrix_f32(z + 3 * COLS, ROWS - 3, COLS);
    struct tempera_temperature_fit fit, rest;
    z[(size_t)y[0]] = -INFINITY; // row 0: the target is masked
    for (size_t i = 0; i < COLS; i++)
        z[COLS + i] = -INFINITY; // row 1: all is
    y[2] = TEMPERA_IGNORE_INDEX;
    z[3 * COLS + ((size_t)y[3] + 1) % COLS] = -INFINITY; // row 3: another one is
    CHECK_STATUS(tempera_fit_temperature(&logits, y, NULL, &fit, NULL), TEMPERA_TARGET_MASKED);
    CHECK_STATUS(tempera_fit_temperature(&fewer, y + 3, NULL, &rest, NULL), TEMPERA_OK);
    CHECK_EQ_SIZE(fit.count, ROWS - 3);
    CHECK_NEAR(fit.temperature, rest.temperature, 1e-12);
    z[5] = NAN;
    z[2 * COLS] = NAN;
    CHECK_STATUS(tempera_fit_temperature(&logits, y, NULL, &fit, NULL), TEMPERA_NAN_INPUT);
    CHECK(isnan(fit.temperature) && isnan(fit.loss));
    z[0] = z[3] = INFINITY; // a limit: ln 2 at every T
    z[5] = 1;
    y[0] = 3;
    struct tempera_temperature_sums sums[] = {{.temperature = 0.5}, {.temperature = 2}};
    struct tempera_matrix one = tempera_matrix_f32(z, 1, COLS);
    CHECK_STATUS(tempera_temperature_sums_add(&one, y, -100, sums, 2, NULL), TEMPERA_OK);
    for (size_t k = 0; k < 2; k++) {
        CHECK_NEAR(sums[k].loss, log(2), 1e-15);
        CHECK(sums[k].slope == 0 && sums[k].curvature == 0);
    }
}

// Chunks of any size, one pass over each: the temperature of all rows at once.
static void chunks(void)
{
    enum { N = 13, ROWS = 80, COLS = 60 };
    double grid[N]; // from 1/4 to 4
    for (size_t i = 0; i < N; i++)
        grid[i] = pow(2, (double)i / 3 - 2);
    for (int k = 0; k < 3; k++) {
        fill(ROWS, COLS, 4, k == 0 ? 0.7 : k == 1 ? 1.05 : 2.2);
        struct tempera_temperature_sums sums[N] = {{0}};
        for (size_t i = 0; i < N; i++)
            sums[i].temperature = grid[i];
        for (size_t at = 0, step = 1; at < ROWS; at += step, step++) {
            size_t n = ROWS - at < step ? ROWS - at : step;
            struct tempera_matrix chunk = tempera_matrix_f32(z + at * COLS, n, COLS);
            CHECK_STATUS(tempera_temperature_sums_add(&chunk, y + at, -100, sums, N, NULL),
                         TEMPERA_OK);
        }
        struct tempera_temperature_fit fit;
        CHECK_STATUS(tempera_fit_temperature_to_sums(sums, N, &fit), TEMPERA_OK);
        double b = (double)best_b(ROWS, COLS, 0.01L, 100);
        CHECK_NEAR(fit.temperature * b, 1, 1e-4);
        CHECK_NEAR(fit.loss, (double)truth_at(ROWS, COLS, (long double)b).loss / ROWS, 1e-5);
        CHECK_EQ_SIZE(fit.count, ROWS);
        // Beyond either end of the grid.
        CHECK_STATUS(tempera_fit_temperature_to_sums(sums, 2, &fit), TEMPERA_OK);
        CHECK(fit.temperature == grid[1] && fit.border == TEMPERA_FIT_HIGHEST);
        CHECK_STATUS(tempera_fit_temperature_to_sums(sums + N - 2, 2, &fit), TEMPERA_OK);
        CHECK(fit.temperature == grid[N - 2] && fit.border == TEMPERA_FIT_LOWEST);
        sums[3].count++;
        CHECK_STATUS(tempera_fit_temperature_to_sums(sums, N, &fit), TEMPERA_INVALID_ARGUMENT);
    }
}

static void fit_arguments(void)
{
    fill(4, 5, 1, 1);
    struct tempera_matrix logits = tempera_matrix_f32(z, 4, 5);
    struct tempera_temperature_fit fit = {.temperature = 7};
    const double bad[][2] = {{0, 1}, {-1, 1}, {2, 1}, {1, INFINITY}, {NAN, 1}, {1, NAN}};
    for (size_t i = 0; i < 6; i++) {
        struct tempera_fit_options options = tempera_fit_options_default();
        options.lowest = bad[i][0];
        options.highest = bad[i][1];
        CHECK_STATUS(tempera_fit_temperature(&logits, y, &options, &fit, NULL),
                     TEMPERA_INVALID_ARGUMENT);
    }
    CHECK_STATUS(tempera_fit_temperature(&logits, NULL, NULL, &fit, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_fit_temperature(&logits, y, NULL, NULL, NULL), TEMPERA_INVALID_ARGUMENT);
    y[2] = 5;
    CHECK_STATUS(tempera_fit_temperature(&logits, y, NULL, &fit, NULL),
                 TEMPERA_TARGET_OUT_OF_RANGE);
    CHECK(fit.temperature == 7);
    struct tempera_temperature_sums sums[33] = {{.temperature = 1}, {.temperature = 1}};
    CHECK_STATUS(tempera_fit_temperature_to_sums(sums, 2, &fit), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_fit_temperature_to_sums(sums, 1, &fit), TEMPERA_INVALID_ARGUMENT);
    y[2] = 0;
    CHECK_STATUS(tempera_temperature_sums_add(&logits, y, -100, sums, 33, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_temperature_sums_add(&logits, y, -100, sums, 0, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    sums[1].temperature = 0;
    CHECK_STATUS(tempera_temperature_sums_add(&logits, y, -100, sums, 2, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK(sums[0].count == 0 && sums[0].loss == 0);
}

// Any executor, any table, any rounding mode; 16-bit scores as the same ones in f32.
static void fit_bits(void)
{
    enum { ROWS = 200, COLS = 1000 };
    fill(ROWS, COLS, 3, 1.2);
    static uint16_t halves[ROWS * COLS];
    for (size_t i = 0; i < ROWS * COLS; i++) {
        halves[i] = tempera_f32_to_bf16(z[i]);
        z[i] = tempera_bf16_to_f32(halves[i]);
    }
    struct tempera_matrix logits = tempera_matrix_f32(z, ROWS, COLS);
    struct tempera_matrix narrow = {halves, TEMPERA_BF16, ROWS, COLS, COLS};
    struct tempera_temperature_fit usual = {0}, fit = {0};
    CHECK_STATUS(tempera_fit_temperature(&logits, y, NULL, &usual, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_fit_temperature(&narrow, y, NULL, &fit, NULL), TEMPERA_OK);
    CHECK_MEM(&fit.temperature, &usual.temperature, sizeof fit.temperature);
    for (size_t threads = 2; threads <= 7; threads += 5) {
        struct tempera_thread_pool *pool = NULL;
        CHECK_STATUS(tempera_thread_pool_open(&pool, threads), TEMPERA_OK);
        tempera_fit_temperature(&logits, y, NULL, &fit, tempera_thread_pool_executor(pool));
        tempera_thread_pool_close(&pool);
        CHECK_MEM(&fit.temperature, &usual.temperature, sizeof fit.temperature);
        CHECK_MEM(&fit.loss, &usual.loss, sizeof fit.loss);
    }
    const struct tempera_kernels *before = tempera_kernels_active(), *table;
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++) {
        tempera_kernels_use(table);
        tempera_fit_temperature(&logits, y, NULL, &fit, NULL);
        check_that(memcmp(&fit.temperature, &usual.temperature, sizeof(double)) == 0, __FILE__,
                   __LINE__, "%s has other bits", table->name);
    }
    tempera_kernels_use(before);
    fesetround(FE_UPWARD);
    tempera_fit_temperature(&logits, y, NULL, &fit, NULL);
    fesetround(FE_TONEAREST);
    CHECK_MEM(&fit.temperature, &usual.temperature, sizeof fit.temperature);
}

// ------------------------------------------------------------------------------------------------
// Solving

// H, or -ln of the top share, at a float T in (0, inf).
static double value_of(const float *row, size_t n, float T, enum tempera_goal goal)
{
    long double max = -INFINITY, S = 0, first = 0;
    for (size_t i = 0; i < n; i++)
        max = (long double)row[i] > max ? (long double)row[i] : max;
    for (size_t i = 0; i < n; i++) {
        long double x = ((long double)row[i] - max) / (long double)T, e = expl(x);
        S += e;
        first += e == 0 ? 0 : e * x;
    }
    return (double)(goal == TEMPERA_GOAL_TOP_SHARE ? logl(S) : logl(S) - first / S);
}

static double value_from(enum tempera_goal goal, double target)
{
    return goal == TEMPERA_GOAL_ENTROPY      ? target
           : goal == TEMPERA_GOAL_PERPLEXITY ? log(target)
                                             : -log(target);
}

static void check_solved(size_t rows, size_t cols, enum tempera_goal goal, double target)
{
    static float T[MOST_ROWS], achieved[MOST_ROWS];
    struct tempera_matrix logits = tempera_matrix_f32(z, rows, cols);
    CHECK_STATUS(tempera_solve_temperature(&logits, goal, target, T, achieved, NULL, NULL),
                 TEMPERA_OK);
    for (size_t r = 0; r < rows; r++) {
        double wanted = value_from(goal, target), bound = 0x1p-20 * (1 + wanted);
        if (!CHECK(T[r] > 0 && T[r] < INFINITY))
            continue;
        CHECK_NEAR(value_of(z + r * cols, cols, T[r], goal), wanted, bound);
        CHECK_NEAR(value_from(goal, (double)achieved[r]), wanted, bound);
    }
}

static void solves(void)
{
    static const double entropies[] = {1e-3, 0.1, 1, 3, 5, 5.9};
    static const double sizes[] = {1, 1e-3, 1e3, 1e-20, 1e20, 1e-36, 3e36};
    for (size_t s = 0; s < 7; s += check_stride(3))
        for (size_t k = 0; k < 6; k++) {
            enum { COLS = 400 };
            fill(3, COLS, 3, 1);
            for (size_t i = 0; i < 3 * COLS; i++)
                z[i] *= (float)sizes[s];
            check_solved(3, COLS, TEMPERA_GOAL_ENTROPY, entropies[k]);
            check_solved(3, COLS, TEMPERA_GOAL_PERPLEXITY, exp(entropies[k]));
            check_solved(3, COLS, TEMPERA_GOAL_TOP_SHARE, exp(-entropies[k]));
        }
    fill(2, 60000, 3, 1);
    check_solved(2, 60000, TEMPERA_GOAL_ENTROPY, 2.5);
    for (size_t i = 0; i < 60000; i += 2)
        z[i] = -INFINITY; // masks
    z[1] = 300;           // and one far ahead of all
    check_solved(1, 60000, TEMPERA_GOAL_ENTROPY, 2.5);
    check_solved(1, 60000, TEMPERA_GOAL_TOP_SHARE, 0.999);
}

struct asked {
    float T, achieved;
    enum tempera_status status;
};

static struct asked solve_one(const float *row, size_t n, enum tempera_goal goal, double target)
{
    struct asked asked = {7, 7, TEMPERA_OK};
    struct tempera_matrix logits = tempera_matrix_const_f32(row, 1, n);
    asked.status = tempera_solve_temperature(&logits, goal, target, &asked.T, &asked.achieved,
                                             NULL, NULL);
    return asked;
}

static void solve_borders(void)
{
    const float inf = INFINITY, ties[] = {2, 2, 1, -inf, 0}, even[] = {1, 1, 1, -inf};
    // Two at the top of four: H from ln 2 to ln 4, top share from 1/2 to 1/4.
    const struct {
        enum tempera_goal goal;
        double target;
        float T;
        double achieved;
    } cases[] = {
        {TEMPERA_GOAL_ENTROPY, 0, 0, log(2)},       {TEMPERA_GOAL_ENTROPY, 0.693, 0, log(2)},
        {TEMPERA_GOAL_ENTROPY, 1.39, inf, log(4)},  {TEMPERA_GOAL_ENTROPY, inf, inf, log(4)},
        {TEMPERA_GOAL_PERPLEXITY, 1, 0, 2},         {TEMPERA_GOAL_PERPLEXITY, 2, 0, 2},
        {TEMPERA_GOAL_PERPLEXITY, 4, inf, 4},       {TEMPERA_GOAL_PERPLEXITY, inf, inf, 4},
        {TEMPERA_GOAL_TOP_SHARE, 1, 0, 0.5},        {TEMPERA_GOAL_TOP_SHARE, 0.5, 0, 0.5},
        {TEMPERA_GOAL_TOP_SHARE, 0.25, inf, 0.25},  {TEMPERA_GOAL_TOP_SHARE, 1e-9, inf, 0.25},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct asked asked = solve_one(ties, 5, cases[i].goal, cases[i].target);
        CHECK_STATUS(asked.status, TEMPERA_OK);
        CHECK(asked.T == cases[i].T);
        CHECK_ULP(asked.achieved, cases[i].achieved, 1);
    }
    CHECK(solve_one(even, 4, TEMPERA_GOAL_ENTROPY, 1).T == 0);
    CHECK(solve_one(even, 4, TEMPERA_GOAL_ENTROPY, 1.2).T == inf);
    const float top[] = {inf, 0, inf}, nan[] = {1, NAN, 2}, none[] = {-inf, -inf};
    struct asked asked = solve_one(top, 3, TEMPERA_GOAL_ENTROPY, 1);
    CHECK(asked.T == inf);
    CHECK_ULP(asked.achieved, log(2), 1);
    asked = solve_one(nan, 3, TEMPERA_GOAL_ENTROPY, 1);
    CHECK_STATUS(asked.status, TEMPERA_NAN_INPUT);
    CHECK(isnan(asked.T) && isnan(asked.achieved));
    asked = solve_one(none, 2, TEMPERA_GOAL_ENTROPY, 1);
    CHECK_STATUS(asked.status, TEMPERA_ALL_MASKED);
    CHECK(isnan(asked.T));
}

static void solve_arguments(void)
{
    const double bad[3][3] = {{-1e-9, NAN, -INFINITY}, {0.99, NAN, 0}, {0, 1.01, NAN}};
    for (int goal = TEMPERA_GOAL_ENTROPY; goal <= TEMPERA_GOAL_TOP_SHARE; goal++)
        for (size_t k = 0; k < 3; k++) {
            struct asked asked = solve_one(z, 5, (enum tempera_goal)goal, bad[goal][k]);
            CHECK_STATUS(asked.status, TEMPERA_INVALID_ARGUMENT);
            CHECK(asked.T == 7 && asked.achieved == 7);
        }
    struct tempera_matrix logits = tempera_matrix_f32(z, 2, 5);
    CHECK_STATUS(tempera_solve_temperature(&logits, TEMPERA_GOAL_ENTROPY, 1, NULL, NULL, NULL,
                                           NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_solve_temperature(&logits, TEMPERA_GOAL_ENTROPY, 1, z + 9, NULL, NULL,
                                           NULL),
                 TEMPERA_INVALID_ARGUMENT);
    float T[3];
    CHECK_STATUS(tempera_solve_temperature(&logits, TEMPERA_GOAL_ENTROPY, 1, T, T + 1, NULL, NULL),
                 TEMPERA_INVALID_ARGUMENT);
}

// What softmax makes of the T that was found.
static void softmax_agrees(void)
{
    enum { COLS = 1000 };
    static float p[COLS];
    fill(1, COLS, 3, 1);
    float T;
    struct tempera_matrix logits = tempera_matrix_f32(z, 1, COLS);
    struct tempera_matrix probs = tempera_matrix_f32(p, 1, COLS);
    CHECK_STATUS(tempera_solve_temperature(&logits, TEMPERA_GOAL_TOP_SHARE, 0.5, &T, NULL, NULL,
                                           NULL),
                 TEMPERA_OK);
    struct tempera_softmax_options options = tempera_softmax_options_default();
    options.temperature = T;
    CHECK_STATUS(tempera_softmax(&logits, &options, &probs, NULL, NULL), TEMPERA_OK);
    float top = 0;
    for (size_t i = 0; i < COLS; i++)
        top = p[i] > top ? p[i] : top;
    CHECK_NEAR((double)top, 0.5, 0x1p-20);
}

static void solve_bits(void)
{
    enum { ROWS = 40, COLS = 3000 };
    static float usual[ROWS], T[ROWS];
    fill(ROWS, COLS, 3, 1);
    struct tempera_matrix logits = tempera_matrix_f32(z, ROWS, COLS);
    tempera_solve_temperature(&logits, TEMPERA_GOAL_ENTROPY, 2, usual, NULL, NULL, NULL);
    const struct tempera_kernels *before = tempera_kernels_active(), *table;
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++) {
        tempera_kernels_use(table);
        tempera_solve_temperature(&logits, TEMPERA_GOAL_ENTROPY, 2, T, NULL, NULL, NULL);
        CHECK_MEM(T, usual, sizeof T);
    }
    tempera_kernels_use(before);
    struct tempera_thread_pool *pool = NULL;
    CHECK_STATUS(tempera_thread_pool_open(&pool, 3), TEMPERA_OK);
    tempera_solve_temperature(&logits, TEMPERA_GOAL_ENTROPY, 2, T, NULL, NULL,
                              tempera_thread_pool_executor(pool));
    tempera_thread_pool_close(&pool);
    CHECK_MEM(T, usual, sizeof T);
    fesetround(FE_DOWNWARD);
    tempera_solve_temperature(&logits, TEMPERA_GOAL_ENTROPY, 2, T, NULL, NULL, NULL);
    fesetround(FE_TONEAREST);
    CHECK_MEM(T, usual, sizeof T);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"sums of loss, slope and curvature are the definitions", sums_are_the_definitions},
        {"the fitted temperature is the best", fits_the_best},
        {"the fit scales with the scores", fit_scales},
        {"borders of the range, flat losses and no rows give what is documented", borders},
        {"valleys at 1e-25 and 1e25 are found", far_valley},
        {"rows with masked targets, NaN or infinite scores have a status", bad_rows},
        {"sums chunk by chunk are those of all rows", chunks},
        {"bad arguments of the fit are refused", fit_arguments},
        {"the fit's bits do not depend on threads, kernels or modes", fit_bits},
        {"entropy, perplexity and top share are reached", solves},
        {"ties, equal scores, masks and NaN give what is documented", solve_borders},
        {"bad arguments of the solution are refused", solve_arguments},
        {"softmax at the solution reaches the goal", softmax_agrees},
        {"the solution's bits do not depend on threads, kernels or modes", solve_bits},
    };
    return CHECK_RUN(tests, argc, argv);
}
