// SPDX-License-Identifier: MIT
// Softmax, log-softmax, logsumexp and the backward pass against the definition in long double,
// and every edge of the contract in softmax.h.
#include "check.h"

#include <fenv.h>

#include <tempera/cpu.h>
#include <tempera/softmax.h>

#include "kernels/kernels.h"

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

// ------------------------------------------------------------------------------------------------
// The definition

struct truth {
    long double *p, *log_p; // [n]
    long double logsumexp;
};

// exp(x) for any x without underflow of what a float can hold.
static void compute_truth(const float *z, size_t n, float T, struct truth *t)
{
    long double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = (long double)z[i] > max ? (long double)z[i] : max;
    for (size_t i = 0; i < n; i++) {
        t->p[i] = expl(((long double)z[i] - max) / (long double)T);
        sum += t->p[i];
    }
    for (size_t i = 0; i < n; i++) {
        t->p[i] /= sum;
        t->log_p[i] = ((long double)z[i] - max) / (long double)T - logl(sum);
    }
    t->logsumexp = max / (long double)T + logl(sum);
}

// ------------------------------------------------------------------------------------------------
// The named sets

enum { N_SETS = 11, LARGEST = 262144 };

static const char *fill_set(size_t set, float *z, size_t n)
{
    static const double offsets[] = {1e4, -1e4, 1e5, 1e6};
    for (size_t i = 0; i < n; i++) {
        double x = 3 * check_random_normal();
        switch (set) {
        case 0:
            z[i] = (float)x;
            break;
        case 1:
            z[i] = (float)check_random_between(-80, 80);
            break;
        case 2:
        case 3:
        case 4:
        case 5:
            z[i] = (float)(offsets[set - 2] + x);
            break;
        case 6: // denormal scores
            z[i] = (float)(x * 0x1p-140);
            break;
        case 7: // all equal
            z[i] = 1.7f;
            break;
        case 8: // one maximum, the rest equal
            z[i] = i == n / 3 ? 9.0f : -3.25f;
            break;
        case 9: // four values
            z[i] = (float)(1.37 * (double)(check_random() % 4));
            break;
        default: { // rounded to bf16
            float f = (float)x;
            uint32_t bits;
            memcpy(&bits, &f, sizeof bits);
            bits &= 0xFFFF0000u;
            memcpy(&z[i], &bits, sizeof bits);
        }
        }
    }
    static const char *const names[N_SETS] = {"N(0,3)",     "U(-80,80)",   "+1e4",     "-1e4",
                                              "+1e5",       "+1e6",        "denormal", "equal",
                                              "two-valued", "four-valued", "bf16"};
    return names[set];
}

struct worst {
    double p, log_p, logsumexp, sum;
    size_t out_of_order, positive;
};

static void note(double *worst, double value)
{
    *worst = value > *worst ? value : *worst;
}

static void measure(const float *z, size_t n, float T, struct truth *t, float *out, struct worst *w)
{
    struct tempera_matrix logits = tempera_matrix_const_f32(z, 1, n);
    struct tempera_matrix rows = tempera_matrix_f32(out, 1, n);
    struct tempera_softmax_options options = tempera_softmax_options_default();
    float lse;
    options.temperature = T;
    compute_truth(z, n, T, t);
    CHECK_STATUS(tempera_softmax(&logits, &options, &rows, NULL, NULL), TEMPERA_OK);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)out[i];
        if (t->p[i] >= 0x1p-126L) // normal
            note(&w->p, (double)(fabsl((long double)out[i] - t->p[i]) / ulp_of(t->p[i])));
        else
            note(&w->p, (double)(fabsl((long double)out[i] - t->p[i]) / 0x1p-149L));
        if (i > 0)
            w->out_of_order += (z[i] >= z[i - 1] && out[i] < out[i - 1]) ||
                               (z[i] <= z[i - 1] && out[i] > out[i - 1]);
    }
    note(&w->sum, fabs(sum - 1));
    CHECK_STATUS(tempera_log_softmax(&logits, &options, &rows, NULL, NULL), TEMPERA_OK);
    for (size_t i = 0; i < n; i++) {
        w->positive += out[i] > 0;
        double bound = 2 * ulp_of(t->log_p[i]) + 0x1p-22;
        if (t->log_p[i] > -3.4e38L)
            note(&w->log_p, (double)fabsl((long double)out[i] - t->log_p[i]) / bound);
    }
    CHECK_STATUS(tempera_logsumexp(&logits, &options, &lse, NULL, NULL), TEMPERA_OK);
    if (fabsl(t->logsumexp) < 3.4e38L)
        note(&w->logsumexp,
             (double)fabsl((long double)lse - t->logsumexp) / (ulp_of(t->logsumexp) + 0x1p-22));
}

