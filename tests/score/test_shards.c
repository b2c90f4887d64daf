// SPDX-License-Identifier: MIT
// A vocabulary cut into shards: the loss and gradient of the uncut one, within the bounds of
// shards.h, against long double; merges in any order; every edge.
#include "check.h"

#include <fenv.h>

#include <tempera/loss.h>
#include <tempera/shards.h>

#include "base/half.h"
#include "kernels/kernels.h"

enum { MOST_ROWS = 20, MOST_COLS = 70000, MOST = 200000, MOST_SHARDS = 5 };

static float z[MOST], g[MOST], whole[MOST];
static int32_t y[MOST_ROWS];

static void fill(size_t rows, size_t cols, double spread)
{
    for (size_t i = 0; i < rows * cols; i++)
        z[i] = (float)(spread * check_random_normal());
    for (size_t r = 0; r < rows; r++)
        y[r] = (int32_t)check_random_below(cols);
}

// What one vocabulary in shards gives.
struct cut {
    size_t n;
    size_t border[MOST_SHARDS + 1]; // first column of each shard, and the end
    float row_loss[MOST_ROWS], lse[MOST_ROWS];
    enum tempera_status row_status[MOST_ROWS], status;
    double loss;
    size_t count;
    struct tempera_row_statistics merged[MOST_ROWS];
};

// n shards, as even as they come, or at random borders.
static struct cut cut_into(size_t n, size_t cols, bool is_random)
{
    struct cut cut = {.n = n};
    for (size_t k = 1; k <= n; k++)
        cut.border[k] = k * cols / n;
    for (size_t k = 1; is_random && k < n; k++) // after the one before, n - k columns left
        cut.border[k] = cut.border[k - 1] + 1 +
                        check_random_below(cols - cut.border[k - 1] - (n - k));
    return cut;
}

static struct tempera_matrix shard_of(float *data, size_t rows, size_t cols, const struct cut *cut,
                                      size_t k)
{
    size_t first = cut->border[k];
    return (struct tempera_matrix){data + first, TEMPERA_F32, rows, cut->border[k + 1] - first,
                                   cols};
}

static struct tempera_shard_options options_of(const struct cut *cut, size_t k, float T)
{
    struct tempera_shard_options options = tempera_shard_options_default();
    options.temperature = T;
    options.first_class = cut->border[k];
    options.n_classes = cut->border[cut->n];
    options.gradient_scale = 1.5f;
    return options;
}

// Statistics of each shard, merged; then loss and gradient of each, which must tell the same loss.
static void compute(struct cut *cut, size_t rows, size_t cols, float T, float *gradient,
                    const struct tempera_executor *executor)
{
    struct tempera_row_statistics parts[MOST_ROWS];
    for (size_t k = 0; k < cut->n; k++) {
        struct tempera_shard_options options = options_of(cut, k, T);
        struct tempera_matrix logits = shard_of(z, rows, cols, cut, k);
        CHECK(tempera_shard_statistics(&logits, y, &options, k == 0 ? cut->merged : parts,
                                       executor) < TEMPERA_INVALID_ARGUMENT);
        if (k > 0)
            CHECK_STATUS(tempera_shard_merge(cut->merged, parts, rows, T), TEMPERA_OK);
    }
    for (size_t k = 0; k < cut->n; k++) {
        struct tempera_shard_options options = options_of(cut, k, T);
        struct tempera_matrix logits = shard_of(z, rows, cols, cut, k);
        struct tempera_matrix d = shard_of(gradient, rows, cols, cut, k);
        double before = cut->loss;
        struct tempera_shard_outputs out = {.struct_size = sizeof out,
                                            .d_logits = &d,
                                            .row_loss = cut->row_loss,
                                            .row_logsumexp = cut->lse,
                                            .row_status = cut->row_status,
                                            .loss = &cut->loss,
                                            .count = &cut->count};
        cut->status =
            tempera_shard_cross_entropy(&logits, y, cut->merged, &options, &out, executor);
        CHECK(k == 0 || memcmp(&before, &cut->loss, sizeof before) == 0);
    }
}

