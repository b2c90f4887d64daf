// SPDX-License-Identifier: MIT
// The edges of docs/LOSSES.md that come with options, types and outputs; test_loss.c has those of
// plain targets.
#include "loss_setup.h"

#include <stddef.h>

#include "base/half.h"

static void check_nans(const float *values, size_t n)
{
    const uint32_t canonical = 0x7FC00000;
    for (size_t i = 0; i < n; i++)
        CHECK_MEM(&values[i], &canonical, sizeof canonical);
}

static void smoothing_and_masks(void)
{
    const float weights[] = {1, 0, 1};
    struct small s = small_of(1, -INFINITY, 3, 4, 5, 6, 0, 0);
    s.options.label_smoothing = 0.1f;
    s.options.z_loss = 0.1f;
    ask(&s);
    CHECK_STATUS(s.status, TEMPERA_TARGET_MASKED);
    CHECK_STATUS(s.row_status[1], TEMPERA_OK);
    CHECK(isinf(s.loss) && isinf(s.row_loss[0]) && isfinite(s.row_loss[1]));
    CHECK_ULP(s.lse[0], 3 + log1p(exp(-2)), 1);
    check_zeros(s.d, 3);
    s.options.class_weights = weights; // the masked column is not a target any more
    ask(&s);
    CHECK_STATUS(s.status, TEMPERA_OK);
    double l0 = 2 + log1p(exp(-2)), l2 = log1p(exp(-2)), e = (double)0.1f, lse = (double)s.lse[0];
    CHECK_NEAR((double)s.row_loss[0], (1 - e) * l0 + e / 3 * (l0 + l2) + (double)0.1f * lse * lse,
               0x1p-19);
    CHECK(s.d[1] == 0 && s.d[0] < 0);
}

// Columns of a padded vocabulary have gradient 0 under any factor.
static void masked_scores_under_large_factors(void)
{
    for (unsigned option = 0; option < 3; option++) {
        struct small s = small_of(1, -INFINITY, 3, 4, -INFINITY, 6, 0, 0);
        const float weights[] = {1, 0, 1};
        s.soft = option == 0;
        s.q[0] = s.q[3] = 1;
        s.options.label_smoothing = option == 1 ? 0.1f : 0;
        s.options.class_weights = option == 1 ? weights : NULL;
        s.options.gradient_scale = option == 2 ? 1e38f : 0x1p20f;
        ask(&s);
        CHECK_STATUS(s.status, TEMPERA_OK);
        CHECK(s.d[1] == 0 && s.d[4] == 0 && s.d[0] < -1000);
    }
}

// Without options a row's gradient is its exponentials times a factor.
static void masked_scores_of_plain_rows(void)
{
    static const float temperatures[] = {1, 0.3f, 0.05f, 1e-10f, 1e-20f, 1e-30f};
    for (size_t t = 0; t < COUNT_OF(temperatures); t++)
        for (size_t n = 2; n < 140; n += 23) {
            float z[140], g[140];
            for (size_t i = 0; i < n; i++)
                z[i] = i % 2 == 1 ? -INFINITY : (float)i * 1e-3f;
            const int32_t y = 0;
            struct tempera_matrix logits = tempera_matrix_f32(z, 1, n);
            struct tempera_matrix gradient = tempera_matrix_f32(g, 1, n);
            struct tempera_targets targets = {.classes = &y};
            struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
            options.temperature = temperatures[t];
            struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs,
                                                            .d_logits = &gradient};
            CHECK_STATUS(tempera_cross_entropy(&logits, &targets, &options, &outputs, NULL),
                         TEMPERA_OK);
            for (size_t i = 1; i < n; i += 2)
                CHECK(g[i] == 0);
            const double T = (double)options.temperature, most = (double)z[(n - 1) / 2 * 2];
            double sum = 0, expected = 0; // the others' gradients make up for the target's
            for (size_t i = 0; i < n; i += 2) {
                expected += exp(((double)z[i] - most) / T);
                sum += i == 0 ? 0 : (double)g[i];
            }
            CHECK_NEAR(sum * T, 1 - exp(-most / T) / expected, 1e-5);
        }
}

