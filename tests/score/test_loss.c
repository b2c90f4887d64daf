// SPDX-License-Identifier: MIT
// Cross-entropy against the definition in long double, finite differences, and every edge of the
// contract in loss.h.
#include "check.h"

#include <fenv.h>

#include <tempera/loss.h>
#include <tempera/softmax.h>

enum { MOST_ROWS = 600, MOST_COLS = 300 };

static float z[MOST_ROWS * MOST_COLS], q[MOST_ROWS * MOST_COLS], g[MOST_ROWS * MOST_COLS];
static int32_t y[MOST_ROWS];

static void fill(size_t rows, size_t cols, double spread)
{
    for (size_t i = 0; i < rows * cols; i++)
        z[i] = (float)(spread * check_random_normal());
    for (size_t r = 0; r < rows; r++)
        y[r] = (int32_t)check_random_below(cols);
}

// Distributions with some zeros; they need not sum to exactly 1.
static void fill_soft(size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++) {
        double sum = 0;
        for (size_t i = 0; i < cols; i++) {
            double share = check_random_below(3) == 0 ? 0 : check_random_between(0, 1);
            q[r * cols + i] = (float)share;
            sum += share;
        }
        for (size_t i = 0; i < cols && sum > 0; i++)
            q[r * cols + i] = (float)((double)q[r * cols + i] / sum);
    }
}

// The definition: loss, and its gradient into d[cols], of row r.
static long double row_truth(size_t r, size_t cols, double T, bool soft, long double *d,
                             long double *logsumexp)
{
    const float *row = z + r * cols;
    long double max = -INFINITY, S = 0, total = 0, loss = 0;
    for (size_t i = 0; i < cols; i++)
        max = (long double)row[i] > max ? (long double)row[i] : max;
    for (size_t i = 0; i < cols; i++)
        S += expl(((long double)row[i] - max) / (long double)T);
    for (size_t i = 0; i < cols; i++) {
        long double target = soft ? (long double)q[r * cols + i] : i == (size_t)y[r];
        total += target;
        if (target != 0)
            loss += target * (logl(S) - ((long double)row[i] - max) / (long double)T);
        d[i] = -target;
    }
    for (size_t i = 0; i < cols; i++)
        d[i] = (d[i] + total * expl(((long double)row[i] - max) / (long double)T) / S) /
               (long double)T;
    *logsumexp = max / (long double)T + logl(S);
    return loss;
}

static void check_definition(size_t rows, size_t cols, float T, bool soft,
                             enum tempera_reduction reduction)
{
    static float row_loss[MOST_ROWS], lse[MOST_ROWS];
    static long double d[MOST_COLS];
    double loss = 0;
    size_t count = 0;
    struct tempera_matrix logits = tempera_matrix_f32(z, rows, cols);
    struct tempera_matrix d_logits = tempera_matrix_f32(g, rows, cols);
    struct tempera_matrix soft_targets = tempera_matrix_f32(q, rows, cols);
    struct tempera_targets targets = {soft ? NULL : y, soft ? &soft_targets : NULL};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    options.temperature = T;
    options.reduction = reduction;
    options.gradient_scale = 1.5f;
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs,
                                                    .d_logits = &d_logits,
                                                    .row_loss = row_loss,
                                                    .row_logsumexp = lse,
                                                    .loss = &loss,
                                                    .count = &count};
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, &options, &outputs, NULL), TEMPERA_OK);
    CHECK_EQ_SIZE(count, rows);
    long double sum = 0, magnitude = 0;
    double scale = 1.5 / (reduction == TEMPERA_REDUCTION_MEAN ? (double)rows : 1);
    for (size_t r = 0; r < rows; r++) {
        long double logsumexp, exact = row_truth(r, cols, (double)T, soft, d, &logsumexp);
        sum += exact;
        magnitude += fabsl(exact);
        CHECK_NEAR((double)row_loss[r], (double)exact, ulp_of(exact) + 0x1p-22);
        CHECK_NEAR((double)lse[r], (double)logsumexp, ulp_of(logsumexp) + 0x1p-22);
        CHECK(soft || row_loss[r] >= 0);
        for (size_t i = 0; i < cols; i++) {
            // The bound of the header: p is within 7 ulp and meets the target in double.
            double slope = (double)d[i] * scale, per_loss = scale / (double)T;
            bool meets_target = soft || (size_t)y[r] == i;
            double slack = meets_target ? 0x1p-21 * per_loss : 7 * ulp_of(d[i]) * scale;
            CHECK_NEAR((double)g[r * cols + i], slope, ulp_of(slope) + slack);
        }
    }
    double bound = (double)magnitude * 0x1p-45 + (double)rows * 0x1p-22;
    if (reduction == TEMPERA_REDUCTION_MEAN) {
        sum /= (long double)rows;
        bound /= (double)rows;
    }
    CHECK_NEAR(loss, (double)sum, bound);
}

