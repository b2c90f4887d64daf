// SPDX-License-Identifier: MIT
// The cross-entropy against PyTorch, which computed in double: every option that it has, with every
// reduction and kind of target, and ours around them. scripts/make-loss-fixture writes the fixture.
#include "check.h"

#include <tempera/tempera.h>

#include "base/half.h"

enum { ROWS = 4, COLS = 7, COUNT = ROWS * COLS, IGNORED = -3 };

static const enum tempera_dtype dtypes[] = {TEMPERA_F32, TEMPERA_F16, TEMPERA_BF16};

struct fixture {
    float logits[3][COUNT], probs[3][COUNT], weights[COLS], classes[ROWS], ignored[ROWS];
};

static void read_floats(FILE *file, const char *name, float *values, size_t n)
{
    char word[32];
    CHECK(fscanf(file, "%31s", word) == 1);
    CHECK_EQ_STR(word, name);
    for (size_t i = 0; i < n; i++)
        CHECK(fscanf(file, "%f", &values[i]) == 1);
}

static void read_inputs(FILE *file, struct fixture *f)
{
    for (size_t t = 0; t < 3; t++) {
        char name[32];
        snprintf(name, sizeof name, "logits.%s", tempera_dtype_name(dtypes[t]));
        read_floats(file, name, f->logits[t], COUNT);
        snprintf(name, sizeof name, "probs.%s", tempera_dtype_name(dtypes[t]));
        read_floats(file, name, f->probs[t], COUNT);
    }
    read_floats(file, "weights", f->weights, COLS);
    read_floats(file, "classes", f->classes, ROWS);
    read_floats(file, "ignored", f->ignored, ROWS);
}

struct torch_case {
    char dtype[8], targets[8], reduction[8];
    float T, softcap, smoothing, weighted, z_loss, gamma;
};

static bool read_case(FILE *file, struct torch_case *c)
{
    return fscanf(file, " case %7s %7s %7s %f %f %f %f %f %f", c->dtype, c->targets, c->reduction,
                  &c->T, &c->softcap, &c->smoothing, &c->weighted, &c->z_loss, &c->gamma) == 9;
}

static size_t dtype_of(const struct torch_case *c)
{
    size_t t = 0;
    while (t < 2 && strcmp(c->dtype, tempera_dtype_name(dtypes[t])) != 0)
        t++;
    return t;
}

static struct tempera_matrix matrix_of(const float *values, enum tempera_dtype dtype, void *memory)
{
    struct tempera_matrix m = {memory, dtype, ROWS, COLS, COLS};
    for (size_t i = 0; i < COUNT; i++)
        if (dtype == TEMPERA_F32)
            ((float *)memory)[i] = values[i];
        else
            ((uint16_t *)memory)[i] = dtype == TEMPERA_F16 ? tempera_f32_to_f16(values[i])
                                                           : tempera_f32_to_bf16(values[i]);
    return m;
}

static struct tempera_cross_entropy_options options_of(const struct torch_case *c,
                                                       const struct fixture *f)
{
    struct tempera_cross_entropy_options o = tempera_cross_entropy_options_default();
    o.temperature = c->T;
    o.softcap = c->softcap;
    o.label_smoothing = c->smoothing;
    o.z_loss = c->z_loss;
    o.focal_gamma = c->gamma;
    o.class_weights = c->weighted != 0 ? f->weights : NULL;
    o.ignore_index = IGNORED;
    o.reduction = strcmp(c->reduction, "mean") == 0  ? TEMPERA_REDUCTION_MEAN
                  : strcmp(c->reduction, "sum") == 0 ? TEMPERA_REDUCTION_SUM
                                                     : TEMPERA_REDUCTION_NONE;
    return o;
}

// The next number of the file against ours. The bound is that of the header for losses and slopes
// of a few units, twice that under a softcap.
static void check_next(FILE *file, double ours, double scale)
{
    double theirs = NAN;
    CHECK(fscanf(file, "%lf", &theirs) == 1);
    CHECK_NEAR(ours, theirs, 0x1p-20 * scale + 1e-8 * fabs(theirs));
}

static void check_case(FILE *file, const struct torch_case *c, const struct fixture *f)
{
    float logits_memory[COUNT], probs_memory[COUNT], d[COUNT], row_loss[ROWS];
    int32_t classes[ROWS];
    size_t t = dtype_of(c);
    bool soft = strcmp(c->targets, "soft") == 0;
    for (size_t r = 0; r < ROWS; r++)
        classes[r] =
            (int32_t)(strcmp(c->targets, "class") == 0 ? f->classes[r] : f->ignored[r]);
    struct tempera_matrix logits = matrix_of(f->logits[t], dtypes[t], logits_memory);
    struct tempera_matrix probs = matrix_of(f->probs[t], dtypes[t], probs_memory);
    struct tempera_matrix d_logits = tempera_matrix_f32(d, ROWS, COLS);
    struct tempera_targets targets = {soft ? NULL : classes, soft ? &probs : NULL};
    struct tempera_cross_entropy_options options = options_of(c, f);
    double loss = NAN;
    struct tempera_cross_entropy_outputs outputs = {
        .struct_size = sizeof outputs, .d_logits = &d_logits, .loss = &loss, .row_loss = row_loss};
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, &options, &outputs, NULL), TEMPERA_OK);
    double scale = (c->softcap != 0 ? 8 : 2) / (double)c->T;
    if (options.reduction == TEMPERA_REDUCTION_NONE)
        for (size_t r = 0; r < ROWS; r++)
            check_next(file, (double)row_loss[r], scale * (1 + (double)row_loss[r] * 0.1));
    else
        check_next(file, loss, scale * (1 + loss * 0.1));
    for (size_t i = 0; i < COUNT; i++)
        check_next(file, (double)d[i], scale);
}

static void equal_to_pytorch(void)
{
    FILE *file = fopen(TEMPERA_SOURCE_DIR "/tests/fixtures/loss/torch.txt", "r");
    if (!CHECK(file != NULL))
        return;
    struct fixture f;
    struct torch_case c;
    size_t n_cases = 0;
    for (read_inputs(file, &f); read_case(file, &c); n_cases++) {
        size_t failures = check_n_failures();
        check_case(file, &c, &f);
        if (check_n_failures() > failures)
            printf("# %s %s %s T %g softcap %g smoothing %g weighted %g z %g gamma %g\n", c.dtype,
                   c.targets, c.reduction, (double)c.T, (double)c.softcap, (double)c.smoothing,
                   (double)c.weighted, (double)c.z_loss, (double)c.gamma);
    }
    CHECK_EQ_SIZE(n_cases, 120);
    CHECK(feof(file));
    fclose(file);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"losses and gradients are PyTorch's", equal_to_pytorch},
    };
    return CHECK_RUN(tests, argc, argv);
}