// The gradient's factor may be anything finite: beyond what f32 holds well, double takes over.
static void extreme_factors(void)
{
    static const float scales[] = {1e-38f, 1e-30f, 1e30f, -1e30f, 1e38f, 0};
    for (size_t i = 0; i < COUNT_OF(scales); i++)
        for (int soft = 0; soft < 2; soft++) {
            struct small s = small_of(1, 2, 3, -4, -5, -6, 0, 2);
            s.soft = soft;
            s.q[0] = s.q[5] = 1;
            s.options.gradient_scale = scales[i];
            s.options.label_smoothing = 0.25f;
            ask(&s);
            CHECK_STATUS(s.status, TEMPERA_OK);
            double p = exp(1 - (double)s.lse[0]), t = 0.75 + 0.25 / 3, g = (double)scales[i] / 2;
            CHECK_NEAR((double)s.d[0], g * (p - t), 0x1p-20 * fabs(g) + 0x1p-149);
        }
}

static void infinite_scores(void)
{
    struct small s = small_of(INFINITY, 5, INFINITY, 0, 1, 2, 0, 0);
    s.options.reduction = TEMPERA_REDUCTION_NONE;
    s.options.focal_gamma = 1;
    ask(&s);
    CHECK_STATUS(s.status, TEMPERA_OK);
    CHECK_ULP(s.row_loss[0], log(2) / 2, 1);
    CHECK_ULP(s.entropy[0], log(2), 1);
    // f (p - [j = y]) + k (p - [j = y]) with f = 1/2, k = p ce
    CHECK_ULP(s.d[2], 0.25 + log(2) / 4, 2);
    CHECK(s.d[0] == -s.d[2] && s.d[1] == 0);
    s.options.z_loss = 0.1f; // lse is infinite
    ask(&s);
    CHECK_STATUS(s.row_status[0], TEMPERA_TARGET_MASKED);
    CHECK(isinf(s.row_loss[0]) && isinf(s.lse[0]) && isfinite(s.row_loss[1]));
    check_zeros(s.d, 3);
    s.options.z_loss = 0;
    s.options.label_smoothing = 0.1f; // a target beside infinite scores
    ask(&s);
    CHECK_STATUS(s.row_status[0], TEMPERA_TARGET_MASKED);
}

// c tanh(+-inf / c) is +-c.
static void softcap_of_infinite_scores(void)
{
    struct small s = small_of(-INFINITY, 0, INFINITY, -INFINITY, -INFINITY, -INFINITY, 0, 1);
    s.options.softcap = 2;
    s.options.reduction = TEMPERA_REDUCTION_NONE;
    ask(&s);
    CHECK_STATUS(s.status, TEMPERA_OK);
    CHECK_NEAR((double)s.row_loss[0], 4 + log1p(exp(-2) + exp(-4)), 0x1p-20);
    CHECK_NEAR((double)s.row_loss[1], log(3), 0x1p-22);
    CHECK(s.d[0] == 0 && s.d[1] > 0 && s.d[2] == 0); // flat at both ends
    s.options.softcap = 41;                          // 41 times 1 / 41 is not 1
    s.options.label_smoothing = 0.5f;
    ask(&s);
    CHECK_STATUS(s.status, TEMPERA_OK);
    CHECK(s.d[0] == 0 && s.d[1] < 0 && s.d[2] == 0);
    check_zeros(s.d + 3, 3);
}

// The softcap's rounding lifts these above the float after them, the row's maximum. At a T so small
// that one ulp is much, an exponential above the maximum's would overflow.
static void softcap_at_a_small_temperature(void)
{
    static const float maxima[] = {0x1.0700bap+8f, 0x1.d759acp+4f, 0x1.52bad8p+4f, 0x1.4b1b1cp+2f};
    for (size_t i = 0; i < COUNT_OF(maxima); i++) {
        struct small s = small_of(maxima[i], nextafterf(maxima[i], 0), 0, 1, 2, 3, 0, 0);
        s.rows = 1;
        s.options.softcap = 30;
        s.options.temperature = 1e-9f;
        ask(&s);
        CHECK_STATUS(s.status, TEMPERA_OK);
        CHECK_NEAR((double)s.row_loss[0], log(2), 0x1p-22);
        CHECK(s.correct[0] == 1);
        double u = (double)maxima[i] / 30, slope = 1 - tanh(u) * tanh(u);
        CHECK_NEAR((double)s.d[0], -0.5e9 * slope, 1e9 * 0x1p-21);
        CHECK_NEAR((double)s.d[1], 0.5e9 * slope, 1e9 * 0x1p-21);
    }
}

