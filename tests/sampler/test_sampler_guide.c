// SPDX-License-Identifier: MIT
// Classifier-free guidance against its formula over the library's log-softmax, in all types.
#include "sampler_setup.h"

#include <tempera/decoding.h>
#include <tempera/parallel.h>
#include <tempera/softmax.h>

#include "base/half.h"

enum { ROWS = 6, MOST = 5000 };

static float c[ROWS * MOST], u[ROWS * MOST], log_c[MOST], log_u[MOST];

// A matrix of any type, with what it holds as f32.
struct typed {
    enum tempera_dtype dtype;
    float wide[ROWS * MOST];
    uint16_t half[ROWS * MOST];
};

static struct typed cond, uncond, guided, again;

static float rounded(float value, enum tempera_dtype dtype, uint16_t *half)
{
    *half = dtype == TEMPERA_F16 ? tempera_f32_to_f16(value) : tempera_f32_to_bf16(value);
    if (dtype == TEMPERA_F32)
        return value;
    return dtype == TEMPERA_F16 ? tempera_f16_to_f32(*half) : tempera_bf16_to_f32(*half);
}

static struct tempera_matrix matrix_of(struct typed *t, size_t rows, size_t n)
{
    void *data = t->dtype == TEMPERA_F32 ? (void *)t->wide : (void *)t->half;
    return (struct tempera_matrix){data, t->dtype, rows, n, n};
}

static void fill(struct typed *t, enum tempera_dtype dtype, size_t rows, size_t n)
{
    t->dtype = dtype;
    for (size_t i = 0; i < rows * n; i++) {
        float value = (float)check_random_between(-12, 12);
        if (check_random_below(50) == 0)
            value = -INFINITY;
        t->wide[i] = rounded(value, dtype, &t->half[i]);
    }
}

static float element(const struct typed *t, size_t i)
{
    if (t->dtype == TEMPERA_F32)
        return t->wide[i];
    return t->dtype == TEMPERA_F16 ? tempera_f16_to_f32(t->half[i])
                                   : tempera_bf16_to_f32(t->half[i]);
}

static void check_row(size_t r, size_t n, float scale)
{
    struct tempera_matrix in = tempera_matrix_f32(cond.wide + r * n, 1, n);
    struct tempera_matrix out = tempera_matrix_f32(log_c, 1, n);
    CHECK_STATUS(tempera_log_softmax(&in, NULL, &out, NULL, NULL), TEMPERA_OK);
    in.data = uncond.wide + r * n;
    out.data = log_u;
    CHECK_STATUS(tempera_log_softmax(&in, NULL, &out, NULL, NULL), TEMPERA_OK);
    for (size_t i = 0; i < n; i++) {
        double exact = (double)log_u[i] + (double)scale * ((double)log_c[i] - (double)log_u[i]);
        float expected = (float)exact;
        if (log_c[i] == -INFINITY || log_u[i] == -INFINITY || scale == 1)
            expected = log_c[i];
        uint16_t half;
        expected = rounded(expected, guided.dtype, &half);
        float got = element(&guided, r * n + i);
        CHECK_MEM(&got, &expected, sizeof got);
    }
}

static void formula(void)
{
    static const enum tempera_dtype dtypes[] = {TEMPERA_F32, TEMPERA_F16, TEMPERA_BF16};
    static const float scales[] = {1, 0, 1.5f, 3, -1, 0.3f};
    static const size_t sizes[] = {1, 3, 100, 4096, 4097, 5000};
    for (size_t round = 0; round < 54; round++) {
        size_t n = sizes[round % 6], rows = 1 + check_random_below(ROWS);
        fill(&cond, dtypes[round % 3], rows, n);
        fill(&uncond, dtypes[round / 3 % 3], rows, n);
        for (size_t r = 0; r < rows; r++) {
            cond.wide[r * n] = rounded(1, cond.dtype, &cond.half[r * n]);
            uncond.wide[r * n] = rounded(2, uncond.dtype, &uncond.half[r * n]);
        }
        guided.dtype = dtypes[round / 9 % 3];
        struct tempera_matrix a = matrix_of(&cond, rows, n), b = matrix_of(&uncond, rows, n);
        struct tempera_matrix out = matrix_of(&guided, rows, n);
        enum tempera_status status[ROWS];
        float scale = scales[check_random_below(COUNT_OF(scales))];
        CHECK_STATUS(tempera_guide(&a, &b, scale, &out, status, NULL), TEMPERA_OK);
        for (size_t r = 0; r < rows; r++) {
            CHECK_STATUS(status[r], TEMPERA_OK);
            check_row(r, n, scale);
        }
        // In place of either input, on threads: the same bits
        struct tempera_thread_pool *pool;
        CHECK_STATUS(tempera_thread_pool_open(&pool, 1 + round % 3), TEMPERA_OK);
        for (int other = 0; other < 2; other++) {
            struct typed *target = other ? &uncond : &cond;
            if (target->dtype != guided.dtype)
                continue;
            again = *target;
            struct tempera_matrix place = matrix_of(&again, rows, n);
            CHECK_STATUS(tempera_guide(other ? &a : &place, other ? &place : &b, scale, &place,
                                       NULL, tempera_thread_pool_executor(pool)),
                         TEMPERA_OK);
            CHECK_MEM(place.data, out.data, rows * n * (guided.dtype == TEMPERA_F32 ? 4 : 2));
        }
        tempera_thread_pool_close(&pool);
    }
}

