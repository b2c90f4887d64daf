// SPDX-License-Identifier: MIT
// Proves, by going through all cases, what docs/NUMERICS.md says of exp: that it never falls, and
// how far off it is.
//
//     prove          within a minute or two
//     prove --all    every pair (m, T) in full on every table, every float for the error
#include "check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/half.h"
#include "kernels/scalars.h"

#define TEMPERA_VEC_SCALAR
#include "simd/vec.h"

#include "kernels/exp_tmpl.h"

enum { BLOCK = 1 << 16 };

static bool proves_all; // --all

static float P(float f)
{
    return v_first(two_to(v_set(f)));
}

// ------------------------------------------------------------------------------------------------
// Floats as a line: number n of the floats in ascending order, -0 and 0 apart

static float float_at(int64_t n)
{
    return n < 0 ? -tempera_bits_float((uint32_t)(-1 - n)) : tempera_bits_float((uint32_t)n);
}

static int64_t place_of(float x)
{
    uint32_t bits = tempera_float_bits(x);
    return bits >> 31 ? -1 - (int64_t)(bits & 0x7FFFFFFFu) : (int64_t)bits;
}

// ------------------------------------------------------------------------------------------------
// 2^f

// An exponent under which e(x) is 2^51 P(x) for |x| < 1/2.
static const struct tempera_exponent bare = {
    .lowest = -FLT_MAX, .L_high = 1, .magic = 0x1.8p23f + 51};

static size_t count_falls(const float *e, size_t n, float *before)
{
    size_t falls = 0;
    for (size_t i = 0; i < n; i++) {
        falls += e[i] < *before;
        *before = e[i];
    }
    return falls;
}

// Every float of (-1/2, 1/2), on the fastest table; the others have the same bits.
static void the_polynomial_never_falls(void)
{
    static float x[BLOCK], e[BLOCK];
    const struct tempera_kernels *k = tempera_kernels_active();
    int64_t end = place_of(0.5f);
    size_t n_floats = 0, falls = 0;
    float before = 0;
    for (int64_t at = place_of(-0.5f) + 1; at < end;) {
        size_t n = 0;
        double unused[16] = {0};
        for (; n < BLOCK && at < end; n++, at++)
            x[n] = float_at(at);
        k->pieces.exp_sum(x, n, &bare, e, unused);
        falls += count_falls(e, n, &before);
        n_floats += n;
    }
    printf("# %zu floats, %zu falls, on %s\n", n_floats, falls, k->name);
    CHECK(falls == 0 && n_floats > 2000000000);
    // and from there to 1/2 + 1e-4, which f reaches when x L is rounded
    float last = P(float_at(end - 1)), first = P(-float_at(end - 1));
    for (int64_t at = end; float_at(at) <= 0.5001f; at++) {
        CHECK(P(float_at(at)) >= last && P(-float_at(at)) <= first);
        last = P(float_at(at));
        first = P(-float_at(at));
    }
}

// Where k becomes k + 1, f passes from about 1/2 to about -1/2, and P 2^k must not fall.
static void the_borders_never_fall(void)
{
    size_t n_borders = 0;
    for (int64_t at = place_of(0.5f - 8e-5f); float_at(at) <= 0.5f + 8e-5f; at++, n_borders++) {
        float high = float_at(at), y = high - 0.5f; // exact
        CHECK(2 * P(y - 0.5f) >= P(high));
    }
    for (int64_t at = place_of(-0.5f - 8e-5f); float_at(at) <= -0.5f + 8e-5f; at++, n_borders++) {
        float low = float_at(at), y = low + 0.5f;
        CHECK(2 * P(low) >= P(y + 0.5f));
    }
    printf("# %zu borders\n", n_borders);
}

static void the_error_of_exp(void)
{
    static float x[BLOCK], e[BLOCK];
    const struct tempera_kernels *k = tempera_kernels_active();
    const int64_t stride = proves_all ? 1 : 509;
    int64_t end = place_of(0.5f);
    double worst = 0;
    float where = 0;
    for (int64_t at = place_of(-0.5f) + 1; at < end;) {
        size_t n = 0;
        double unused[16] = {0};
        for (; n < BLOCK && at < end; n++, at += stride)
            x[n] = float_at(at);
        k->pieces.exp_sum(x, n, &bare, e, unused);
        for (size_t i = 0; i < n; i++) {
            double exact = exp2((double)x[i]) * 0x1p51, ulp = exact < 0x1p51 ? 0x1p27 : 0x1p28;
            double off = fabs((double)e[i] - exact) / ulp;
            if (off > worst) {
                worst = off;
                where = x[i];
            }
        }
    }
    printf("# the largest error of 2^f is %.4f ulp, at f = %a%s\n", worst, (double)where,
           proves_all ? "" : ", of some of the floats");
    CHECK(worst < 1.1);
}