static void focal_near_certainty(void)
{
    static const float gammas[] = {0.5f, 1, 2, 1e30f};
    for (size_t i = 0; i < 4; i++) {
        struct small s = small_of(0, -200, -300, 0, -20, -20, 0, 0);
        s.options.focal_gamma = gammas[i];
        s.options.reduction = TEMPERA_REDUCTION_NONE;
        ask(&s);
        CHECK_STATUS(s.status, TEMPERA_OK);
        CHECK(s.row_loss[0] == 0 && s.row_loss[1] >= 0);
        check_zeros(s.d, 3); // p_y = 1: no NaN of 0 / 0
        for (size_t k = 3; k < 6; k++)
            CHECK(isfinite(s.d[k]));
    }
}

// 1 - p_y far below an ulp of 1: the other score's mass is 2e-9.
static void focal_beyond_an_ulp_of_one(void)
{
    float z[64], row_loss;
    for (size_t i = 0; i < 64; i++)
        z[i] = -INFINITY;
    z[0] = 0;
    z[32] = -20;
    const int32_t y = 0;
    struct tempera_matrix logits = tempera_matrix_f32(z, 1, 64);
    struct tempera_targets targets = {.classes = &y};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    struct tempera_cross_entropy_outputs out = {.struct_size = sizeof out, .row_loss = &row_loss};
    options.focal_gamma = 0.5f;
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, &options, &out, NULL), TEMPERA_OK);
    CHECK_NEAR((double)row_loss, exp(-20 * 1.5), 1e-6 * exp(-20 * 1.5));
}

// A class that is masked and has no weight is not a target: its row counts, and has no loss.
static void masked_class_without_weight(void)
{
    const float weights[] = {0, 1, 1};
    for (int focal = 0; focal < 2; focal++) {
        struct small s = small_of(-INFINITY, 2, 3, 4, 5, 6, 0, 2);
        s.options.class_weights = weights;
        s.options.focal_gamma = focal ? 2 : 0;
        ask(&s);
        CHECK_STATUS(s.status, TEMPERA_OK);
        CHECK_EQ_SIZE(s.count, 2);
        CHECK(s.row_loss[0] == 0 && s.row_loss[1] > 0);
        check_zeros(s.d, 3);
        s.options.label_smoothing = 0.1f; // the other classes are targets
        s.options.gradient_scale = 1e38f;
        ask(&s);
        CHECK_STATUS(s.status, TEMPERA_OK);
        CHECK(s.row_loss[0] > 0 && s.d[0] == 0 && (focal || s.d[1] != 0));
        s.options.label_smoothing = 0;
        s.options.gradient_scale = 1;
        s.options.temperature = 1e-38f; // the same in double
        ask(&s);
        CHECK_STATUS(s.status, TEMPERA_OK);
        CHECK(s.row_loss[0] == 0);
        check_zeros(s.d, 3);
    }
}

static void soft_targets(void)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++)
        for (size_t at = 0; at < 3; at++)
            for (int masked = 0; masked < 2; masked++) {
                struct small s = small_of(1, 2, 3, 4, 5, 6, 0, 0);
                for (size_t k = 0; masked && k < 3; k++)
                    s.z[k] = -INFINITY; // a NaN goes before a mask
                s.soft = true;
                s.q[at] = bad[i];
                s.q[3] = 1;
                ask(&s);
                CHECK_STATUS(s.status, TEMPERA_NAN_INPUT);
                CHECK_STATUS(s.row_status[1], TEMPERA_OK);
                CHECK(isnan(s.loss));
                check_nans(&s.row_loss[0], 1);
                check_nans(&s.lse[0], 1);
                check_nans(&s.entropy[0], 1);
                check_nans(s.d, 3);
                CHECK(s.d[3] < 0 && s.row_loss[1] > 1);
            }
}