static void edges(void)
{
    const float inf = INFINITY;
    const float rows_c[4][4] = {
        {1, NAN, 2, 3}, {-inf, -inf, -inf, -inf}, {1, -inf, 0, 2}, {inf, 1, inf, 0}};
    const float rows_u[4][4] = {
        {1, 1, 2, 3}, {1, 2, 3, 4}, {-inf, -inf, -inf, -inf}, {0, 0, 0, -inf}};
    float out[4][4];
    enum tempera_status status[4];
    struct tempera_matrix a = tempera_matrix_const_f32(rows_c[0], 4, 4);
    struct tempera_matrix b = tempera_matrix_const_f32(rows_u[0], 4, 4);
    struct tempera_matrix to = tempera_matrix_f32(out[0], 4, 4);
    CHECK_STATUS(tempera_guide(&a, &b, 2, &to, status, NULL), TEMPERA_NAN_INPUT);
    CHECK_STATUS(status[0], TEMPERA_NAN_INPUT);
    CHECK_STATUS(status[1], TEMPERA_ALL_MASKED);
    CHECK_STATUS(status[2], TEMPERA_OK);
    CHECK_STATUS(status[3], TEMPERA_OK);
    for (size_t i = 0; i < 4; i++) {
        CHECK(tempera_float_bits(out[0][i]) == 0x7FC00000u);
        CHECK(out[1][i] == -inf);
    }
    double sum = 1 + exp(1) + exp(2);
    CHECK_ULP(out[2][3], 2 - log(sum), 2); // c
    CHECK(out[2][1] == -inf && out[3][1] == -inf && out[3][3] == -inf);
    CHECK_ULP(out[3][0], 2 * -log(2) + log(3), 8);
    b.data = (void *)(uintptr_t)rows_c[0]; // a NaN in the other one
    a.data = (void *)(uintptr_t)rows_u[0];
    CHECK_STATUS(tempera_guide(&a, &b, 1, &to, status, NULL), TEMPERA_NAN_INPUT);
    CHECK_STATUS(status[0], TEMPERA_NAN_INPUT);
    // Scale 1 gives c to the bit, where u + (c - u) would not.
    const float sure[2] = {20, 0}, not_so[2] = {0, 20};
    float one[2], exact[2];
    a = tempera_matrix_const_f32(sure, 1, 2);
    b = tempera_matrix_const_f32(not_so, 1, 2);
    to = tempera_matrix_f32(one, 1, 2);
    struct tempera_matrix c_alone = tempera_matrix_f32(exact, 1, 2);
    CHECK_STATUS(tempera_guide(&a, &b, 1, &to, NULL, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_log_softmax(&a, NULL, &c_alone, NULL, NULL), TEMPERA_OK);
    CHECK(exact[0] < 0);
    CHECK_MEM(one, exact, sizeof one);
    // What is allowed stays finite in the type of the result.
    const float far_c[2] = {0, -100}, far_u[2] = {0, -90};
    uint16_t half[2];
    a = tempera_matrix_const_f32(far_c, 1, 2);
    b = tempera_matrix_const_f32(far_u, 1, 2);
    struct tempera_matrix narrow = {half, TEMPERA_F16, 1, 2, 2};
    CHECK_STATUS(tempera_guide(&a, &b, 0x1.fffffep127f, &narrow, NULL, NULL), TEMPERA_OK);
    CHECK(tempera_f16_to_f32(half[1]) == -65504);
    CHECK_STATUS(tempera_guide(&b, &a, 0x1.fffffep127f, &narrow, NULL, NULL), TEMPERA_OK);
    CHECK(tempera_f16_to_f32(half[1]) == 65504);
    narrow.dtype = TEMPERA_BF16;
    CHECK_STATUS(tempera_guide(&a, &b, 0x1.fffffep127f, &narrow, NULL, NULL), TEMPERA_OK);
    CHECK(isfinite(tempera_bf16_to_f32(half[1])));
}

static void check_refused(const struct tempera_matrix *a, const struct tempera_matrix *b,
                          float scale, const struct tempera_matrix *to, enum tempera_status *status)
{
    CHECK_STATUS(tempera_guide(a, b, scale, to, status, NULL), TEMPERA_INVALID_ARGUMENT);
}

static void bad_arguments(void)
{
    struct tempera_matrix a = tempera_matrix_f32(c, 2, 10), b = tempera_matrix_f32(u, 2, 10);
    float out[21], untouched[21];
    enum tempera_status status[2];
    struct tempera_matrix to = tempera_matrix_f32(out, 2, 10), bad;
    memset(out, 0x55, sizeof out);
    memset(untouched, 0x55, sizeof untouched);
    check_refused(NULL, &b, 1, &to, status);
    check_refused(&a, NULL, 1, &to, status);
    check_refused(&a, &b, 1, NULL, status);
    check_refused(&a, &b, NAN, &to, status);
    check_refused(&a, &b, INFINITY, &to, status);
    bad = tempera_matrix_f32(c, 1, 10);
    check_refused(&bad, &b, 1, &to, status);
    bad = tempera_matrix_f32(u, 2, 9);
    check_refused(&a, &bad, 1, &to, status);
    bad = tempera_matrix_f32(c + 1, 2, 10); // half over an input
    check_refused(&a, &b, 1, &bad, status);
    bad = tempera_matrix_f32(u + 3, 2, 10);
    check_refused(&a, &b, 1, &bad, status);
    check_refused(&a, &b, 1, &to, (void *)out);
    check_refused(&a, &b, 1, &to, (void *)c);
    check_refused(&a, &b, 1, &to, (void *)u);
    CHECK_MEM(out, untouched, sizeof out);
    a.rows = b.rows = to.rows = 0;
    CHECK_STATUS(tempera_guide(&a, &b, 1, &to, status, NULL), TEMPERA_OK);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"guidance is the formula", formula},
        {"masked and huge scores are guided", edges},
        {"bad arguments are refused", bad_arguments},
    };
    return CHECK_RUN(tests, argc, argv);
}