static void check_definition(const struct cut *cut, size_t rows, size_t cols, float T)
{
    long double wide_T = (long double)T, sum = 0;
    for (size_t r = 0; r < rows; r++) {
        const float *row = z + r * cols;
        long double max = -INFINITY, S = 0;
        for (size_t i = 0; i < cols; i++)
            max = (long double)row[i] > max ? (long double)row[i] : max;
        for (size_t i = 0; i < cols; i++)
            S += expl(((long double)row[i] - max) / wide_T);
        long double loss = logl(S) - ((long double)row[y[r]] - max) / wide_T;
        sum += loss;
        CHECK_NEAR((double)cut->row_loss[r], (double)loss, ulp_of(loss) / 2 + 0x1p-22);
        CHECK_NEAR((double)cut->lse[r], (double)(max / wide_T + logl(S)),
                   ulp_of(max / wide_T + logl(S)) + 0x1p-22);
        double scale = 1.5 / (double)T / (double)rows;
        for (size_t i = 0; i < cols; i++) {
            double p = (double)(expl(((long double)row[i] - max) / wide_T) / S);
            double slope = scale * (p - (i == (size_t)y[r]));
            CHECK_NEAR((double)g[r * cols + i], slope,
                       0x1p-21 * p * scale + ulp_of(slope) / 2 + 0x1p-149);
        }
    }
    CHECK_NEAR(cut->loss, (double)sum / (double)rows, 0x1p-22 + 1e-15 * cut->loss);
}

static const size_t numbers[] = {1, 2, 3, 5};

static void definition(void)
{
    static const float temperatures[] = {1, 0.3f, 4};
    static const double spreads[] = {3, 40, 3};
    for (size_t k = 0; k < 4; k++)
        for (size_t t = 0; t < 3; t++)
            for (int is_random = 0; is_random < 2; is_random++) {
                size_t rows = 1 + check_random_below(5), cols = 5 + check_random_below(400);
                fill(rows, cols, spreads[t]);
                struct cut cut = cut_into(numbers[k], cols, is_random);
                compute(&cut, rows, cols, temperatures[t], g, NULL);
                CHECK_STATUS(cut.status, TEMPERA_OK);
                CHECK_EQ_SIZE(cut.count, rows);
                check_definition(&cut, rows, cols, temperatures[t]);
            }
}

// A vocabulary of usual size, against the uncut one as tempera_cross_entropy computes it.
static void as_one_vocabulary(void)
{
    enum { ROWS = 2, COLS = 50257 };
    fill(ROWS, COLS, 3);
    float row_loss[ROWS];
    struct tempera_matrix logits = tempera_matrix_f32(z, ROWS, COLS);
    struct tempera_matrix d = tempera_matrix_f32(whole, ROWS, COLS);
    const struct tempera_targets targets = {.classes = y};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    options.gradient_scale = 1.5f;
    double loss;
    struct tempera_cross_entropy_outputs out = {
        .struct_size = sizeof out, .d_logits = &d, .row_loss = row_loss, .loss = &loss};
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, &options, &out, NULL), TEMPERA_OK);
    for (size_t k = 0; k < 4; k++) {
        struct cut cut = cut_into(numbers[k], COLS, false);
        compute(&cut, ROWS, COLS, 1, g, NULL);
        CHECK_NEAR(cut.loss, loss, 0x1p-21);
        for (size_t r = 0; r < ROWS; r++)
            CHECK_NEAR((double)cut.row_loss[r], (double)row_loss[r],
                       0x1p-21 + ulp_of((long double)row_loss[r]));
        for (size_t i = 0; i < ROWS * COLS; i++) {
            double p = fabs((double)whole[i]) * ROWS / 1.5; // the target's |p - 1| is larger than p
            if (!CHECK_NEAR((double)g[i], (double)whole[i],
                            (p * 0x1p-20 + (p > 0.5 ? 0x1p-20 : 0)) * 1.5 / ROWS + 0x1p-149))
                break;
        }
    }
}