// A row with a NaN, a masked one and an ignored one, of 16 bits, in place.
static void edges_of_halves(void)
{
    static const struct {
        enum tempera_dtype dtype;
        uint16_t one, nan, minus_inf;
    } types[] = {{TEMPERA_F16, 0x3C00, 0x7E00, 0xFC00}, {TEMPERA_BF16, 0x3F80, 0x7FC0, 0xFF80}};
    for (size_t t = 0; t < 2; t++) {
        uint16_t one = types[t].one, nan = types[t].nan, none = types[t].minus_inf;
        uint16_t z[] = {0, one, 0xFFFF, none, one, 0, nan, nan, nan, none, none, none};
        const uint16_t expected[] = {nan, nan, nan, 0, 0, 0, 0, 0, 0, 0, 0, 0};
        const int32_t y[] = {1, 0, -100, 2};
        enum tempera_status row_status[4];
        struct tempera_matrix m = {z, types[t].dtype, 4, 3, 3};
        struct tempera_targets targets = {.classes = y};
        struct tempera_cross_entropy_outputs out = {
            .struct_size = sizeof out, .d_logits = &m, .row_status = row_status};
        CHECK_STATUS(tempera_cross_entropy(&m, &targets, NULL, &out, NULL), TEMPERA_NAN_INPUT);
        CHECK_STATUS(row_status[0], TEMPERA_NAN_INPUT);
        CHECK_STATUS(row_status[1], TEMPERA_TARGET_MASKED);
        CHECK_STATUS(row_status[2], TEMPERA_OK);
        CHECK_STATUS(row_status[3], TEMPERA_ALL_MASKED);
        CHECK_MEM(z, expected, sizeof z);
    }
}

static void nan_in_the_last_column_and_block(void)
{
    struct small s = {.rows = MOST_ROWS, .cols = 7};
    s.options = tempera_cross_entropy_options_default();
    s.options.label_smoothing = 0.1f;
    for (size_t i = 0; i < MOST_ROWS * 7; i++)
        s.z[i] = (float)check_random_between(-3, 3);
    s.z[MOST_ROWS * 7 - 1] = NAN;
    ask(&s);
    CHECK_STATUS(s.status, TEMPERA_NAN_INPUT);
    CHECK_STATUS(s.row_status[MOST_ROWS - 1], TEMPERA_NAN_INPUT);
    CHECK(isnan(s.loss) && isnan(s.row_loss[MOST_ROWS - 1]) && s.correct[MOST_ROWS - 1] == 0);
    check_nans(s.d + (MOST_ROWS - 1) * 7, 7);
    for (size_t r = 0; r < MOST_ROWS - 1; r++)
        CHECK(s.row_status[r] == TEMPERA_OK && s.row_loss[r] > 0);
    s.options.ignore_index = -1; // an ignored row may hold anything
    s.classes[MOST_ROWS - 1] = -1;
    ask(&s);
    CHECK_STATUS(s.status, TEMPERA_OK);
    CHECK(isfinite(s.loss));
    CHECK_EQ_SIZE(s.count, MOST_ROWS - 1);
    check_zeros(s.d + (MOST_ROWS - 1) * 7, 7);
}

static void correct_rows(void)
{
    struct small s = small_of(1, 3, 3, -0.0f, 0, -1, 1, 1);
    ask(&s);
    CHECK(s.correct[0] == 1 && s.correct[1] == 0); // of equal ones the first; -0 equals 0
    CHECK_EQ_SIZE(s.n_correct, 1);
    s = small_of(1, 3, 3, -INFINITY, -INFINITY, -INFINITY, 2, 0);
    ask(&s);
    CHECK(s.correct[0] == 0 && s.correct[1] == 0);
    CHECK_EQ_SIZE(s.n_correct, 0);
}

