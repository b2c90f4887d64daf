// SPDX-License-Identifier: MIT
// Distillation against its definition in long double, finite differences, and every edge of the
// contract in distillation.h; the same bits on every kernel table, executor and in place.
#include "check.h"

#include <fenv.h>

#include <tempera/distillation.h>

#include "base/half.h"
#include "kernels/kernels.h"

enum { MOST_ROWS = 70, MOST_COLS = 1500 };

static float t[MOST_ROWS * MOST_COLS], s[MOST_ROWS * MOST_COLS], g[MOST_ROWS * MOST_COLS];
static float row_loss[MOST_ROWS];
static enum tempera_status row_status[MOST_ROWS];

// The student's scores are the teacher's, shifted by up to `apart`, and the whole row by `offset`.
static void fill(size_t n, double spread, double apart, double offset)
{
    for (size_t i = 0; i < n; i++) {
        double score = spread * check_random_normal();
        t[i] = (float)score;
        s[i] = (float)(score + apart * check_random_normal() + offset);
    }
}

static struct tempera_distillation_options options_of(float T, float beta)
{
    struct tempera_distillation_options options = tempera_distillation_options_default();
    options.temperature = T;
    options.beta = beta;
    options.reduction = TEMPERA_REDUCTION_SUM;
    return options;
}

// Loss and gradient of t and s.
static enum tempera_status ask(size_t rows, size_t cols,
                               const struct tempera_distillation_options *options, double *loss)
{
    struct tempera_matrix teacher = tempera_matrix_f32(t, rows, cols);
    struct tempera_matrix student = tempera_matrix_f32(s, rows, cols);
    struct tempera_matrix d = tempera_matrix_f32(g, rows, cols);
    struct tempera_distillation_outputs outputs = {.struct_size = sizeof outputs,
                                                   .d_student = &d,
                                                   .row_loss = row_loss,
                                                   .row_status = row_status,
                                                   .loss = loss};
    return tempera_distillation(&teacher, &student, options, &outputs, NULL);
}

// ------------------------------------------------------------------------------------------------
// The definition

static void log_softmax(const float *z, size_t n, long double T, long double *log_p)
{
    long double max = -INFINITY, S = 0;
    for (size_t i = 0; i < n; i++)
        max = (long double)z[i] > max ? (long double)z[i] : max;
    for (size_t i = 0; i < n; i++)
        S += expl(((long double)z[i] - max) / T);
    for (size_t i = 0; i < n; i++)
        log_p[i] = ((long double)z[i] - max) / T - logl(S);
}

static long double times_log(long double p, long double log_ratio)
{
    return p == 0 ? 0 : p * log_ratio;
}

// D, and its gradient times T, with log q / p in log_ratio.
static long double definition_of(const float *teacher, const float *student, size_t n,
                                 long double T, long double beta, long double *d,
                                 long double *log_ratio, long double *largest)
{
    static long double log_p[MOST_COLS], log_q[MOST_COLS], log_m[MOST_COLS];
    log_softmax(teacher, n, T, log_p);
    log_softmax(student, n, T, log_q);
    long double D = 0, V = 0;
    for (size_t i = 0; i < n; i++) {
        long double p = expl(log_p[i]), q = expl(log_q[i]);
        log_m[i] = beta == 0 || beta == 1 ? 0 : logl(beta * p + (1 - beta) * q);
        log_ratio[i] = p == 0 && q == 0 ? 0 : log_q[i] - log_p[i];
        largest[i] = p > q ? p : q;
        if (beta == 0)
            D += times_log(p, log_p[i] - log_q[i]);
        else if (beta == 1)
            D += times_log(q, log_q[i] - log_p[i]);
        else
            D += times_log(beta * p, log_p[i] - log_m[i]) +
                 times_log((1 - beta) * q, log_q[i] - log_m[i]);
        V += beta == 1 ? times_log(q, log_ratio[i]) : times_log(q, log_q[i] - log_m[i]);
    }
    for (size_t i = 0; i < n; i++) {
        long double p = expl(log_p[i]), q = expl(log_q[i]);
        if (beta == 0)
            d[i] = q - p;
        else if (beta == 1)
            d[i] = times_log(q, log_ratio[i]) - q * V;
        else
            d[i] = (1 - beta) * (times_log(q, log_q[i] - log_m[i]) - q * V);
    }
    return D;
}

