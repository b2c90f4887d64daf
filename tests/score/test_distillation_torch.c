// SPDX-License-Identifier: MIT
// Distillation and the fitted temperature against PyTorch, in all types. The fixture is made by
// scripts/make-distillation-fixture, in double and with nine digits.
#include "check.h"

#include <tempera/calibration.h>
#include <tempera/distillation.h>

#include "base/half.h"

enum { ROWS = 6, COLS = 9, N = ROWS * COLS };

static FILE *file;
static int32_t classes[ROWS];

static double next_number(void)
{
    double value = NAN;
    CHECK(fscanf(file, "%lf", &value) == 1);
    return value;
}

// Scores of one type, exact in it.
struct scores {
    float wide[N];
    uint16_t narrow[N];
    struct tempera_matrix matrix;
};

static enum tempera_dtype dtype_of(const char *name)
{
    return strcmp(name, "f32") == 0   ? TEMPERA_F32
           : strcmp(name, "f16") == 0 ? TEMPERA_F16
                                      : TEMPERA_BF16;
}

static void read_scores(struct scores *scores, enum tempera_dtype dtype)
{
    for (size_t i = 0; i < N; i++) {
        scores->wide[i] = (float)next_number();
        scores->narrow[i] = dtype == TEMPERA_F16 ? tempera_f32_to_f16(scores->wide[i])
                                                 : tempera_f32_to_bf16(scores->wide[i]);
    }
    void *data = dtype == TEMPERA_F32 ? (void *)scores->wide : (void *)scores->narrow;
    scores->matrix = (struct tempera_matrix){data, dtype, ROWS, COLS, COLS};
}

static void check_case(const struct scores *teacher, const struct scores *student)
{
    static float gradient[N];
    struct tempera_matrix d = tempera_matrix_f32(gradient, ROWS, COLS);
    double loss = NAN;
    struct tempera_distillation_options options = tempera_distillation_options_default();
    options.beta = (float)next_number();
    options.temperature = (float)next_number();
    struct tempera_distillation_outputs out = {
        .struct_size = sizeof out, .d_student = &d, .loss = &loss};
    CHECK_STATUS(tempera_distillation(&teacher->matrix, &student->matrix, &options, &out, NULL),
                 TEMPERA_OK);
    double wanted = next_number(), T = (double)options.temperature;
    CHECK_NEAR(loss, wanted, wanted * (0x1p-20 + 1e-9) + T * T * 0x1p-44);
    for (size_t i = 0; i < N; i++) {
        // The bound of the header: max(p, q) <= 1 here, and |ln q/p| of what has weight below 40.
        double slope = next_number();
        CHECK_NEAR((double)gradient[i], slope, 0x1p-21 * T * 41 / ROWS + fabs(slope) * 0x1p-24);
    }
}

static void check_fit(const struct scores *student)
{
    struct tempera_temperature_fit fit;
    CHECK_STATUS(tempera_fit_temperature(&student->matrix, classes, NULL, &fit, NULL), TEMPERA_OK);
    double T = next_number();
    CHECK_NEAR(fit.temperature, T, 1e-5 * T);
    CHECK_NEAR(fit.loss, next_number(), 0x1p-21);
}

static void as_pytorch(void)
{
    static struct scores teacher, student;
    char word[32], type[8];
    size_t n_cases = 0, n_fits = 0;
    file = fopen(TEMPERA_SOURCE_DIR "/tests/fixtures/distillation/torch.txt", "r");
    if (!CHECK(file != NULL))
        return;
    while (fscanf(file, "%31s", word) == 1) {
        if (strcmp(word, "classes") == 0) {
            for (size_t r = 0; r < ROWS; r++)
                classes[r] = (int32_t)next_number();
        } else if (strncmp(word, "teacher.", 8) == 0) {
            read_scores(&teacher, dtype_of(word + 8));
        } else if (strncmp(word, "student.", 8) == 0) {
            read_scores(&student, dtype_of(word + 8));
        } else if (CHECK(fscanf(file, "%7s", type) == 1)) {
            bool is_case = strcmp(word, "case") == 0;
            CHECK(is_case || strcmp(word, "fit") == 0);
            if (is_case)
                check_case(&teacher, &student);
            else
                check_fit(&student);
            n_cases += is_case;
            n_fits += !is_case;
        }
    }
    fclose(file);
    CHECK_EQ_SIZE(n_cases, 60);
    CHECK_EQ_SIZE(n_fits, 3);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {{"losses and gradients are PyTorch's", as_pytorch}};
    return CHECK_RUN(tests, argc, argv);
}