// Matrices that are parts of larger ones, of every type: nothing beside them is touched.
static void strides(void)
{
    enum { ROWS = 3, COLS = 5, STRIDE = 9 };
    static const enum tempera_dtype dtypes[] = {TEMPERA_F32, TEMPERA_F16, TEMPERA_BF16};
    for (size_t t = 0; t < 3; t++)
        for (int soft = 0; soft < 2; soft++) {
            size_t nbytes = tempera_dtype_nbytes(dtypes[t]);
            char z[ROWS * STRIDE * 4], q[ROWS * STRIDE * 4], d[ROWS * STRIDE * 4];
            char dense_z[ROWS * COLS * 4], dense_q[ROWS * COLS * 4], dense_d[ROWS * COLS * 4];
            const int32_t y[] = {1, 4, 0};
            memset(z, 0xFF, sizeof z); // NaN beside the rows
            memset(q, 0xFF, sizeof q);
            memset(d, 0x77, sizeof d);
            for (size_t i = 0; i < ROWS * COLS; i++) {
                float values[2] = {(float)check_random_between(-3, 3), 0.25f};
                for (int k = 0; k < 2; k++) {
                    char *to = k == 0 ? dense_z : dense_q;
                    uint16_t half = dtypes[t] == TEMPERA_F16 ? tempera_f32_to_f16(values[k])
                                                             : tempera_f32_to_bf16(values[k]);
                    if (dtypes[t] == TEMPERA_F32)
                        memcpy(to + i * nbytes, &values[k], nbytes);
                    else
                        memcpy(to + i * nbytes, &half, nbytes);
                }
            }
            for (size_t r = 0; r < ROWS; r++) {
                memcpy(z + r * STRIDE * nbytes, dense_z + r * COLS * nbytes, COLS * nbytes);
                memcpy(q + r * STRIDE * nbytes, dense_q + r * COLS * nbytes, COLS * nbytes);
            }
            double losses[2];
            for (int dense = 0; dense < 2; dense++) {
                size_t stride = dense ? COLS : STRIDE;
                struct tempera_matrix logits = {dense ? dense_z : z, dtypes[t], ROWS, COLS, stride};
                struct tempera_matrix probs = {dense ? dense_q : q, dtypes[t], ROWS, COLS, stride};
                struct tempera_matrix d_logits = {dense ? dense_d : d, dtypes[t], ROWS, COLS,
                                                  stride};
                struct tempera_targets targets = {soft ? NULL : y, soft ? &probs : NULL};
                struct tempera_cross_entropy_outputs out = {
                    .struct_size = sizeof out, .d_logits = &d_logits, .loss = &losses[dense]};
                CHECK_STATUS(tempera_cross_entropy(&logits, &targets, NULL, &out, NULL),
                             TEMPERA_OK);
            }
            CHECK(losses[0] == losses[1]);
            for (size_t r = 0; r < ROWS; r++) {
                CHECK_MEM(d + r * STRIDE * nbytes, dense_d + r * COLS * nbytes, COLS * nbytes);
                for (size_t i = COLS * nbytes; i < STRIDE * nbytes; i++)
                    CHECK(d[r * STRIDE * nbytes + i] == 0x77);
            }
        }
}

// ------------------------------------------------------------------------------------------------
// Arguments

// Callers built against the first version know neither the new options nor the new outputs.
static void old_structs(void)
{
    struct small s = small_of(1, 2, 3, 4, 5, 6, 0, 2);
    ask(&s);
    struct tempera_matrix logits = tempera_matrix_f32(s.z, 2, 3);
    struct tempera_targets targets = {.classes = s.classes};
    struct tempera_cross_entropy_options options;
    struct tempera_cross_entropy_outputs outputs;
    double loss = 0;
    memset(&options, 0xFF, sizeof options); // whatever lies after the end of the old ones
    memset(&outputs, 0xFF, sizeof outputs);
    options.struct_size = offsetof(struct tempera_cross_entropy_options, label_smoothing);
    options.temperature = 1;
    options.ignore_index = -100;
    options.reduction = TEMPERA_REDUCTION_MEAN;
    options.gradient_scale = 1;
    outputs.struct_size = offsetof(struct tempera_cross_entropy_outputs, row_entropy);
    outputs.d_logits = NULL;
    outputs.row_loss = outputs.row_logsumexp = NULL;
    outputs.row_status = NULL;
    outputs.loss = &loss;
    outputs.count = NULL;
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, &options, &outputs, NULL), TEMPERA_OK);
    CHECK(loss == s.loss && loss > 0);
    options.struct_size--;
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, &options, &outputs, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    outputs.struct_size--;
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, NULL, &outputs, NULL),
                 TEMPERA_INVALID_ARGUMENT);
}

static void refused_options(void)
{
    static const float bad[] = {-1, -1e-30f, NAN, INFINITY, 1.5f};
    for (size_t field = 0; field < 5; field++)
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
            struct small s = small_of(1, 2, 3, 4, 5, 6, 0, 2);
            float weights[] = {1, 1, bad[i]};
            float *fields[] = {&s.options.label_smoothing, &s.options.z_loss, &s.options.softcap,
                               &s.options.focal_gamma};
            if (field < 4)
                *fields[field] = bad[i];
            else
                s.options.class_weights = weights;
            bool is_fine = field > 0 && bad[i] == 1.5f;
            ask(&s);
            CHECK_STATUS(s.status, is_fine ? TEMPERA_OK : TEMPERA_INVALID_ARGUMENT);
        }
    struct small s = small_of(1, 2, 3, 4, 5, 6, 0, 2);
    s.soft = true;
    s.options.focal_gamma = 2;
    ask(&s);
    CHECK_STATUS(s.status, TEMPERA_UNSUPPORTED);
}