// Half of the bounds of the header, and a quarter of the absolute one: these are derived for the
// worst of all rows.
static void check_definition(size_t rows, size_t cols, float T, float beta)
{
    static long double d[MOST_COLS], log_ratio[MOST_COLS], largest[MOST_COLS];
    struct tempera_distillation_options options = options_of(T, beta);
    double loss;
    CHECK_STATUS(ask(rows, cols, &options, &loss), TEMPERA_OK);
    double wide_T = (double)T, sum = 0, sum_bound = 0;
    for (size_t r = 0; r < rows; r++) {
        double D = (double)definition_of(t + r * cols, s + r * cols, cols, (long double)T,
                                         (long double)beta, d, log_ratio, largest);
        double exact = D * wide_T * wide_T;
        double bound = (D * 0x1p-21 + 0x1p-44) * wide_T * wide_T;
        // T^2 D may be beyond the floats.
        CHECK_NEAR((double)row_loss[r], (double)(float)exact, bound + exact * 0x1p-23 + 0x1p-149);
        CHECK(row_loss[r] >= 0);
        sum += exact;
        sum_bound += bound + exact * 0x1p-45;
        for (size_t i = 0; i < cols; i++) {
            double slope = (double)d[i] * wide_T;
            double slack = wide_T * (double)(largest[i] * (1 + fabsl(log_ratio[i]))) * 0x1p-21;
            CHECK_NEAR((double)g[r * cols + i], slope, slack + fabs(slope) * 0x1p-24 + 0x1p-149);
        }
    }
    CHECK_NEAR(loss, sum, sum_bound);
}

static const float betas[] = {0, 0.01f, 0.25f, 0.5f, 0.99f, 1};

static void definition(void)
{
    static const float temperatures[] = {1, 0.3f, 4, 100};
    static const double distances[] = {0, 1e-6, 1e-3, 0.1, 1, 10};
    for (size_t b = 0; b < 6; b++)
        for (size_t temperature = 0; temperature < 4; temperature += check_stride(3))
            for (size_t k = 0; k < 6; k += check_stride(2)) {
                size_t rows = 1 + check_random_below(3), cols = 1 + check_random_below(300);
                fill(rows * cols, 3, distances[k], k == 4 ? 1e4 : 0);
                check_definition(rows, cols, temperatures[temperature], betas[b]);
            }
}

// Longer than a piece; scores of +-80 and +-1e4; one entry that has it all.
static void long_and_extreme(void)
{
    for (size_t b = 0; b < 6; b++) {
        fill(2 * MOST_COLS, 3, 1, 0);
        check_definition(2, MOST_COLS, 1, betas[b]);
        for (size_t i = 0; i < 2 * 64; i++)
            t[i] += 80 * (float)((int)(i % 3) - 1);
        check_definition(2, 64, 1, betas[b]);
        for (size_t i = 0; i < 2 * 64; i++)
            s[i] += 1e4f * (float)((int)(i % 5) - 2);
        check_definition(2, 64, 1, betas[b]);
    }
}

// Equal rows: exactly 0, and no gradient, at any T.
static void equal_rows(void)
{
    for (size_t b = 0; b < 6; b++) {
        fill(3 * 100, 3, 0, 0);
        struct tempera_distillation_options options = options_of(b % 2 ? 0.01f : 50, betas[b]);
        double loss;
        CHECK_STATUS(ask(3, 100, &options, &loss), TEMPERA_OK);
        CHECK(loss == 0);
        for (size_t i = 0; i < 300; i++)
            CHECK(g[i] == 0);
    }
}

// Where the usual sum of p (log p - log q) has lost all its digits, or is below 0.
static void near_rows(void)
{
    enum { COLS = 1000 };
    size_t n_negative = 0;
    for (size_t round = 0; round < check_cases(20); round++) {
        fill(COLS, 3, 1e-5, 0);
        check_definition(1, COLS, 1, 0);
        static long double log_p[COLS], log_q[COLS];
        log_softmax(t, COLS, 1, log_p);
        log_softmax(s, COLS, 1, log_q);
        float naive = 0;
        for (size_t i = 0; i < COLS; i++)
            naive += expf((float)log_p[i]) * ((float)log_p[i] - (float)log_q[i]);
        n_negative += naive < 0;
        CHECK(row_loss[0] > 0);
    }
    CHECK(n_negative > 0); // or the rows prove nothing
}