static void bounds_on(const size_t *sizes, size_t n_sizes, const float *temperatures,
                      size_t n_temperatures)
{
    float *z = malloc(LARGEST * sizeof *z), *out = malloc(LARGEST * sizeof *out);
    struct truth t = {malloc(LARGEST * sizeof *t.p), malloc(LARGEST * sizeof *t.log_p), 0};
    for (size_t set = 0; set < N_SETS; set++) {
        struct worst w = {0};
        const char *name = "";
        for (size_t s = 0; s < n_sizes; s++)
            for (size_t k = 0; k < n_temperatures; k++) {
                name = fill_set(set, z, sizes[s]);
                measure(z, sizes[s], temperatures[k], &t, out, &w);
            }
        printf("# %-12s p %.3f ulp, |sum - 1| 2^%.1f, log p %.3f and logsumexp %.3f of the bound\n",
               name, w.p, log2(w.sum), w.log_p, w.logsumexp);
        CHECK(w.p <= 3);
        CHECK(w.sum <= 0x1p-22);
        CHECK(w.log_p <= 1);
        CHECK(w.logsumexp <= 1);
        CHECK_EQ_SIZE(w.out_of_order, 0);
        CHECK_EQ_SIZE(w.positive, 0);
    }
    free(z);
    free(out);
    free(t.p);
    free(t.log_p);
}

static void bounds_small(void)
{
    static const float temperatures[] = {1e-40f, 1e-30f, 0.05f, 0.7f, 1, 1.7f, 100, 1e30f, 1e35f};
    size_t sizes[130];
    size_t n_sizes = 0;
    for (size_t n = 1; n <= 130; n += check_stride(23))
        sizes[n_sizes++] = n;
    bounds_on(sizes, n_sizes, temperatures, COUNT_OF(temperatures));
}

static void bounds_large(void)
{
    static const size_t sizes[] = {1000, 32000, LARGEST};
    static const float temperatures[] = {0.7f};
    bounds_on(sizes, check_is_small() ? 1 : 3, temperatures, 1);
}

// ------------------------------------------------------------------------------------------------
// Exact answers

static void worked_example(void)
{
    const float z[3] = {2, 1, 0.1f};
    float p[3];
    struct tempera_matrix logits = tempera_matrix_const_f32(z, 1, 3);
    struct tempera_matrix probs = tempera_matrix_f32(p, 1, 3);
    CHECK_STATUS(tempera_softmax(&logits, NULL, &probs, NULL, NULL), TEMPERA_OK);
    CHECK_NEAR(100 * (double)p[0], 65.9, 0.05);
    CHECK_NEAR(100 * (double)p[1], 24.2, 0.05);
    CHECK_NEAR(100 * (double)p[2], 9.9, 0.05);
}

static void equal_scores(void)
{
    static float z[5000], p[5000];
    for (size_t n = 1; n <= 5000; n += n < 200 ? check_stride(9) : check_stride(9) * 97) {
        for (size_t i = 0; i < n; i++)
            z[i] = -7.125f;
        struct tempera_matrix logits = tempera_matrix_const_f32(z, 1, n);
        struct tempera_matrix probs = tempera_matrix_f32(p, 1, n);
        CHECK_STATUS(tempera_softmax(&logits, NULL, &probs, NULL, NULL), TEMPERA_OK);
        CHECK(p[0] == (float)(1.0 / (double)n) && p[n - 1] == p[0]);
    }
}

// ------------------------------------------------------------------------------------------------
// Edges

// Softmax, log-softmax and logsumexp of one row of four.
struct answer {
    float p[4], log_p[4], lse;
    enum tempera_status status;
};

static struct answer ask(const float z[4], float T, const uint32_t *mask)
{
    struct answer a;
    struct tempera_matrix logits = tempera_matrix_const_f32(z, 1, 4);
    struct tempera_matrix p = tempera_matrix_f32(a.p, 1, 4);
    struct tempera_matrix log_p = tempera_matrix_f32(a.log_p, 1, 4);
    struct tempera_softmax_options options = tempera_softmax_options_default();
    enum tempera_status row = TEMPERA_INVALID_ARGUMENT;
    options.temperature = T;
    options.mask = mask;
    a.status = tempera_softmax(&logits, &options, &p, &row, NULL);
    CHECK_STATUS(row, a.status);
    CHECK_STATUS(tempera_log_softmax(&logits, &options, &log_p, NULL, NULL), a.status);
    CHECK_STATUS(tempera_logsumexp(&logits, &options, &a.lse, NULL, NULL), a.status);
    return a;
}

static void check_answer(struct answer a, enum tempera_status status, const float p[4], float lse)
{
    CHECK_STATUS(a.status, status);
    CHECK_MEM(a.p, p, sizeof a.p);
    for (size_t i = 0; i < 4; i++)
        CHECK_ULP(a.log_p[i], log((double)p[i]), 1);
    CHECK_ULP(a.lse, (double)lse, 1);
}