// ------------------------------------------------------------------------------------------------
// Whole rows: every float at or below the maximum

static const struct {
    float m, T;
} pairs[] = {
    {0, 1},
    {3.5f, 0.7f},
    {-80, 1.7f},
    {1e4f, 1},
    {1e6f, 0.05f},
    {-1e6f, 100},
    {354.8f, 1},
    {355, 1},
    {-355.1f, 1},
    {1e-30f, 1e-30f},
    {1e30f, 1e30f},
    {0x1p102f, 1e28f},
    {-0x1p-126f, 1e-34f},
    {17.25f, 0.3f},
    {-3e38f, 2e29f},
    {65504, 3},
};

// p of every stride-th float from far below the maximum to it, as a softmax gives them in which the
// maximum has mass 1/3.
static size_t falls_of_row(const struct tempera_kernels *k, float m, float T, int64_t stride,
                           size_t *n_floats)
{
    static float x[BLOCK], p[BLOCK];
    struct tempera_temperature_params params = tempera_temperature_params_of((double)T);
    struct tempera_exponent exponent = tempera_exponent_of(m, &params);
    double unused[16] = {0};
    float high, low, before = 0;
    CHECK(params.fits_f32);
    tempera_split_inverse(1, 3 * k->pieces.exp_one(m, &exponent), &high, &low);
    size_t falls = 0;
    int64_t end = place_of(m);
    for (int64_t at = place_of(-INFINITY); at <= end;) {
        size_t n = 0;
        for (; n < BLOCK && at <= end; n++, at += stride)
            x[n] = float_at(at);
        k->pieces.exp_sum(x, n, &exponent, p, unused);
        k->pieces.scale(p, n, high, low, p);
        falls += count_falls(p, n, &before);
        *n_floats += n;
    }
    k->pieces.exp_sum(&m, 1, &exponent, p, unused);
    k->pieces.scale(p, 1, high, low, p);
    return falls + count_falls(p, 1, &before);
}

static void rows_never_fall(void)
{
    const struct tempera_kernels *table, *best = tempera_kernels_active();
    size_t n_pairs = COUNT_OF(pairs);
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++) {
        size_t n_floats = 0, falls = 0;
        for (size_t j = 0; j < n_pairs; j++) {
            bool every = proves_all || (table == best && j < 4);
            falls += falls_of_row(table, pairs[j].m, pairs[j].T, every ? 1 : 4099, &n_floats);
        }
        printf("# %s: %zu floats under %zu pairs (m, T), %zu falls\n", table->name, n_floats,
               n_pairs, falls);
        CHECK(falls == 0);
    }
}

// One score gives exactly 1, k equal ones the correctly rounded 1/k, whatever the score.
static void equal_scores(void)
{
    static float z[4096];
    const struct tempera_kernels *k = tempera_kernels_active();
    struct tempera_temperature_params params = tempera_temperature_params_of(1);
    for (size_t n = 1; n <= 4096; n++) {
        float score = (float)check_random_between(-600, 600);
        for (size_t i = 0; i < n; i++)
            z[i] = score;
        struct tempera_rows rows = {z, z, n, n, 1, n, false};
        CHECK_EQ_SIZE(k->rows.softmax(&rows, &params), 1);
        CHECK(z[0] == 1 / (float)n && z[n - 1] == z[0]);
    }
}

int main(int argc, char **argv)
{
    proves_all = argc > 1 && strcmp(argv[1], "--all") == 0;
    static const struct check_test tests[] = {
        {"the polynomial never falls", the_polynomial_never_falls},
        {"the borders never fall", the_borders_never_fall},
        {"the error of exp is within its bound", the_error_of_exp},
        {"rows never fall", rows_never_fall},
        {"equal scores give equal results", equal_scores},
    };
    return CHECK_RUN(tests, argc, argv);
}