// One score differs in its last bit: what is left is tiny, and above 0.
static void neighbouring_rows(void)
{
    enum { COLS = 200 };
    for (size_t b = 0; b < 6; b++)
        for (int round = 0; round < 50; round++) {
            fill(COLS, 1, 0, 0);
            s[round] = nextafterf(s[round], 100);
            struct tempera_distillation_options options = options_of(1, betas[b]);
            double loss;
            CHECK_STATUS(ask(1, COLS, &options, &loss), TEMPERA_OK);
            CHECK(loss > 0 && loss < 1e-13);
        }
}

// The gradient is the slope of the loss. In double: the loss is taken from the outputs' double.
static void finite_differences(void)
{
    enum { COLS = 17 };
    for (size_t b = 0; b < 6; b++)
        for (int k = 0; k < 2; k++) {
            const float T = k == 0 ? 1 : 2.5f, h = 0x1p-8f;
            fill(COLS, 1, 1, 0);
            for (size_t i = 0; i < COLS; i++)
                s[i] = (float)ldexp(rint(ldexp((double)s[i], 12)), -12); // s +- h is exact
            struct tempera_distillation_options options = options_of(T, betas[b]);
            double above, below, loss;
            static float slopes[COLS];
            CHECK_STATUS(ask(1, COLS, &options, &loss), TEMPERA_OK);
            memcpy(slopes, g, sizeof slopes);
            for (size_t i = 0; i < COLS; i++) {
                float kept = s[i];
                s[i] = kept + h;
                CHECK_STATUS(ask(1, COLS, &options, &above), TEMPERA_OK);
                s[i] = kept - h;
                CHECK_STATUS(ask(1, COLS, &options, &below), TEMPERA_OK);
                s[i] = kept;
                double slope = (above - below) / (2 * (double)h);
                // The third derivative of T^2 D is below 8 (1 + D) / T.
                double third = 8 * (1 + loss / (double)(T * T)) / (double)T;
                CHECK_NEAR((double)slopes[i], slope,
                           third * (double)(h * h) / 6 + loss * 0x1p-20 / (double)h * 0x1p-6 +
                               0x1p-21 * (double)T * 4);
            }
        }
}

// ------------------------------------------------------------------------------------------------
// Edges

static void masks(void)
{
    const float inf = INFINITY, zeros[4] = {0};
    const float both[4] = {1, -inf, 2, 3}, none[4] = {-inf, -inf, -inf, -inf};
    double loss;
    for (size_t b = 0; b < 6; b++) {
        struct tempera_distillation_options options = options_of(2, betas[b]);
        memcpy(t, both, sizeof both); // masked in both: no part of either
        memcpy(s, (const float[4]){0, -inf, 1, 0}, sizeof both);
        check_definition(1, 4, 2, betas[b]);
        CHECK(g[1] == 0);

        memcpy(s, (const float[4]){0, 5, 1, 0}, sizeof both); // masked in the teacher
        if (betas[b] < 1) {
            check_definition(1, 4, 2, betas[b]);
        } else {
            CHECK_STATUS(ask(1, 4, &options, &loss), TEMPERA_TARGET_MASKED);
            CHECK(isinf(loss) && isinf(row_loss[0]) && row_status[0] == TEMPERA_TARGET_MASKED);
            CHECK_MEM(g, zeros, sizeof zeros);
        }
        memcpy(t, s, sizeof both); // masked in the student
        memcpy(s, both, sizeof both);
        if (betas[b] > 0) {
            check_definition(1, 4, 2, betas[b]);
            CHECK(g[1] == 0);
        } else {
            CHECK_STATUS(ask(1, 4, &options, &loss), TEMPERA_TARGET_MASKED);
            CHECK(isinf(loss) && isinf(row_loss[0]) && row_status[0] == TEMPERA_TARGET_MASKED);
            CHECK_MEM(g, zeros, sizeof zeros);
        }
        for (int which = 0; which < 2; which++) {
            memcpy(t, which ? both : none, sizeof both);
            memcpy(s, which ? none : both, sizeof both);
            memset(g, 7, sizeof zeros);
            CHECK_STATUS(ask(1, 4, &options, &loss), TEMPERA_ALL_MASKED);
            CHECK(isinf(loss));
            CHECK_MEM(g, zeros, sizeof zeros);
        }
    }
}

