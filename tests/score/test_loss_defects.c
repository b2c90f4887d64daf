// SPDX-License-Identifier: MIT
// What other libraries' losses get, or got, wrong. Each test names where it was reported.
#include "loss_setup.h"

// pytorch/pytorch#116349, #75181
static void all_ignored(void)
{
    const float weights[] = {1, 2, 3};
    for (int with = 0; with < 4; with++) {
        struct small s = small_of(1, 2, 3, 4, 5, 6, -100, -100);
        s.options.class_weights = with & 1 ? weights : NULL;
        s.options.label_smoothing = with & 2 ? 0.1f : 0;
        s.options.z_loss = 0.1f;
        ask(&s);
        CHECK_STATUS(s.status, TEMPERA_OK);
        CHECK(s.loss == 0 && s.z_loss == 0 && s.weight_sum == 0);
        CHECK_EQ_SIZE(s.count, 0);
        check_zeros(s.d, 6);
    }
}

// The same 0 / 0, from targets whose classes have no weight.
static void no_weight(void)
{
    const float weights[] = {0, 1, 0};
    struct small s = small_of(1, 2, 3, 4, 5, 6, 0, 2);
    s.options.class_weights = weights;
    ask(&s);
    CHECK_STATUS(s.status, TEMPERA_OK);
    CHECK(s.loss == 0 && s.weight_sum == 0);
    CHECK_EQ_SIZE(s.count, 2);
    check_zeros(s.d, 6);
    s.options.label_smoothing = 0.1f; // PyTorch: inf
    s.options.z_loss = 0.5f;          // has a divisor of its own
    ask(&s);
    CHECK_STATUS(s.status, TEMPERA_OK);
    CHECK(s.loss == s.z_loss && s.z_loss > 0 && s.row_loss[0] > 0);
    CHECK(s.d[0] > 0);
}

// pytorch/pytorch#73205: the mean of the smoothed part was over ignored rows, too.
static void smoothing_counts_no_ignored_row(void)
{
    struct small s = small_of(1, 2, 3, 4, 9, 6, 1, -100), alone = s;
    s.options.label_smoothing = alone.options.label_smoothing = 0.3f;
    alone.rows = 1;
    ask(&s);
    ask(&alone);
    CHECK(s.loss == alone.loss && s.loss > 0);
    CHECK_MEM(s.d, alone.d, 3 * sizeof *s.d);
    check_zeros(s.d + 3, 3);
}

// pytorch/pytorch#69339, #72056: weights, smoothing and ignore_index at once crashed.
static void weights_smoothing_and_ignore(void)
{
    const float weights[] = {0.5f, 2, 1};
    struct small s = small_of(1, 2, 3, 4, 9, 6, -100, 2);
    s.options.class_weights = weights;
    s.options.label_smoothing = 0.3f;
    ask(&s);
    CHECK_STATUS(s.status, TEMPERA_OK);
    CHECK(s.weight_sum == 1 && s.row_loss[0] == 0);
    double lse = 9 + log1p(exp(-5) + exp(-3)), e = (double)0.3f;
    double each = 0.5 * (lse - 4) + 2 * (lse - 9) + (lse - 6);
    CHECK_NEAR(s.loss, (1 - e) * (lse - 6) + e / 3 * each, 0x1p-20);
}

// pytorch/pytorch#12670: accepted, and read from somewhere.
static void target_out_of_range(void)
{
    static const int32_t bad[] = {3, -1, -99, -101, INT32_MAX, INT32_MIN};
    const float weights[] = {1, 2, 3};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct small s = small_of(1, 2, 3, 4, 5, 6, 0, bad[i]);
        s.options.class_weights = weights;
        s.loss = 5;
        ask(&s);
        CHECK_STATUS(s.status, TEMPERA_TARGET_OUT_OF_RANGE);
        CHECK(s.loss == 5);
        for (size_t k = 0; k < sizeof s.d; k++)
            CHECK(((unsigned char *)s.d)[k] == 0x55);
    }
}

// PaddlePaddle/Paddle#21165, deeplearning4j#785, FluxML/NNlib.jl#68, llm.c: log of a p that is 0.
static void log_of_an_underflow(void)
{
    struct small s = small_of(0, 200, 0, -1e4f, 1e4f, 0, 0, 0);
    s.options.reduction = TEMPERA_REDUCTION_NONE;
    ask(&s);
    CHECK_STATUS(s.status, TEMPERA_OK);
    CHECK(s.row_loss[0] == 200 && s.row_loss[1] == 20000);
    CHECK(s.d[0] == -1 && s.d[1] == 1);
}