static void definition(void)
{
    static const float temperatures[] = {1, 0.3f, 4};
    for (int reduction = TEMPERA_REDUCTION_MEAN; reduction <= TEMPERA_REDUCTION_NONE; reduction++)
        for (size_t t = 0; t < 3; t++)
            for (int soft = 0; soft < 2; soft++) {
                size_t rows = 1 + check_random_below(9), cols = 1 + check_random_below(MOST_COLS);
                fill(rows, cols, t == 2 ? 40 : 3);
                fill_soft(rows, cols);
                check_definition(rows, cols, temperatures[t], soft,
                                 (enum tempera_reduction)reduction);
            }
}

// Scores of +-1e4 and +-80: no overflow, no log of an underflow.
static void extreme_scores(void)
{
    for (int round = 0; round < 8; round++) {
        size_t cols = 64;
        fill(4, cols, 1);
        for (size_t i = 0; i < 4 * cols; i++)
            z[i] +=
                round % 2 ? 80.0f * (float)((int)(i % 3) - 1) : 1e4f * (float)((int)(i % 3) - 1);
        check_definition(4, cols, 1, false, TEMPERA_REDUCTION_MEAN);
    }
}

static double loss_at(size_t rows, size_t cols, float T, bool soft)
{
    double loss = NAN;
    struct tempera_matrix logits = tempera_matrix_f32(z, rows, cols);
    struct tempera_matrix soft_targets = tempera_matrix_f32(q, rows, cols);
    struct tempera_targets targets = {soft ? NULL : y, soft ? &soft_targets : NULL};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    options.temperature = T;
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs, .loss = &loss};
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, &options, &outputs, NULL), TEMPERA_OK);
    return loss;
}

// The gradient is the slope of the loss that the same call gives. The step is exact in float, the
// third derivative of the loss is below 1 / T^3.
static void finite_differences(void)
{
    for (int soft = 0; soft < 2; soft++) {
        enum { ROWS = 3, COLS = 17 };
        const float T = 0.5f, h = 0x1p-9f;
        fill(ROWS, COLS, 1);
        fill_soft(ROWS, COLS);
        for (size_t i = 0; i < ROWS * COLS; i++)
            z[i] = (float)(ldexp(rint(ldexp((double)z[i], 12)), -12)); // z +- h is exact
        struct tempera_matrix logits = tempera_matrix_f32(z, ROWS, COLS);
        struct tempera_matrix d_logits = tempera_matrix_f32(g, ROWS, COLS);
        struct tempera_matrix soft_targets = tempera_matrix_f32(q, ROWS, COLS);
        struct tempera_targets targets = {soft ? NULL : y, soft ? &soft_targets : NULL};
        struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
        options.temperature = T;
        struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs,
                                                        .d_logits = &d_logits};
        CHECK_STATUS(tempera_cross_entropy(&logits, &targets, &options, &outputs, NULL),
                     TEMPERA_OK);
        double third = 1 / pow((double)T, 3), step = (double)h;
        for (size_t i = 0; i < ROWS * COLS; i++) {
            float kept = z[i];
            z[i] = kept + h;
            double above = loss_at(ROWS, COLS, T, soft);
            z[i] = kept - h;
            double below = loss_at(ROWS, COLS, T, soft);
            z[i] = kept;
            double slope = (above - below) / (2 * step);
            CHECK_NEAR((double)g[i], slope,
                       third * step * step / 6 + 0x1p-48 / step + fabs(slope) * 0x1p-24);
        }
    }
}