// The order of merging shows in the last bits of a double only, and not at all for two.
static void any_order(void)
{
    enum { ROWS = 4, COLS = 1000, SHARDS = 5 };
    fill(ROWS, COLS, 30);
    struct cut cut = cut_into(SHARDS, COLS, true);
    struct tempera_row_statistics parts[SHARDS][ROWS], first[ROWS], second[ROWS];
    for (size_t k = 0; k < SHARDS; k++) {
        struct tempera_shard_options options = options_of(&cut, k, 0.7f);
        struct tempera_matrix logits = shard_of(z, ROWS, COLS, &cut, k);
        CHECK_STATUS(tempera_shard_statistics(&logits, y, &options, parts[k], NULL), TEMPERA_OK);
    }
    memcpy(first, parts[0], sizeof first);
    memcpy(second, parts[1], sizeof second);
    tempera_shard_merge(first, parts[1], ROWS, 0.7f);
    tempera_shard_merge(second, parts[0], ROWS, 0.7f);
    CHECK_MEM(first, second, sizeof first);
    for (size_t k = 2; k < SHARDS; k++)
        tempera_shard_merge(first, parts[k], ROWS, 0.7f);
    memcpy(second, parts[SHARDS - 1], sizeof second);
    for (size_t k = SHARDS - 1; k-- > 0;)
        tempera_shard_merge(second, parts[k], ROWS, 0.7f);
    for (size_t r = 0; r < ROWS; r++) {
        CHECK(first[r].max == second[r].max && first[r].target == second[r].target);
        CHECK(first[r].target == (double)z[r * COLS + (size_t)y[r]]);
        CHECK_NEAR(first[r].sum, second[r].sum, first[r].sum * 4 * 0x1p-51);
    }
}

// ------------------------------------------------------------------------------------------------
// Edges: four columns in two shards

static struct cut ask(const float scores[4], int32_t class, float T)
{
    struct cut cut = cut_into(2, 4, false);
    memcpy(z, scores, 4 * sizeof *z);
    y[0] = class;
    memset(g, 7, 4 * sizeof *g);
    compute(&cut, 1, 4, T, g, NULL);
    return cut;
}

static void edges(void)
{
    const float inf = INFINITY, zeros[4] = {0};
    struct cut cut = ask((const float[4]){1, -inf, -inf, -inf}, 0, 1); // one shard is all masked
    CHECK_STATUS(cut.status, TEMPERA_OK);
    CHECK(cut.loss == 0 && g[1] == 0 && g[2] == 0 && g[3] == 0);
    CHECK(g[0] == 0);
    cut = ask((const float[4]){1, -inf, 3, 0}, 1, 1); // the target is masked
    CHECK_STATUS(cut.status, TEMPERA_TARGET_MASKED);
    CHECK(isinf(cut.loss) && isinf(cut.row_loss[0]));
    CHECK_MEM(g, zeros, sizeof zeros);
    CHECK_ULP(cut.lse[0], 3 + log1p(exp(-2) + exp(-3)), 1);
    cut = ask((const float[4]){-inf, -inf, -inf, -inf}, 3, 1);
    CHECK_STATUS(cut.status, TEMPERA_ALL_MASKED);
    CHECK(isinf(cut.loss) && cut.lse[0] == -inf);
    CHECK_MEM(g, zeros, sizeof zeros);
    cut = ask((const float[4]){inf, 5, inf, 0}, 2, 1); // a half on each, in different shards
    CHECK_STATUS(cut.status, TEMPERA_OK);
    CHECK_NEAR(cut.loss, log(2), 1e-15);
    CHECK(g[0] == 0.75f && g[1] == 0 && g[2] == -0.75f && g[3] == 0);
    cut = ask((const float[4]){inf, 5, 1, 0}, 2, 1);
    CHECK_STATUS(cut.status, TEMPERA_TARGET_MASKED);
    cut = ask((const float[4]){1, 2, NAN, 0}, 0, 1);
    CHECK_STATUS(cut.status, TEMPERA_NAN_INPUT);
    const uint32_t nan = 0x7FC00000;
    CHECK(isnan(cut.loss));
    CHECK_MEM(&cut.row_loss[0], &nan, sizeof nan);
    for (size_t i = 0; i < 4; i++)
        CHECK_MEM(&g[i], &nan, sizeof nan);
    cut = ask((const float[4]){1, 2, NAN, 0}, TEMPERA_IGNORE_INDEX, 1); // not even a NaN counts
    CHECK_STATUS(cut.status, TEMPERA_OK);
    CHECK(cut.loss == 0 && cut.count == 0);
    CHECK_MEM(g, zeros, sizeof zeros);
    // What f32 can't hold.
    ask((const float[4]){1e-38f, 2e-38f, 0, 3e-38f}, 1, 1e-38f);
    CHECK_ULP(g[0], 1.5e38 / (1 + exp(1) + exp(-1) + exp(2)), 32);
    cut = ask((const float[4]){3e38f, -3e38f, 1e38f, 2e38f}, 0, 1e38f);
    CHECK_NEAR(cut.loss, log(1 + exp(-6) + exp(-2) + exp(-1)), 1e-6);
    // A maximum far above the other shard's.
    cut = ask((const float[4]){1e4f, 9999, -1e4f, 0}, 2, 1);
    CHECK_ULP(cut.row_loss[0], 2e4 + log1p(exp(-1)), 1);
}