static void argmax_of_soft_targets(void)
{
    static float z[6], q[6];
    static uint8_t correct[2];
    size_t n_correct;
    struct tempera_matrix logits = tempera_matrix_f32(z, 2, 3), probs = tempera_matrix_f32(q, 2, 3);
    struct tempera_targets targets = {NULL, &probs};
    struct tempera_cross_entropy_outputs out = {.struct_size = sizeof out, .row_correct = correct};
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, NULL, &out, NULL), TEMPERA_UNSUPPORTED);
    out = (struct tempera_cross_entropy_outputs){.struct_size = sizeof out,
                                                 .n_correct = &n_correct};
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, NULL, &out, NULL), TEMPERA_UNSUPPORTED);
}

// Outputs over each other, over what is read, and a gradient over the weights.
static void overlaps(void)
{
    static float z[8], d[8], weights[8], rows[8];
    static int32_t y[2];
    struct tempera_matrix logits = tempera_matrix_f32(z, 2, 4);
    struct tempera_matrix gradient = tempera_matrix_f32(d, 2, 4);
    struct tempera_matrix over_weights = tempera_matrix_f32(weights + 3, 1, 4);
    struct tempera_matrix halves = {z, TEMPERA_BF16, 2, 4, 4};
    struct tempera_targets targets = {.classes = y};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    options.class_weights = weights;
    const struct tempera_cross_entropy_outputs bad[] = {
        {.row_entropy = z + 7},
        {.row_entropy = weights + 3},
        {.row_entropy = d + 1, .d_logits = &gradient},
        {.row_entropy = rows, .row_loss = rows + 1},
        {.row_correct = (uint8_t *)y + 7},
        {.row_correct = (uint8_t *)weights},
        {.row_correct = (uint8_t *)z + 31},
        {.row_correct = (uint8_t *)rows + 4, .row_entropy = rows},
        {.row_loss = weights + 2},
        {.d_logits = &over_weights},
        {.d_logits = &halves}, // in place, of another type
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct tempera_cross_entropy_outputs outputs = bad[i];
        outputs.struct_size = sizeof outputs;
        logits.rows = bad[i].d_logits == &over_weights ? 1 : 2;
        CHECK_STATUS(tempera_cross_entropy(&logits, &targets, &options, &outputs, NULL),
                     TEMPERA_INVALID_ARGUMENT);
    }
    struct tempera_cross_entropy_outputs good = {.struct_size = sizeof good,
                                                 .row_entropy = rows,
                                                 .row_correct = (uint8_t *)(rows + 2),
                                                 .row_loss = rows + 3,
                                                 .d_logits = &gradient};
    logits.rows = 2;
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, &options, &good, NULL), TEMPERA_OK);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"smoothing over a masked score is reported unless that has no weight",
         smoothing_and_masks},
        {"masked scores have no gradient under large factors", masked_scores_under_large_factors},
        {"masked scores of plain rows have no gradient", masked_scores_of_plain_rows},
        {"any finite gradient scale is multiplied in", extreme_factors},
        {"scores of +inf share the probability", infinite_scores},
        {"the softcap of an infinite score is the cap", softcap_of_infinite_scores},
        {"a softcap at a small temperature gives numbers", softcap_at_a_small_temperature},
        {"focal loss near certainty loses no digits", focal_near_certainty},
        {"focal loss beyond an ulp of one is exact", focal_beyond_an_ulp_of_one},
        {"a masked class without weight counts nothing", masked_class_without_weight},
        {"NaN and infinity in soft targets are reported", soft_targets},
        {"edge cases in 16 bits are those of f32", edges_of_halves},
        {"a NaN in the last column of the last block is seen", nan_in_the_last_column_and_block},
        {"of equal scores the first counts as the prediction", correct_rows},
        {"strides of every type are kept to", strides},
        {"structs of the first version are taken", old_structs},
        {"options out of range are refused", refused_options},
        {"the argmax of soft targets is the first maximum", argmax_of_soft_targets},
        {"overlaps are refused", overlaps},
    };
    return CHECK_RUN(tests, argc, argv);
}
