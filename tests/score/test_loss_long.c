// SPDX-License-Identifier: MIT
// The cross-entropy of rows that are worked on in several pieces and blocks, every type, the plain
// loss and all options at once, against docs/LOSSES.md's formulas in double.
#include "check.h"

#include <tempera/tempera.h>

#include "base/half.h"

enum { ROWS = 3, COLS = 20011, COUNT = ROWS * COLS };

static const enum tempera_dtype dtypes[] = {TEMPERA_F32, TEMPERA_F16, TEMPERA_BF16};

static float logits[COUNT], probs[COUNT], weights[COLS];
static char logits_memory[COUNT * 4], probs_memory[COUNT * 4], d_memory[COUNT * 4];
static const int32_t classes[ROWS] = {0, COLS - 1, 17000};

// As the type holds it.
static float put(enum tempera_dtype dtype, float value, char *memory, size_t i)
{
    uint16_t half = dtype == TEMPERA_F16 ? tempera_f32_to_f16(value) : tempera_f32_to_bf16(value);
    if (dtype == TEMPERA_F32)
        memcpy(memory + 4 * i, &value, 4);
    else
        memcpy(memory + 2 * i, &half, 2);
    return dtype == TEMPERA_F32   ? value
           : dtype == TEMPERA_F16 ? tempera_f16_to_f32(half)
                                  : tempera_bf16_to_f32(half);
}

static float get(enum tempera_dtype dtype, const char *memory, size_t i)
{
    uint16_t half;
    float value;
    memcpy(&half, memory + 2 * i, 2);
    if (dtype == TEMPERA_F32)
        memcpy(&value, memory + 4 * i, 4);
    else
        value = dtype == TEMPERA_F16 ? tempera_f16_to_f32(half) : tempera_bf16_to_f32(half);
    return value;
}

static void fill(enum tempera_dtype dtype)
{
    for (size_t i = 0; i < COUNT; i++) {
        double bell = 0;
        for (int k = 0; k < 6; k++)
            bell += check_random_between(-2, 2);
        logits[i] = put(dtype, (float)bell, logits_memory, i);
        probs[i] = put(dtype, (float)check_random_between(0, 2.0 / COLS), probs_memory, i);
    }
    for (size_t i = 0; i < COLS; i++)
        weights[i] = (float)check_random_between(0.5, 1.5);
}

struct truth {
    double loss, mass, lse, entropy;
};

// Of row r, and t into t[COLS], s into s[COLS].
static struct truth formula(const struct tempera_cross_entropy_options *o, size_t r, bool soft,
                            double *t, double *s)
{
    struct truth truth = {0, 0, 0, 0};
    double T = (double)o->temperature, c = (double)o->softcap, max = -INFINITY, sum = 0;
    double smoothing = (double)o->label_smoothing, cross_entropy = 0;
    for (size_t i = 0; i < COLS; i++) {
        double x = (double)logits[r * COLS + i];
        s[i] = c != 0 ? c * tanh(x / c) : x;
        max = s[i] > max ? s[i] : max;
    }
    for (size_t i = 0; i < COLS; i++)
        sum += exp((s[i] - max) / T);
    truth.lse = max / T + log(sum);
    for (size_t i = 0; i < COLS; i++) {
        double q = soft ? (double)probs[r * COLS + i] : (double)(i == (size_t)classes[r]);
        t[i] = (1 - smoothing) * q + smoothing / COLS;
        t[i] *= o->class_weights != NULL ? (double)o->class_weights[i] : 1;
        truth.mass += t[i];
        cross_entropy += t[i] * (truth.lse - s[i] / T);
        truth.entropy += exp(s[i] / T - truth.lse) * (truth.lse - s[i] / T);
    }
    truth.loss = cross_entropy + (double)o->z_loss * truth.lse * truth.lse;
    return truth;
}

// Everything but focal, whose factor is the row's and has nothing to do with pieces.
static struct tempera_cross_entropy_options options_of(bool plain)
{
    struct tempera_cross_entropy_options o = tempera_cross_entropy_options_default();
    o.reduction = TEMPERA_REDUCTION_SUM;
    if (plain)
        return o;
    o.temperature = 1.25f;
    o.softcap = 8;
    o.label_smoothing = 0.25f;
    o.z_loss = 0.01f;
    o.class_weights = weights;
    return o;
}

static void check_gradient(const struct tempera_cross_entropy_options *o, enum tempera_dtype dtype,
                           size_t r, const struct truth *truth, const double *t, const double *s)
{
    double T = (double)o->temperature, c = (double)o->softcap, worst = 0;
    // An ulp of a 16-bit type, of gradients below 1.
    double rounding = dtype == TEMPERA_F32 ? 0x1p-24 : dtype == TEMPERA_F16 ? 0x1p-11 : 0x1p-8;
    for (size_t i = 0; i < COLS; i++) {
        double p = exp(s[i] / T - truth->lse), u = c != 0 ? s[i] / c : 0;
        double slope = (truth->mass + 2 * (double)o->z_loss * truth->lse) * p - t[i];
        slope *= (1 - u * u) / T;
        double off = fabs((double)get(dtype, d_memory, r * COLS + i) - slope);
        double bound = (p + t[i]) * 0x1p-18 + rounding * fabs(slope) + 0x1p-24;
        worst = off / bound > worst ? off / bound : worst;
    }
    if (!CHECK(worst <= 1))
        printf("# gradient of %s, row %zu: %.3g of the bound\n", tempera_dtype_name(dtype), r,
               worst);
}