// Half of the teacher's mass on each of two; a student of four even entries: ln 2.
static void infinite_scores(void)
{
    const float inf = INFINITY;
    double loss;
    struct tempera_distillation_options options = options_of(1, 0);
    memcpy(t, (const float[4]){inf, 3, inf, -inf}, 4 * sizeof *t);
    memcpy(s, (const float[4]){5, 5, 5, 5}, 4 * sizeof *s);
    CHECK_STATUS(ask(1, 4, &options, &loss), TEMPERA_OK);
    CHECK_NEAR(loss, log(2), 1e-15);
    CHECK(g[0] == -0.25f && g[1] == 0.25f && g[2] == -0.25f && g[3] == 0.25f);
    memcpy(s, (const float[4]){inf, 5, 5, 5}, 4 * sizeof *s);
    CHECK_STATUS(ask(1, 4, &options, &loss), TEMPERA_TARGET_MASKED);
}

static void nan_rows(void)
{
    const uint32_t nan = 0x7FC00000;
    double loss;
    for (size_t b = 0; b < 6; b += 2)
        for (int which = 0; which < 2; which++) {
            fill(8, 1, 1, 0);
            (which ? t : s)[1] = NAN;
            struct tempera_distillation_options options = options_of(1, betas[b]);
            CHECK_STATUS(ask(2, 4, &options, &loss), TEMPERA_NAN_INPUT);
            CHECK(isnan(loss));
            CHECK_MEM(&row_loss[0], &nan, sizeof nan);
            for (size_t i = 0; i < 4; i++)
                CHECK_MEM(&g[i], &nan, sizeof nan);
            CHECK_STATUS(row_status[1], TEMPERA_OK);
            CHECK(row_loss[1] > 0 && g[4] == g[4]); // a bad row does not stop the others
        }
}

// Temperatures and scores that f32 can't hold: T = 1e-37 and 1e33, scores of 1e38.
static void wide_rows(void)
{
    for (size_t b = 0; b < 6; b++) {
        fill(50, 1, 1, 0);
        for (size_t i = 0; i < 50; i++) {
            t[i] *= 1e-37f;
            s[i] *= 1e-37f;
        }
        check_definition(1, 50, 1e-37f, betas[b]);
        for (size_t i = 0; i < 50; i++) {
            t[i] = (float)(i % 7) * 1e37f;
            s[i] = (float)(i % 5) * 4e37f;
        }
        check_definition(1, 50, 1e37f, betas[b]);
    }
}

static void reductions(void)
{
    enum { ROWS = 5, COLS = 40 };
    fill(ROWS * COLS, 2, 1, 0);
    const int32_t classes[ROWS] = {3, TEMPERA_IGNORE_INDEX, 0, 1, TEMPERA_IGNORE_INDEX};
    static float sums[ROWS * COLS];
    struct tempera_distillation_options options = options_of(2, 0.5f);
    options.classes = classes;
    double sum, mean;
    CHECK_STATUS(ask(ROWS, COLS, &options, &sum), TEMPERA_OK);
    memcpy(sums, g, sizeof sums);
    CHECK(row_loss[1] == 0 && row_loss[4] == 0);
    CHECK_NEAR(sum, (double)row_loss[0] + (double)row_loss[2] + (double)row_loss[3], sum * 0x1p-23);
    options.reduction = TEMPERA_REDUCTION_MEAN;
    options.gradient_scale = 6;
    CHECK_STATUS(ask(ROWS, COLS, &options, &mean), TEMPERA_OK);
    CHECK_NEAR(mean, sum / 3, 1e-15 * sum);
    for (size_t i = 0; i < ROWS * COLS; i++)
        CHECK_ULP(g[i], 2 * (double)sums[i], 1);
    for (size_t i = 0; i < COLS; i++)
        CHECK(g[COLS + i] == 0 && g[i] != 0);
    const int32_t all[ROWS] = {-100, -100, -100, -100, -100};
    options.classes = all;
    CHECK_STATUS(ask(ROWS, COLS, &options, &mean), TEMPERA_OK);
    CHECK(mean == 0);
}