// A class is the distribution with all mass on it.
static void classes_equal_soft(void)
{
    enum { ROWS = 5, COLS = 100 };
    fill(ROWS, COLS, 5);
    memset(q, 0, sizeof q);
    for (size_t r = 0; r < ROWS; r++)
        q[r * COLS + (size_t)y[r]] = 1;
    CHECK_NEAR(loss_at(ROWS, COLS, 1, true), loss_at(ROWS, COLS, 1, false), 0);
}

// ------------------------------------------------------------------------------------------------
// Edges

struct small {
    float logits[6], d[6], row_loss[2], lse[2];
    int32_t classes[2];
    enum tempera_status row_status[2], status;
    double loss;
    size_t count;
};

// Two rows of three.
static void ask(struct small *s, enum tempera_reduction reduction)
{
    struct tempera_matrix logits = tempera_matrix_f32(s->logits, 2, 3);
    struct tempera_matrix d = tempera_matrix_f32(s->d, 2, 3);
    struct tempera_targets targets = {.classes = s->classes};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    options.reduction = reduction;
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs,
                                                    .d_logits = &d,
                                                    .row_loss = s->row_loss,
                                                    .row_logsumexp = s->lse,
                                                    .row_status = s->row_status,
                                                    .loss = &s->loss,
                                                    .count = &s->count};
    s->status = tempera_cross_entropy(&logits, &targets, &options, &outputs, NULL);
}

static void ignored_rows(void)
{
    struct small s = {.logits = {1, 2, 3, 0, 0, 0}, .classes = {TEMPERA_IGNORE_INDEX, 1}};
    ask(&s, TEMPERA_REDUCTION_MEAN);
    CHECK_STATUS(s.status, TEMPERA_OK);
    CHECK_EQ_SIZE(s.count, 1);
    CHECK_NEAR(s.loss, log(3), 1e-15); // the mean is over rows that count
    const float zeros[3] = {0};
    CHECK_MEM(s.d, zeros, sizeof zeros);
    CHECK(s.row_loss[0] == 0);
    CHECK_ULP(s.d[4], 1.0 / 3 - 1, 1);
}

// Where PyTorch gives NaN: nothing counts, so the mean is 0 of 0 rows.
static void all_rows_ignored(void)
{
    struct small s = {.logits = {1, NAN, 3, 0, 0, 0},
                      .classes = {TEMPERA_IGNORE_INDEX, TEMPERA_IGNORE_INDEX}};
    ask(&s, TEMPERA_REDUCTION_MEAN);
    CHECK_STATUS(s.status, TEMPERA_OK);
    CHECK_EQ_SIZE(s.count, 0);
    CHECK(s.loss == 0);
    const float zeros[6] = {0};
    CHECK_MEM(s.d, zeros, sizeof zeros);
}

static void target_out_of_range(void)
{
    static const int32_t bad[] = {3, -1, -99, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 5; i++) {
        struct small s = {.logits = {1, 2, 3, 0, 0, 0}, .classes = {0, bad[i]}};
        struct small before;
        memset(s.d, 7, sizeof s.d);
        before = s;
        ask(&s, TEMPERA_REDUCTION_MEAN);
        CHECK_STATUS(s.status, TEMPERA_TARGET_OUT_OF_RANGE);
        CHECK_MEM(s.d, before.d, sizeof s.d);
        CHECK_MEM(s.row_loss, before.row_loss, sizeof s.row_loss);
    }
}