static void check_all(enum tempera_dtype dtype, bool soft, bool plain, bool in_place)
{
    static double t[COLS], s[COLS];
    float row_loss[ROWS], lse[ROWS], entropy[ROWS];
    struct tempera_cross_entropy_options o = options_of(plain);
    struct tempera_matrix z = {logits_memory, dtype, ROWS, COLS, COLS};
    struct tempera_matrix q = {probs_memory, dtype, ROWS, COLS, COLS};
    struct tempera_matrix d = {in_place ? logits_memory : d_memory, dtype, ROWS, COLS, COLS};
    struct tempera_targets targets = {soft ? NULL : classes, soft ? &q : NULL};
    struct tempera_cross_entropy_outputs out = {.struct_size = sizeof out,
                                                .d_logits = &d,
                                                .row_loss = row_loss,
                                                .row_logsumexp = lse,
                                                .row_entropy = entropy};
    fill(dtype);
    CHECK_STATUS(tempera_cross_entropy(&z, &targets, &o, &out, NULL), TEMPERA_OK);
    if (in_place)
        memcpy(d_memory, logits_memory, sizeof d_memory);
    for (size_t r = 0; r < ROWS; r++) {
        struct truth truth = formula(&o, r, soft, t, s);
        CHECK_NEAR((double)row_loss[r], truth.loss, 0x1p-20 * (1 + fabs(truth.loss)));
        CHECK_NEAR((double)lse[r], truth.lse, 0x1p-20 * (1 + fabs(truth.lse)));
        CHECK_NEAR((double)entropy[r], truth.entropy, 0x1p-19 * (1 + truth.entropy));
        check_gradient(&o, dtype, r, &truth, t, s);
    }
}

static void long_rows(void)
{
    for (size_t dtype = 0; dtype < 3; dtype++)
        for (unsigned how = 0; how < 8; how++)
            check_all(dtypes[dtype], how & 1, how & 2, how & 4);
}

// Where the kernels read 16 bits themselves, and where they can't: the bits of a copy in f32,
// narrowed. With masked classes, z-loss, softcap and class weights; apart, there in the other type
// as well, and in place.
static void check_halves(enum tempera_dtype dtype, enum tempera_dtype other, float z_loss,
                         float softcap)
{
    static float floats[COUNT], d_floats[COUNT];
    static char in_place[COUNT * 2], expected[COUNT * 2], other_memory[COUNT * 2];
    float row_loss[4][ROWS];
    struct tempera_cross_entropy_options o = options_of(true);
    o.z_loss = z_loss;
    o.softcap = softcap;
    o.class_weights = weights;
    fill(dtype);
    for (size_t i = 0; i < COUNT; i++)
        if (i % 5 == 3)
            logits[i] = put(dtype, -INFINITY, logits_memory, i);
    memcpy(floats, logits, sizeof floats);
    memcpy(in_place, logits_memory, sizeof in_place);
    struct tempera_matrix z[] = {{floats, TEMPERA_F32, ROWS, COLS, COLS},
                                 {logits_memory, dtype, ROWS, COLS, COLS},
                                 {logits_memory, dtype, ROWS, COLS, COLS},
                                 {in_place, dtype, ROWS, COLS, COLS}};
    struct tempera_matrix d[] = {{d_floats, TEMPERA_F32, ROWS, COLS, COLS},
                                 {d_memory, dtype, ROWS, COLS, COLS},
                                 {other_memory, other, ROWS, COLS, COLS},
                                 {in_place, dtype, ROWS, COLS, COLS}};
    const int32_t possible[ROWS] = {0, COLS - 2, 17000};
    struct tempera_targets targets = {possible, NULL};
    for (size_t i = 0; i < 4; i++) {
        struct tempera_cross_entropy_outputs out = {
            .struct_size = sizeof out, .d_logits = &d[i], .row_loss = row_loss[i]};
        CHECK_STATUS(tempera_cross_entropy(&z[i], &targets, &o, &out, NULL), TEMPERA_OK);
    }
    for (size_t i = 1; i < 4; i++)
        CHECK_MEM(row_loss[i], row_loss[0], sizeof row_loss[0]);
    for (size_t i = 0; i < COUNT; i++)
        put(other, d_floats[i], expected, i);
    CHECK_MEM(other_memory, expected, sizeof expected);
    for (size_t i = 0; i < COUNT; i++)
        put(dtype, d_floats[i], expected, i);
    CHECK_MEM(d_memory, expected, sizeof expected);
    CHECK_MEM(in_place, expected, sizeof expected);
}

static void rows_of_halves(void)
{
    check_halves(TEMPERA_F16, TEMPERA_BF16, 0, 0);
    check_halves(TEMPERA_BF16, TEMPERA_F16, 0, 0);
    check_halves(TEMPERA_F16, TEMPERA_BF16, 0.1f, 0); // a factor of at most 4
    check_halves(TEMPERA_BF16, TEMPERA_F16, 1, 0);    // and a larger one
    check_halves(TEMPERA_F16, TEMPERA_BF16, 0, 8);
    check_halves(TEMPERA_BF16, TEMPERA_F16, 0, 8);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"rows of several pieces and blocks are the definition", long_rows},
        {"rows of 16 bits have the bits of f32", rows_of_halves},
    };
    return CHECK_RUN(tests, argc, argv);
}