static void edges(void)
{
    const float inf = INFINITY, third = 1.0f / 3;
    const uint32_t mask = 0xB; // 0, 1 and 3 are allowed
    const float none[4] = {0}, nan_bits_input[4] = {1, NAN, 3, 4};

    check_answer(ask((float[]){1, -inf, 1, -inf}, 1, NULL), TEMPERA_OK, (float[]){0.5f, 0, 0.5f, 0},
                 (float)(1 + log(2)));
    check_answer(ask((float[]){-inf, -inf, -inf, -inf}, 1, NULL), TEMPERA_ALL_MASKED, none, -inf);
    check_answer(ask((float[]){1, inf, 3, inf}, 1, NULL), TEMPERA_OK, (float[]){0, 0.5f, 0, 0.5f},
                 inf);
    check_answer(ask((float[]){1, inf, 3, inf}, inf, NULL), TEMPERA_OK, (float[]){0, 0.5f, 0, 0.5f},
                 inf);
    // T = 0: the ties at the maximum
    check_answer(ask((float[]){-2, -1, -1, -3}, 0, NULL), TEMPERA_OK, (float[]){0, 0.5f, 0.5f, 0},
                 -inf);
    check_answer(ask((float[]){0, -1, -0.0f, 0}, 0, NULL), TEMPERA_OK,
                 (float[]){third, 0, third, third}, (float)log(3));
    check_answer(ask((float[]){5, 1, 5, 0}, 0, NULL), TEMPERA_OK, (float[]){0.5f, 0, 0.5f, 0}, inf);
    // T = inf: all that is not masked
    check_answer(ask((float[]){5, 1, -inf, 0}, inf, NULL), TEMPERA_OK,
                 (float[]){third, third, 0, third}, (float)log(3));
    // bits: what they mask is not read, not even a NaN
    check_answer(ask((float[]){0, 0, NAN, 0}, 1, &mask), TEMPERA_OK,
                 (float[]){third, third, 0, third}, (float)log(3));
    check_answer(ask((float[]){4, 4, inf, -inf}, 1, &mask), TEMPERA_OK, (float[]){0.5f, 0.5f, 0, 0},
                 (float)(4 + log(2)));
    check_answer(ask((float[]){4, 4, 9, 4}, 0, &mask), TEMPERA_OK,
                 (float[]){third, third, 0, third}, inf);
    const uint32_t nothing = 0xFFFFFFF0u; // bits beyond the columns mean nothing
    check_answer(ask(nan_bits_input, 1, &nothing), TEMPERA_ALL_MASKED, none, -inf);

    struct answer a = ask(nan_bits_input, 1, NULL);
    CHECK_STATUS(a.status, TEMPERA_NAN_INPUT);
    const uint32_t nan = 0x7FC00000;
    for (size_t i = 0; i < 4; i++) {
        CHECK_MEM(&a.p[i], &nan, sizeof nan);
        CHECK_MEM(&a.log_p[i], &nan, sizeof nan);
    }
    CHECK_MEM(&a.lse, &nan, sizeof nan);
    // NaN comes before +inf, T = 0 and T = inf
    CHECK_STATUS(ask((float[]){NAN, inf, 0, 0}, 0, NULL).status, TEMPERA_NAN_INPUT);
    CHECK_STATUS(ask((float[]){NAN, -inf, -inf, -inf}, inf, NULL).status, TEMPERA_NAN_INPUT);
}