// ggml: labels times log-softmax, so 0 times -inf where a masked class is not a target.
static void masked_class_without_target(void)
{
    for (int weighted = 0; weighted < 2; weighted++) {
        const float weights[] = {1, 0, 1};
        struct small s = small_of(1, -INFINITY, 3, 4, -INFINITY, 6, 0, 0);
        s.soft = true;
        s.q[0] = s.q[3] = 0.25f;
        s.q[2] = s.q[5] = 0.75f;
        s.q[1] = weighted ? 0.5f : 0; // a target without weight is none, either
        s.options.class_weights = weighted ? weights : NULL;
        ask(&s);
        CHECK_STATUS(s.status, TEMPERA_OK);
        CHECK(s.loss > 0 && s.loss < 3);
        CHECK(s.d[1] == 0 && s.d[4] == 0);
    }
}

// llm.c: the maximum began at -10000, so that rows below it overflowed or vanished.
static void scores_below_minus_ten_thousand(void)
{
    struct small s = small_of(-20000, -20001, -20002, -1e30f, -2e30f, -1e30f, 1, 0);
    s.options.reduction = TEMPERA_REDUCTION_NONE;
    ask(&s);
    CHECK_NEAR((double)s.row_loss[0], 1 + log1p(exp(-1) + exp(-2)), 0x1p-22);
    CHECK_NEAR((double)s.row_loss[1], log(2), 0x1p-22);
}

// ggml: partial sums by thread, so the loss depended on their number. Here 200 rows of losses from
// 1e-7 to 1e4, whose sum shows any other order.
static void loss_by_thread_count(void)
{
    static const size_t counts[] = {1, 2, 3, 7};
    double first = 0;
    for (size_t i = 0; i < 4; i++) {
        struct tempera_thread_pool *pool = NULL;
        CHECK_STATUS(tempera_thread_pool_open(&pool, counts[i]), TEMPERA_OK);
        struct small s = {.rows = MOST_ROWS, .cols = 2};
        s.options = tempera_cross_entropy_options_default();
        s.options.reduction = TEMPERA_REDUCTION_SUM;
        s.executor = tempera_thread_pool_executor(pool);
        check_random_seed(1);
        for (size_t r = 0; r < MOST_ROWS; r++)
            s.z[2 * r] = (float)(check_random_between(-1, 1) * pow(10, (double)(r % 5)));
        ask(&s);
        first = i == 0 ? s.loss : first;
        CHECK_MEM(&s.loss, &first, sizeof first);
        tempera_thread_pool_close(&pool);
    }
}

// Cut Cross-Entropy leaves out gradients below a bound (hiyouga/EasyR1#30 saw others).
static void small_gradients_are_there(void)
{
    struct small s = small_of(0, -60, 0, 0, -80, 1, 0, 0);
    s.options.reduction = TEMPERA_REDUCTION_SUM;
    ask(&s);
    CHECK_ULP(s.d[1], exp(-60) / 2, 7);
    CHECK_ULP(s.d[4], exp(-80) / (1 + exp(1)), 7);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"pytorch#116349, #75181: all targets ignored, mean: 0, not NaN", all_ignored},
        {"all targets without weight, mean: 0, not NaN or inf", no_weight},
        {"pytorch#73205: smoothing does not count ignored rows", smoothing_counts_no_ignored_row},
        {"pytorch#69339, #72056: weights, smoothing and ignore_index go together",
         weights_smoothing_and_ignore},
        {"pytorch#12670: a target out of range is refused", target_out_of_range},
        {"Paddle#21165, deeplearning4j#785, NNlib.jl#68: no logarithm of an underflow",
         log_of_an_underflow},
        {"ggml: a masked class with label 0 adds nothing", masked_class_without_target},
        {"llm.c: scores below -10000 count", scores_below_minus_ten_thousand},
        {"ggml: the loss does not depend on the thread count", loss_by_thread_count},
        {"EasyR1#30: small gradients are not left out", small_gradients_are_there},
    };
    return CHECK_RUN(tests, argc, argv);
}