static void bad_arguments(void)
{
    fill(2, 4, 1);
    struct tempera_matrix logits = tempera_matrix_f32(z, 2, 4), d = tempera_matrix_f32(g, 2, 4);
    struct tempera_row_statistics statistics[2] = {{0}};
    struct tempera_shard_options good = tempera_shard_options_default();
    good.n_classes = 9;
    good.first_class = 5;
    const struct {
        float T, scale;
        size_t first, n;
    } bad[] = {{0, 1, 0, 9},  {-1, 1, 0, 9}, {INFINITY, 1, 0, 9}, {NAN, 1, 0, 9},
               {1, NAN, 0, 9}, {1, 1, 6, 9}, {1, 1, 10, 9},       {1, 1, 0, 3}};
    struct tempera_shard_outputs out = {.struct_size = sizeof out, .d_logits = &d};
    memset(y, 0, sizeof y);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct tempera_shard_options options = good;
        options.temperature = bad[i].T;
        options.gradient_scale = bad[i].scale;
        options.first_class = bad[i].first;
        options.n_classes = bad[i].n;
        CHECK_STATUS(tempera_shard_statistics(&logits, y, &options, statistics, NULL),
                     TEMPERA_INVALID_ARGUMENT);
        CHECK_STATUS(tempera_shard_cross_entropy(&logits, y, statistics, &options, &out, NULL),
                     TEMPERA_INVALID_ARGUMENT);
    }
    CHECK(statistics[0].sum == 0);
    const int32_t wrong[2] = {8, 9};
    CHECK_STATUS(tempera_shard_statistics(&logits, wrong, &good, statistics, NULL),
                 TEMPERA_TARGET_OUT_OF_RANGE);
    CHECK_STATUS(tempera_shard_statistics(&logits, y, NULL, statistics, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_shard_statistics(&logits, y, &good, NULL, NULL), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_shard_statistics(&logits, NULL, &good, statistics, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_shard_merge(statistics, NULL, 2, 1), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_shard_merge(statistics, statistics, 2, 0), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_shard_merge(statistics, statistics, 2, INFINITY),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_shard_merge(statistics, statistics, 2, NAN), TEMPERA_INVALID_ARGUMENT);
    out.row_loss = g + 3;
    CHECK_STATUS(tempera_shard_cross_entropy(&logits, y, statistics, &good, &out, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    out.row_loss = (float *)(void *)y;
    CHECK_STATUS(tempera_shard_cross_entropy(&logits, y, statistics, &good, &out, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    out.row_loss = NULL;
    CHECK_STATUS(tempera_shard_cross_entropy(&logits, y, NULL, &good, &out, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_shard_cross_entropy(&logits, y, statistics, &good, NULL, NULL),
                 TEMPERA_INVALID_ARGUMENT);
}

// In place, on any executor, table and rounding mode; 16-bit scores.
static void same_bits(void)
{
    enum { ROWS = MOST_ROWS, COLS = 3000 };
    fill(ROWS, COLS, 3);
    static float kept[ROWS * COLS];
    memcpy(kept, z, sizeof kept);
    struct cut usual = cut_into(3, COLS, true), cut = usual;
    compute(&usual, ROWS, COLS, 1.3f, whole, NULL);
    for (size_t threads = 2; threads <= 7; threads += 5) {
        struct tempera_thread_pool *pool = NULL;
        CHECK_STATUS(tempera_thread_pool_open(&pool, threads), TEMPERA_OK);
        compute(&cut, ROWS, COLS, 1.3f, g, tempera_thread_pool_executor(pool));
        tempera_thread_pool_close(&pool);
        CHECK_MEM(g, whole, sizeof kept);
        CHECK_MEM(&cut.loss, &usual.loss, sizeof cut.loss);
    }
    const struct tempera_kernels *before = tempera_kernels_active(), *table;
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++) {
        tempera_kernels_use(table);
        compute(&cut, ROWS, COLS, 1.3f, g, NULL);
        CHECK_MEM(g, whole, sizeof kept);
        CHECK_MEM(cut.merged, usual.merged, sizeof cut.merged);
    }
    tempera_kernels_use(before);
    fesetround(FE_UPWARD);
    compute(&cut, ROWS, COLS, 1.3f, g, NULL);
    fesetround(FE_TONEAREST);
    CHECK_MEM(g, whole, sizeof kept);
    CHECK_MEM(&cut.loss, &usual.loss, sizeof cut.loss);
    compute(&cut, ROWS, COLS, 1.3f, z, NULL); // in place
    CHECK_MEM(z, whole, sizeof kept);

    static uint16_t halves[ROWS * COLS];
    for (size_t i = 0; i < ROWS * COLS; i++) {
        halves[i] = tempera_f32_to_bf16(kept[i]);
        z[i] = tempera_bf16_to_f32(halves[i]);
    }
    compute(&cut, ROWS, COLS, 1.3f, g, NULL);
    for (size_t k = 0; k < 3; k++) {
        struct tempera_shard_options options = options_of(&cut, k, 1.3f);
        struct tempera_matrix shard = shard_of(z, ROWS, COLS, &cut, k);
        shard.data = halves + cut.border[k];
        shard.dtype = TEMPERA_BF16;
        struct tempera_row_statistics statistics[ROWS];
        CHECK_STATUS(tempera_shard_statistics(&shard, y, &options, statistics, NULL), TEMPERA_OK);
        struct tempera_shard_outputs out = {.struct_size = sizeof out, .d_logits = &shard};
        CHECK_STATUS(tempera_shard_cross_entropy(&shard, y, cut.merged, &options, &out, NULL),
                     TEMPERA_OK);
    }
    for (size_t i = 0; i < ROWS * COLS; i++)
        CHECK_EQ_INT(halves[i], tempera_f32_to_bf16(g[i]));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"1, 2, 3 and 5 shards give the definition", definition},
        {"1, 2, 3 and 5 shards give what the uncut vocabulary gives", as_one_vocabulary},
        {"shards may be merged in any order", any_order},
        {"masks, infinite scores, NaN and ignored rows have their status", edges},
        {"bad arguments and overlaps are refused", bad_arguments},
        {"bits do not depend on places, executors, kernels, modes or types", same_bits},
    };
    return CHECK_RUN(tests, argc, argv);
}