static void masked_and_infinite(void)
{
    const float inf = INFINITY, zeros[3] = {0};
    struct small s = {.logits = {1, -inf, 3, 0, 0, 0}, .classes = {1, 0}};
    ask(&s, TEMPERA_REDUCTION_SUM); // the target is masked
    CHECK_STATUS(s.status, TEMPERA_TARGET_MASKED);
    CHECK_STATUS(s.row_status[1], TEMPERA_OK);
    CHECK(isinf(s.loss) && isinf(s.row_loss[0]) && s.row_loss[1] > 1);
    CHECK_MEM(s.d, zeros, sizeof zeros);
    CHECK_ULP(s.lse[0], 3 + log1p(exp(-2)), 1);

    s = (struct small){.logits = {1, -inf, 3, 0, 0, 0}, .classes = {0, 0}};
    ask(&s, TEMPERA_REDUCTION_SUM); // another entry is masked: gradient 0 there, no NaN
    CHECK_STATUS(s.status, TEMPERA_OK);
    CHECK(s.d[1] == 0 && isfinite(s.loss));

    s = (struct small){.logits = {-inf, -inf, -inf, 0, 0, 0}, .classes = {0, 0}};
    ask(&s, TEMPERA_REDUCTION_SUM);
    CHECK_STATUS(s.status, TEMPERA_ALL_MASKED);
    CHECK(isinf(s.row_loss[0]) && s.lse[0] == -inf);
    CHECK_MEM(s.d, zeros, sizeof zeros);

    s = (struct small){.logits = {inf, 5, inf, 0, inf, 0}, .classes = {0, 0}};
    ask(&s, TEMPERA_REDUCTION_NONE); // the limit: half on each; then a target without mass
    CHECK_STATUS(s.row_status[0], TEMPERA_OK);
    CHECK_ULP(s.row_loss[0], log(2), 1);
    CHECK(s.d[0] == -0.5f && s.d[1] == 0 && s.d[2] == 0.5f);
    CHECK_STATUS(s.row_status[1], TEMPERA_TARGET_MASKED);
    CHECK(isinf(s.row_loss[1]));

    s = (struct small){.logits = {1, NAN, 3, 0, 0, 0}, .classes = {0, 0}};
    ask(&s, TEMPERA_REDUCTION_MEAN);
    CHECK_STATUS(s.status, TEMPERA_NAN_INPUT);
    const uint32_t nan = 0x7FC00000;
    CHECK(isnan(s.loss));
    CHECK_MEM(&s.row_loss[0], &nan, sizeof nan);
    for (size_t i = 0; i < 3; i++)
        CHECK_MEM(&s.d[i], &nan, sizeof nan);
    CHECK(s.d[3] > 0 || s.d[3] < 0); // a bad row does not stop the others
}

// An output over an input or another output: classes that were checked and then written over would
// be used as indices.
static void overlaps(void)
{
    fill(2, 4, 1);
    static float rows[4];
    struct tempera_matrix logits = tempera_matrix_f32(z, 2, 4), d = tempera_matrix_f32(g, 2, 4);
    struct tempera_matrix soft = tempera_matrix_f32(q, 2, 4);
    const struct tempera_targets classes = {y, NULL}, probs = {NULL, &soft};
    const struct tempera_cross_entropy_outputs bad[] = {
        {.row_loss = (float *)(void *)(y + 1)},
        {.row_loss = (float *)d.data + 3, .d_logits = &d},
        {.row_loss = (float *)soft.data + 1},
        {.row_loss = rows, .row_logsumexp = rows + 1},
        {.row_status = (enum tempera_status *)(void *)z},
        {.row_status = (enum tempera_status *)(void *)rows, .row_loss = rows},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct tempera_cross_entropy_outputs outputs = bad[i];
        outputs.struct_size = sizeof outputs;
        CHECK_STATUS(tempera_cross_entropy(&logits, i == 2 ? &probs : &classes, NULL, &outputs,
                                           NULL),
                     TEMPERA_INVALID_ARGUMENT);
    }
}