// No output may lie on an input or on another output.
static void overlaps(void)
{
    union {
        float f[8];
        uint32_t mask[8];
        enum tempera_status status[8];
    } z = {.f = {1, 2, 3, 4, 5, 6, 7, 8}}, out = {.f = {9, 9}}, extra = {.mask = {15, 15, 15}};
    const float untouched[8] = {9, 9};
    struct tempera_matrix in = tempera_matrix_f32(z.f, 2, 4), to = tempera_matrix_f32(out.f, 2, 4);
    struct tempera_softmax_options plain = tempera_softmax_options_default(), masked = plain,
                                   sinking = plain, onto = plain;
    masked.mask = extra.mask;
    masked.mask_stride = 2; // the second row's word is the third
    sinking.sinks = extra.f;
    onto.mask = out.mask + 7;
    const struct {
        const struct tempera_softmax_options *options;
        enum tempera_status *row_status;
        bool has_lse; // the same for logsumexp
    } bad[] = {{&plain, z.status + 7, true},      {&plain, out.status + 7, false},
               {&masked, extra.status + 2, true}, {&sinking, extra.status + 1, true},
               {&onto, NULL, false}};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_STATUS(tempera_softmax(&in, bad[i].options, &to, bad[i].row_status, NULL),
                     TEMPERA_INVALID_ARGUMENT);
        if (bad[i].has_lse)
            CHECK_STATUS(tempera_logsumexp(&in, bad[i].options, out.f, bad[i].row_status, NULL),
                         TEMPERA_INVALID_ARGUMENT);
    }
    CHECK_STATUS(tempera_logsumexp(&in, &plain, out.f, out.status + 1, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_logsumexp(&in, &masked, extra.f + 2, NULL, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_MEM(out.f, untouched, sizeof untouched);
    CHECK_STATUS(tempera_softmax(&in, &masked, &to, extra.status + 3, NULL), TEMPERA_OK);
}

static void shorter_options(void)
{
    float z[3] = {1, 2, 3}, expected[3], out[3];
    struct tempera_matrix in = tempera_matrix_f32(z, 1, 3);
    struct tempera_matrix all = tempera_matrix_f32(expected, 1, 3);
    struct tempera_matrix to = tempera_matrix_f32(out, 1, 3);
    struct tempera_softmax_options options;
    memset(&options, 0xFF, sizeof options); // whatever lies after the end of a shorter struct
    options.struct_size = offsetof(struct tempera_softmax_options, scale);
    options.temperature = 1;
    options.mask = NULL;
    options.mask_stride = 0;
    CHECK_STATUS(tempera_softmax(&in, NULL, &all, NULL, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_softmax(&in, &options, &to, NULL, NULL), TEMPERA_OK);
    CHECK_MEM(out, expected, sizeof out);
    options.struct_size--;
    CHECK_STATUS(tempera_softmax(&in, &options, &to, NULL, NULL), TEMPERA_INVALID_ARGUMENT);
}

static void bad_arguments(void)
{
    float z[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8] = {9, 9, 9, 9, 9, 9, 9, 9}, lse[2] = {9, 9};
    const float untouched[8] = {9, 9, 9, 9, 9, 9, 9, 9};
    struct tempera_matrix in = tempera_matrix_f32(z, 2, 4), to = tempera_matrix_f32(out, 2, 4);
    struct tempera_softmax_options options = tempera_softmax_options_default();
    const float bad_temperatures[] = {-1, -0x1p-149f, -INFINITY, NAN};
    for (size_t i = 0; i < 4; i++) {
        options.temperature = bad_temperatures[i];
        CHECK_STATUS(tempera_softmax(&in, &options, &to, NULL, NULL), TEMPERA_INVALID_ARGUMENT);
        CHECK_STATUS(tempera_log_softmax(&in, &options, &to, NULL, NULL), TEMPERA_INVALID_ARGUMENT);
        CHECK_STATUS(tempera_logsumexp(&in, &options, lse, NULL, NULL), TEMPERA_INVALID_ARGUMENT);
    }
    options = tempera_softmax_options_default();
    options.struct_size = 0;
    CHECK_STATUS(tempera_softmax(&in, &options, &to, NULL, NULL), TEMPERA_INVALID_ARGUMENT);
    struct tempera_matrix bad[8] = {to, to, to, to, to, to, to, to};
    bad[0].cols = 0;
    bad[1].row_stride = 3;
    bad[2].data = NULL;
    bad[3].rows = 1;
    bad[4].data = z + 1; // overlaps, and is not the same
    bad[4].rows = in.rows;
    bad[5].rows = SIZE_MAX / 2;
    bad[6].dtype = (enum tempera_dtype)77;
    bad[7].data = (char *)out + 1; // not aligned
    for (size_t i = 0; i < 8; i++)
        CHECK_STATUS(tempera_softmax(&in, NULL, &bad[i], NULL, NULL), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_softmax(NULL, NULL, &to, NULL, NULL), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_logsumexp(&in, NULL, NULL, NULL, NULL), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_logsumexp(&in, NULL, z + 2, NULL, NULL), TEMPERA_INVALID_ARGUMENT);
    CHECK_MEM(out, untouched, sizeof out);
    CHECK_MEM(lse, untouched, sizeof lse);
    overlaps();
    struct tempera_matrix no_rows = tempera_matrix_f32(NULL, 0, 4);
    CHECK_STATUS(tempera_softmax(&no_rows, NULL, &no_rows, NULL, NULL), TEMPERA_OK);
}

// ------------------------------------------------------------------------------------------------
// Strides, places, threads, modes

static void fill_random(float *z, size_t n)
{
    for (size_t i = 0; i < n; i++)
        z[i] = (float)(3 * check_random_normal());
}

// A row's result does not depend on stride, place or neighbours; nothing beside it is written.
static void strides(void)
{
    enum { ROWS = 5, COLS = 37, STRIDE = 41 };
    static float wide[ROWS * STRIDE], out[ROWS * STRIDE], one[COLS];
    fill_random(wide, ROWS * STRIDE);
    for (size_t i = 0; i < ROWS * STRIDE; i++)
        out[i] = 777;
    struct tempera_matrix in = tempera_matrix_f32(wide, ROWS, COLS);
    struct tempera_matrix to = tempera_matrix_f32(out, ROWS, COLS);
    in.row_stride = to.row_stride = STRIDE;
    CHECK_STATUS(tempera_softmax(&in, NULL, &to, NULL, NULL), TEMPERA_OK);
    for (size_t r = 0; r < ROWS; r++) {
        struct tempera_matrix row = tempera_matrix_f32(wide + r * STRIDE, 1, COLS);
        struct tempera_matrix single = tempera_matrix_f32(one, 1, COLS);
        CHECK_STATUS(tempera_softmax(&row, NULL, &single, NULL, NULL), TEMPERA_OK);
        CHECK_MEM(out + r * STRIDE, one, sizeof one);
        for (size_t i = COLS; i < STRIDE; i++)
            CHECK(out[r * STRIDE + i] == 777);
    }
    // in place, and side by side in one larger matrix
    CHECK_STATUS(tempera_softmax(&in, NULL, &in, NULL, NULL), TEMPERA_OK);
    for (size_t r = 0; r < ROWS; r++)
        CHECK_MEM(wide + r * STRIDE, out + r * STRIDE, COLS * sizeof(float));
    struct tempera_matrix left = tempera_matrix_f32(wide, ROWS, 20);
    struct tempera_matrix right = tempera_matrix_f32(wide + 20, ROWS, 20);
    left.row_stride = right.row_stride = STRIDE;
    CHECK_STATUS(tempera_softmax(&left, NULL, &right, NULL, NULL), TEMPERA_OK);
    right.data = wide + 19;
    CHECK_STATUS(tempera_softmax(&left, NULL, &right, NULL, NULL), TEMPERA_INVALID_ARGUMENT);
}

// One mask for each row, or one for all.
static void masks(void)
{
    enum { ROWS = 3, COLS = 70, WORDS = 3 };
    static float z[ROWS * COLS], p[ROWS * COLS], same[COLS], expected[COLS];
    uint32_t mask[ROWS * WORDS];
    fill_random(z, ROWS * COLS);
    for (size_t i = 0; i < ROWS * WORDS; i++)
        mask[i] = (uint32_t)check_random();
    struct tempera_matrix in = tempera_matrix_f32(z, ROWS, COLS);
    struct tempera_matrix to = tempera_matrix_f32(p, ROWS, COLS);
    struct tempera_softmax_options options = tempera_softmax_options_default();
    options.mask = mask;
    for (size_t stride = 0; stride <= WORDS; stride += WORDS) {
        options.mask_stride = stride;
        CHECK_STATUS(tempera_softmax(&in, &options, &to, NULL, NULL), TEMPERA_OK);
        for (size_t r = 0; r < ROWS; r++) {
            for (size_t i = 0; i < COLS; i++) {
                bool allowed = mask[r * stride + i / 32] >> (i % 32) & 1;
                same[i] = allowed ? z[r * COLS + i] : -INFINITY;
            }
            struct tempera_matrix row = tempera_matrix_f32(same, 1, COLS);
            struct tempera_matrix out = tempera_matrix_f32(expected, 1, COLS);
            CHECK_STATUS(tempera_softmax(&row, NULL, &out, NULL, NULL), TEMPERA_OK);
            for (size_t i = 0; i < COLS; i++)
                CHECK_ULP(p[r * COLS + i], (double)expected[i], 0);
        }
    }
}

typedef enum tempera_status map_function(const struct tempera_matrix *,
                                         const struct tempera_softmax_options *,
                                         const struct tempera_matrix *, enum tempera_status *,
                                         const struct tempera_executor *);

enum { LONG = 4500, LONG_WORDS = (LONG + 31) / 32 };

// Longer than any buffer: the prepared scores lie where the result will, and with T = 0, a NaN or
// the like among them the row is done another way from there. Against the scores that the caller
// scaled and masked, by bits.
static void check_long_row(map_function *map, float T, float special, bool with_sink)
{
    static float z[LONG], scores[LONG + 1], expected[LONG + 1], apart[LONG], in_place[LONG];
    static uint32_t mask[LONG_WORDS];
    float sink = 1.5f;
    fill_random(z, LONG);
    for (size_t i = 0; i < LONG_WORDS; i++)
        mask[i] = special == -INFINITY ? 0 : (uint32_t)check_random() | 2;
    z[1] = special != 0 ? special : z[1];
    for (size_t i = 0; i < LONG; i++)
        scores[i] = mask[i / 32] >> (i % 32) & 1 ? 0.5f * z[i] : -INFINITY;
    scores[LONG] = sink;
    memcpy(in_place, z, sizeof z);
    struct tempera_softmax_options plain = tempera_softmax_options_default();
    plain.temperature = T;
    struct tempera_softmax_options options = plain;
    options.mask = mask;
    options.scale = 0.5f;
    options.sinks = with_sink ? &sink : NULL;
    const struct tempera_matrix given = tempera_matrix_f32(scores, 1, LONG + with_sink);
    const struct tempera_matrix result = tempera_matrix_f32(expected, 1, LONG + with_sink);
    const struct tempera_matrix in = tempera_matrix_f32(z, 1, LONG);
    const struct tempera_matrix out = tempera_matrix_f32(apart, 1, LONG);
    const struct tempera_matrix same = tempera_matrix_f32(in_place, 1, LONG);
    enum tempera_status status = map(&given, &plain, &result, NULL, NULL);
    CHECK_STATUS(map(&in, &options, &out, NULL, NULL), status);
    CHECK_STATUS(map(&same, &options, &same, NULL, NULL), status);
    CHECK_MEM(apart, expected, sizeof apart);
    CHECK_MEM(in_place, expected, sizeof in_place);
}

static void long_rows(void)
{
    static const float temperatures[] = {0, 1e-40f, 0.7f, 1, 1e38f, INFINITY};
    static const float specials[] = {0, NAN, INFINITY, -INFINITY, 0x1p120f};
    for (size_t t = 0; t < COUNT_OF(temperatures); t++)
        for (size_t s = 0; s < COUNT_OF(specials); s++)
            for (int sink = 0; sink < 2; sink++) {
                check_long_row(tempera_softmax, temperatures[t], specials[s], sink);
                check_long_row(tempera_log_softmax, temperatures[t], specials[s], sink);
            }
}

// Of 16 bits: the result in f32, rounded, apart and in place.
static void check_long_half(map_function *map, enum tempera_dtype dtype, float T, float special)
{
    static float z[LONG], wide[LONG];
    static uint16_t in_place[LONG], given[LONG], apart[LONG], expected[LONG];
    const struct tempera_kernels *k = tempera_kernels_active();
    fill_random(z, LONG);
    z[LONG - 1] = special != 0 ? special : z[0];
    k->convert.narrow(z, LONG, dtype, given);
    memcpy(in_place, given, sizeof given);
    struct tempera_softmax_options options = tempera_softmax_options_default();
    options.temperature = T;
    const struct tempera_matrix in = {given, dtype, 1, LONG, LONG};
    const struct tempera_matrix out = {apart, dtype, 1, LONG, LONG};
    const struct tempera_matrix same = {in_place, dtype, 1, LONG, LONG};
    const struct tempera_matrix floats = tempera_matrix_f32(wide, 1, LONG);
    CHECK_STATUS(map(&in, &options, &floats, NULL, NULL), TEMPERA_OK);
    k->convert.narrow(wide, LONG, dtype, expected);
    CHECK_STATUS(map(&in, &options, &out, NULL, NULL), TEMPERA_OK);
    CHECK_STATUS(map(&same, &options, &same, NULL, NULL), TEMPERA_OK);
    CHECK_MEM(apart, expected, sizeof apart);
    CHECK_MEM(in_place, expected, sizeof in_place);
}

static void long_halves(void)
{
    static const float temperatures[] = {0, 1e-40f, 0.02f, 1, 1e38f, INFINITY};
    static const float specials[] = {0, -INFINITY, INFINITY};
    static const enum tempera_dtype dtypes[] = {TEMPERA_F16, TEMPERA_BF16};
    const struct tempera_kernels *table;
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++) {
        tempera_kernels_use(table);
        for (size_t t = 0; t < COUNT_OF(temperatures); t++)
            for (size_t s = 0; s < COUNT_OF(specials); s++)
                for (size_t d = 0; d < 2; d++) {
                    check_long_half(tempera_softmax, dtypes[d], temperatures[t], specials[s]);
                    check_long_half(tempera_log_softmax, dtypes[d], temperatures[t], specials[s]);
                }
    }
    tempera_cpu_set_mask(UINT32_MAX);
}

// Rows of 16 bits of any length, some of whose exponentials are kept in the place of the result:
// there at any address, in place too, with a row among them that isn't ordinary and one that has
// nothing but -0.
static void check_halves(map_function *map, enum tempera_dtype dtype, size_t n, size_t offset)
{
    enum { ROWS = 5, MOST = ROWS * (40000 + 3) + 1, ZERO = 1, BAD = 3 };
    static float wide[MOST];
    static uint16_t given[MOST], in_place[MOST], apart[MOST], expected[MOST];
    const struct tempera_kernels *k = tempera_kernels_active();
    size_t stride = n + 3;
    enum tempera_status status[ROWS];
    fill_random(wide, MOST);
    for (size_t i = 0; i < n; i++)
        wide[offset + ZERO * stride + i] = i == 0 ? -0.0f : -INFINITY;
    wide[offset + BAD * stride + n / 2] = NAN;
    k->convert.narrow(wide, MOST, dtype, given);
    given[offset + BAD * stride + n / 2] ^= (uint16_t)(offset << 15); // a NaN of either sign
    memcpy(in_place, given, sizeof given);
    memcpy(apart, given, sizeof given);
    memcpy(expected, given, sizeof given);
    const struct tempera_matrix in = {given + offset, dtype, ROWS, n, stride};
    const struct tempera_matrix out = {apart + offset, dtype, ROWS, n, stride};
    const struct tempera_matrix same = {in_place + offset, dtype, ROWS, n, stride};
    const struct tempera_matrix floats = {wide, TEMPERA_F32, ROWS, n, n};
    CHECK_STATUS(map(&in, NULL, &floats, NULL, NULL), TEMPERA_NAN_INPUT);
    for (size_t r = 0; r < ROWS; r++)
        k->convert.narrow(wide + r * n, n, dtype, expected + offset + r * stride);
    CHECK_STATUS(map(&in, NULL, &out, status, NULL), TEMPERA_NAN_INPUT);
    for (size_t r = 0; r < ROWS; r++)
        CHECK_STATUS(status[r], r == BAD ? TEMPERA_NAN_INPUT : TEMPERA_OK);
    CHECK_STATUS(map(&same, NULL, &same, NULL, NULL), TEMPERA_NAN_INPUT);
    CHECK_MEM(apart, expected, sizeof apart);
    CHECK_MEM(in_place, expected, sizeof in_place);
}

static void rows_of_halves(void)
{
    static const size_t sizes[] = {1,    128,  129,  700,   1000,  2047,  2048, 2049,
                                   4097, 8191, 8192, 12289, 16384, 20001, 40000};
    const struct tempera_kernels *table;
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++) {
        tempera_kernels_use(table);
        for (size_t s = 0; s < COUNT_OF(sizes); s += check_stride(4))
            for (size_t offset = 0; offset < 2; offset++) {
                check_halves(tempera_softmax, TEMPERA_F16, sizes[s], offset);
                check_halves(tempera_softmax, TEMPERA_BF16, sizes[s], offset);
                check_halves(tempera_log_softmax, TEMPERA_F16, sizes[s], offset);
                check_halves(tempera_log_softmax, TEMPERA_BF16, sizes[s], offset);
            }
    }
    tempera_cpu_set_mask(UINT32_MAX);
}

static void row_statuses(void)
{
    float z[12] = {1, 2, 3, -INFINITY, -INFINITY, -INFINITY, 1, NAN, 2, 3, 4, 5}, p[12];
    enum tempera_status status[4],
        expected[4] = {TEMPERA_OK, TEMPERA_ALL_MASKED, TEMPERA_NAN_INPUT, TEMPERA_OK};
    struct tempera_matrix in = tempera_matrix_f32(z, 4, 3), to = tempera_matrix_f32(p, 4, 3);
    CHECK_STATUS(tempera_softmax(&in, NULL, &to, status, NULL), TEMPERA_NAN_INPUT);
    CHECK_MEM(status, expected, sizeof status);
    CHECK(p[9] > 0 && p[9] < p[10] && p[10] < p[11]); // a bad row does not stop the others
}

static void any_executor(void)
{
    enum { ROWS = 300, COLS = 129 };
    static float z[ROWS * COLS], serial[ROWS * COLS], p[ROWS * COLS];
    static const size_t threads[] = {1, 2, 3, 7};
    fill_random(z, ROWS * COLS);
    struct tempera_matrix in = tempera_matrix_f32(z, ROWS, COLS);
    struct tempera_matrix to = tempera_matrix_f32(serial, ROWS, COLS);
    CHECK_STATUS(tempera_softmax(&in, NULL, &to, NULL, NULL), TEMPERA_OK);
    to.data = p;
    for (size_t i = 0; i < 4; i++) {
        struct tempera_thread_pool *pool = NULL;
        CHECK_STATUS(tempera_thread_pool_open(&pool, threads[i]), TEMPERA_OK);
        memset(p, 0, sizeof p);
        CHECK_STATUS(tempera_softmax(&in, NULL, &to, NULL, tempera_thread_pool_executor(pool)),
                     TEMPERA_OK);
        CHECK_MEM(p, serial, sizeof p);
        tempera_thread_pool_close(&pool);
    }
}

// The caller's rounding mode and flush-to-zero have no influence, and are there afterwards.
static void callers_modes(void)
{
    enum { N = 1000 };
    static float z[N], usual[N], p[N];
    for (size_t i = 0; i < N; i++)
        z[i] = (float)check_random_between(-110, 0); // with denormal results
    struct tempera_matrix in = tempera_matrix_f32(z, 1, N), to = tempera_matrix_f32(usual, 1, N);
    struct tempera_softmax_options options = tempera_softmax_options_default();
    options.temperature = 0.7f; // whose inverse is rounded
    CHECK_STATUS(tempera_softmax(&in, &options, &to, NULL, NULL), TEMPERA_OK);
    to.data = p;
    const int roundings[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (size_t i = 0; i < 3; i++) {
        fesetround(roundings[i]);
        enum tempera_status status = tempera_softmax(&in, &options, &to, NULL, NULL);
        int after = fegetround();
        fesetround(FE_TONEAREST);
        CHECK_STATUS(status, TEMPERA_OK);
        CHECK_EQ_INT(after, roundings[i]);
        CHECK_MEM(p, usual, sizeof p);
    }
#if defined(__SSE2__)
    enum { FTZ_AND_DAZ = 0x8040 };
    static float other[N];
    struct tempera_matrix scratch = tempera_matrix_f32(other, 1, N);
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | FTZ_AND_DAZ);
    enum tempera_status status = tempera_softmax(&in, &options, &to, NULL, NULL);
    unsigned after = _mm_getcsr();
    // A temperature below the normal floats is one, above and below 0.
    options.temperature = 1e-40f;
    CHECK_STATUS(tempera_logsumexp(&in, &options, other, NULL, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_softmax_backward(&in, &in, 1e-40f, &scratch, NULL, NULL), TEMPERA_OK);
    options.temperature = -1e-40f;
    CHECK_STATUS(tempera_logsumexp(&in, &options, other, NULL, NULL), TEMPERA_INVALID_ARGUMENT);
    _mm_setcsr(before);
    CHECK_STATUS(status, TEMPERA_OK);
    CHECK((after & FTZ_AND_DAZ) == FTZ_AND_DAZ);
    CHECK_MEM(p, usual, sizeof p);
#endif
}

// ------------------------------------------------------------------------------------------------
// Backward

static void backward_definition(void)
{
    enum { N = 50 };
    float z[N], p[N], dp[N], dz[N];
    for (int round = 0; round < 20; round++) {
        float T = round % 2 ? 1.0f : 0.3f;
        fill_random(z, N);
        fill_random(dp, N);
        struct tempera_matrix logits = tempera_matrix_f32(z, 1, N);
        struct tempera_matrix probs = tempera_matrix_f32(p, 1, N);
        struct tempera_matrix d_probs = tempera_matrix_f32(dp, 1, N);
        struct tempera_matrix d_logits = tempera_matrix_f32(dz, 1, N);
        struct tempera_softmax_options options = tempera_softmax_options_default();
        options.temperature = T;
        tempera_softmax(&logits, &options, &probs, NULL, NULL);
        CHECK_STATUS(tempera_softmax_backward(&probs, &d_probs, T, &d_logits, NULL, NULL),
                     TEMPERA_OK);
        long double sum = 0, magnitude = 0;
        for (size_t i = 0; i < N; i++) {
            sum += (long double)p[i] * (long double)dp[i];
            magnitude += fabsl((long double)p[i] * (long double)dp[i]);
        }
        for (size_t i = 0; i < N; i++) {
            long double exact = (long double)p[i] * ((long double)dp[i] - sum) / (long double)T;
            double slack = (double)((long double)p[i] * magnitude / (long double)T) * 0x1p-45;
            CHECK_NEAR((double)dz[i], (double)exact, 3 * ulp_of(exact) + slack);
        }
        // in place, either way
        float copy[N];
        memcpy(copy, p, sizeof p);
        CHECK_STATUS(tempera_softmax_backward(&probs, &d_probs, T, &probs, NULL, NULL), TEMPERA_OK);
        CHECK_MEM(p, dz, sizeof p);
        memcpy(p, copy, sizeof p);
        CHECK_STATUS(tempera_softmax_backward(&probs, &d_probs, T, &d_probs, NULL, NULL),
                     TEMPERA_OK);
        CHECK_MEM(dp, dz, sizeof dp);
    }
}

static void backward_edges(void)
{
    float p[2] = {0, 0}, dp[2] = {3, NAN}, dz[2] = {7, 7};
    struct tempera_matrix probs = tempera_matrix_f32(p, 1, 2);
    struct tempera_matrix d_probs = tempera_matrix_f32(dp, 1, 2);
    struct tempera_matrix d_logits = tempera_matrix_f32(dz, 1, 2);
    CHECK_STATUS(tempera_softmax_backward(&probs, &d_probs, 1, &d_logits, NULL, NULL),
                 TEMPERA_NAN_INPUT);
    CHECK(isnan(dz[0]) && isnan(dz[1]));
    dp[1] = 4;
    CHECK_STATUS(tempera_softmax_backward(&probs, &d_probs, 1, &d_logits, NULL, NULL), TEMPERA_OK);
    CHECK(dz[0] == 0 && dz[1] == 0);
    const float bad[] = {0, -1, INFINITY, NAN};
    for (size_t i = 0; i < 4; i++)
        CHECK_STATUS(tempera_softmax_backward(&probs, &d_probs, bad[i], &d_logits, NULL, NULL),
                     TEMPERA_INVALID_ARGUMENT);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"every size to 130 at nine temperatures is within the bounds", bounds_small},
        {"vocabularies are within the bounds", bounds_large},
        {"the worked example of the README is right", worked_example},
        {"equal scores give the correctly rounded 1/k", equal_scores},
        {"special values give what is documented", edges},
        {"options shorter than the struct keep the defaults of the rest", shorter_options},
        {"bad arguments leave the outputs alone", bad_arguments},
        {"strides, in place and side by side give the same", strides},
        {"masked scores count as absent", masks},
        {"long rows with options give the same apart and in place", long_rows},
        {"long rows of 16 bits give the same apart and in place", long_halves},
        {"rows of 16 bits of any length and address are f32's, rounded", rows_of_halves},
        {"each row has a status", row_statuses},
        {"results do not depend on the executor", any_executor},
        {"the caller's floating-point modes change no bit", callers_modes},
        {"the backward pass is the definition", backward_definition},
        {"the backward pass of special values is as documented", backward_edges},
    };
    return CHECK_RUN(tests, argc, argv);
}