static void bad_arguments(void)
{
    fill(8, 1, 1, 0);
    struct tempera_matrix teacher = tempera_matrix_f32(t, 2, 4);
    struct tempera_matrix student = tempera_matrix_f32(s, 2, 4), d = tempera_matrix_f32(g, 2, 4);
    struct tempera_matrix other = tempera_matrix_f32(s, 2, 3);
    double loss = 5;
    struct tempera_distillation_outputs out = {.struct_size = sizeof out, .loss = &loss};
    const struct {
        float T, beta, scale;
    } bad[] = {{0, 0, 1},   {-1, 0, 1},  {INFINITY, 0, 1}, {NAN, 0, 1},
               {1, -1, 1},  {1, 1.1f, 1}, {1, NAN, 1},     {1, 0, INFINITY}};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct tempera_distillation_options options = options_of(bad[i].T, bad[i].beta);
        options.gradient_scale = bad[i].scale;
        CHECK_STATUS(tempera_distillation(&teacher, &student, &options, &out, NULL),
                     TEMPERA_INVALID_ARGUMENT);
    }
    CHECK_STATUS(tempera_distillation(&teacher, &other, NULL, &out, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_distillation(NULL, &student, NULL, &out, NULL), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_distillation(&teacher, &student, NULL, NULL, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    const struct tempera_distillation_outputs overlaps[] = {
        {.row_loss = t + 7},
        {.row_loss = s},
        {.row_loss = g + 3, .d_student = &d},
        {.row_loss = row_loss, .row_status = (enum tempera_status *)(void *)(row_loss + 1)},
    };
    for (size_t i = 0; i < 4; i++) {
        out = overlaps[i];
        out.struct_size = sizeof out;
        CHECK_STATUS(tempera_distillation(&teacher, &student, NULL, &out, NULL),
                     TEMPERA_INVALID_ARGUMENT);
    }
    d.data = s + 1;
    out = (struct tempera_distillation_outputs){.struct_size = sizeof out, .d_student = &d};
    CHECK_STATUS(tempera_distillation(&teacher, &student, NULL, &out, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK(loss == 5);
}

// ------------------------------------------------------------------------------------------------
// The same bits

// All betas; the gradients' bits and the loss, as one number.
static uint64_t hash_all(size_t rows, size_t cols, int place,
                         const struct tempera_executor *executor)
{
    static float copies[2][MOST_ROWS * MOST_COLS];
    uint64_t hash = 14695981039346656037u;
    for (size_t b = 0; b < 6; b++) {
        memcpy(copies[0], t, sizeof t);
        memcpy(copies[1], s, sizeof s);
        struct tempera_matrix teacher = tempera_matrix_f32(copies[0], rows, cols);
        struct tempera_matrix student = tempera_matrix_f32(copies[1], rows, cols);
        struct tempera_matrix d = tempera_matrix_f32(place == 2 ? g : copies[place], rows, cols);
        double loss;
        struct tempera_distillation_outputs out = {
            .struct_size = sizeof out, .d_student = &d, .loss = &loss};
        struct tempera_distillation_options options = options_of(1.5f, betas[b]);
        tempera_distillation(&teacher, &student, &options, &out, executor);
        const unsigned char *parts[] = {d.data, (const unsigned char *)&loss};
        const size_t sizes[] = {rows * cols * sizeof(float), sizeof loss};
        for (size_t k = 0; k < 2; k++)
            for (size_t i = 0; i < sizes[k]; i++)
                hash = (hash ^ parts[k][i]) * 1099511628211u;
    }
    return hash;
}

static void same_bits(void)
{
    enum { COLS = 300 };
    fill(MOST_ROWS * COLS, 3, 1, 0);
    t[5] = s[5] = -INFINITY;
    s[COLS + 3] = -INFINITY;
    t[2 * COLS + 3] = -INFINITY;
    const uint64_t usual = hash_all(MOST_ROWS, COLS, 2, NULL);
    for (int place = 0; place < 2; place++)
        CHECK_EQ_U64(hash_all(MOST_ROWS, COLS, place, NULL), usual);
    for (size_t threads = 1; threads <= 7; threads += threads < 3 ? 1 : 4) {
        struct tempera_thread_pool *pool = NULL;
        CHECK_STATUS(tempera_thread_pool_open(&pool, threads), TEMPERA_OK);
        CHECK_EQ_U64(hash_all(MOST_ROWS, COLS, 2, tempera_thread_pool_executor(pool)), usual);
        tempera_thread_pool_close(&pool);
    }
    const struct tempera_kernels *before = tempera_kernels_active(), *table;
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++) {
        tempera_kernels_use(table);
        bool same = hash_all(MOST_ROWS, COLS, 2, NULL) == usual;
        check_that(same, __FILE__, __LINE__, "%s has other bits", table->name);
    }
    tempera_kernels_use(before);
    fesetround(FE_UPWARD);
    uint64_t upward = hash_all(MOST_ROWS, COLS, 2, NULL);
    int after = fegetround();
    fesetround(FE_TONEAREST);
    CHECK_EQ_INT(after, FE_UPWARD);
    CHECK_EQ_U64(upward, usual);
}

// 16-bit scores give what the same scores in f32 give; a 16-bit gradient is that, rounded.
static void types(void)
{
    enum { ROWS = 3, COLS = 1100 };
    static uint16_t half_t[ROWS * COLS], half_s[ROWS * COLS], half_g[ROWS * COLS];
    for (int is_f16 = 0; is_f16 < 2; is_f16++)
        for (size_t b = 0; b < 6; b++) {
            fill(ROWS * COLS, 3, 1, 0);
            for (size_t i = 0; i < ROWS * COLS; i++) {
                half_t[i] = is_f16 ? tempera_f32_to_f16(t[i]) : tempera_f32_to_bf16(t[i]);
                half_s[i] = is_f16 ? tempera_f32_to_f16(s[i]) : tempera_f32_to_bf16(s[i]);
                t[i] = is_f16 ? tempera_f16_to_f32(half_t[i]) : tempera_bf16_to_f32(half_t[i]);
                s[i] = is_f16 ? tempera_f16_to_f32(half_s[i]) : tempera_bf16_to_f32(half_s[i]);
            }
            struct tempera_distillation_options options = options_of(1.5f, betas[b]);
            double wide, loss;
            CHECK_STATUS(ask(ROWS, COLS, &options, &wide), TEMPERA_OK);
            enum tempera_dtype dtype = is_f16 ? TEMPERA_F16 : TEMPERA_BF16;
            struct tempera_matrix teacher = {half_t, dtype, ROWS, COLS, COLS};
            struct tempera_matrix student = {half_s, dtype, ROWS, COLS, COLS};
            struct tempera_matrix d = {b % 2 ? half_s : half_g, dtype, ROWS, COLS, COLS};
            struct tempera_distillation_outputs out = {
                .struct_size = sizeof out, .d_student = &d, .loss = &loss};
            CHECK_STATUS(tempera_distillation(&teacher, &student, &options, &out, NULL),
                         TEMPERA_OK);
            CHECK_MEM(&loss, &wide, sizeof loss);
            const uint16_t *got = d.data;
            for (size_t i = 0; i < ROWS * COLS; i++)
                CHECK_EQ_INT(got[i],
                             is_f16 ? tempera_f32_to_f16(g[i]) : tempera_f32_to_bf16(g[i]));
        }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"distillation is the definition", definition},
        {"long rows and scores of +-80 and +-1e4 are the definition", long_and_extreme},
        {"equal rows give exactly 0", equal_rows},
        {"rows that nearly agree lose no digits and never give less than 0", near_rows},
        {"rows that differ in one bit lose no digits", neighbouring_rows},
        {"gradients are finite differences", finite_differences},
        {"masks in teacher, student or both are the definition", masks},
        {"scores of +inf share the probability", infinite_scores},
        {"rows with a NaN have a status", nan_rows},
        {"rows that f32 cannot hold are the definition", wide_rows},
        {"reductions leave out ignored rows", reductions},
        {"bad arguments and overlaps are refused", bad_arguments},
        {"bits do not depend on places, executors, kernels or modes", same_bits},
        {"f16 and bf16 rows give what f32 rows give", types},
    };
    return CHECK_RUN(tests, argc, argv);
}