static void bad_arguments(void)
{
    fill(2, 4, 1);
    struct tempera_matrix logits = tempera_matrix_f32(z, 2, 4), d = tempera_matrix_f32(g, 2, 4);
    struct tempera_matrix soft = tempera_matrix_f32(q, 2, 4);
    struct tempera_targets targets = {.classes = y}, both = {y, &soft}, none = {NULL, NULL};
    double loss = 5;
    struct tempera_cross_entropy_outputs out = {
        .struct_size = sizeof out, .d_logits = &d, .loss = &loss};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    const float temperatures[] = {0, -1, INFINITY, NAN};
    for (size_t i = 0; i < 4; i++) {
        options.temperature = temperatures[i];
        CHECK_STATUS(tempera_cross_entropy(&logits, &targets, &options, &out, NULL),
                     TEMPERA_INVALID_ARGUMENT);
    }
    options = tempera_cross_entropy_options_default();
    options.gradient_scale = NAN;
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, &options, &out, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_cross_entropy(&logits, &both, NULL, &out, NULL), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_cross_entropy(&logits, &none, NULL, &out, NULL), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, NULL, NULL, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    d.data = z + 1;
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, NULL, &out, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    d.data = q; // the soft targets are not to be written over
    targets = (struct tempera_targets){NULL, &soft};
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, NULL, &out, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK(loss == 5);
}

// ------------------------------------------------------------------------------------------------
// Places, threads, modes

static void in_place_and_executors(void)
{
    static float apart[MOST_ROWS * MOST_COLS];
    double loss, first_loss = 0;
    struct tempera_targets targets = {.classes = y};
    for (size_t threads = 0; threads <= 7; threads += threads < 3 ? 1 : 4) {
        check_random_seed(5);
        fill(MOST_ROWS, MOST_COLS, 3);
        y[17] = TEMPERA_IGNORE_INDEX;
        struct tempera_matrix logits = tempera_matrix_f32(z, MOST_ROWS, MOST_COLS);
        struct tempera_matrix d =
            tempera_matrix_f32(threads == 0 ? apart : z, MOST_ROWS, MOST_COLS);
        struct tempera_cross_entropy_outputs out = {
            .struct_size = sizeof out, .d_logits = &d, .loss = &loss};
        struct tempera_thread_pool *pool = NULL;
        if (threads > 0)
            CHECK_STATUS(tempera_thread_pool_open(&pool, threads), TEMPERA_OK);
        CHECK_STATUS(tempera_cross_entropy(&logits, &targets, NULL, &out,
                                           tempera_thread_pool_executor(pool)),
                     TEMPERA_OK);
        tempera_thread_pool_close(&pool);
        first_loss = threads == 0 ? loss : first_loss;
        CHECK_MEM(&loss, &first_loss, sizeof loss);
        CHECK_MEM(d.data, apart, sizeof apart);
    }
}

static void callers_rounding(void)
{
    fill(3, 50, 3);
    double usual = loss_at(3, 50, 1, false);
    fesetround(FE_UPWARD);
    double loss = loss_at(3, 50, 1, false);
    int after = fegetround();
    fesetround(FE_TONEAREST);
    CHECK_EQ_INT(after, FE_UPWARD);
    CHECK_MEM(&loss, &usual, sizeof loss);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"the loss is the definition", definition},
        {"scores of +-1e4 and +-80 are the definition", extreme_scores},
        {"gradients are finite differences", finite_differences},
        {"classes equal soft targets", classes_equal_soft},
        {"ignored rows do not count", ignored_rows},
        {"where all rows are ignored the loss is 0", all_rows_ignored},
        {"a target out of range is refused and nothing written", target_out_of_range},
        {"masked targets, infinite scores and NaN have a status", masked_and_infinite},
        {"bad arguments are refused", bad_arguments},
        {"overlaps are refused", overlaps},
        {"bits do not depend on the place or the executor", in_place_and_executors},
        {"the caller's rounding mode changes no bit", callers_rounding},
    };
    return CHECK_RUN(tests, argc, argv);
}
