// SPDX-License-Identifier: MIT
// Scales, weights, temperatures and softcaps at the ends of what a float holds, with scores and
// targets there, too: a row that is OK has no NaN in its gradient, one beyond the floats is
// infinite, any NaN is the canonical one, and all instruction sets agree in every bit.
#include "check.h"

#include <tempera/tempera.h>

#include "kernels/kernels.h"

enum { ROWS = 3, MOST = 80, ROUNDS = 4000 };

static const float scores[] = {0,     1,     -2,     0.5f,   30,        -90,  1e4f,
                               1e30f, 3e38f, -3e38f, 1e-40f, -INFINITY, 2.5f, -1};
static const float targets_of[] = {0, 0, 1, 0.5f, 1e-30f, 1e30f, 3e38f, -1e38f, 1e-45f};
static const float weights_of[] = {0, 1, 0.5f, 1e-45f, 1e-30f, 1e30f, 3e38f};
static const float gradient_scales[] = {1, -1, 0, 1e-45f, 65536, 1e20f, 1e30f, -3e38f, 3e38f};
static const float temperatures[] = {1, 0.5f, 1e-45f, 1e-38f, 1e-30f, 1e-20f, 1e20f, 3e38f};
static const float softcaps[] = {0, 0, 30, 1e-45f, 1e-39f, 1e-30f, 1e30f, 3e38f};
static const float smoothings[] = {0, 0, 0.1f, 0.9f, 1};
static const float gammas[] = {0, 0, 2, 1e-30f, 3e38f};
static const float z_losses[] = {0, 0, 1e-4f, 3e38f};

static float z[ROWS * MOST], q[ROWS * MOST], weights[MOST];
static int32_t classes[ROWS];
static size_t cols;

// What a call writes; compared whole.
struct answer {
    float d[ROWS * MOST], loss[ROWS], more[ROWS];
    enum tempera_status row_status[ROWS], status;
};

static bool is_canonical(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return x == x || bits == 0x7FC00000u;
}

// Ordinary scores in one round of two.
static void fill(void)
{
    bool extreme = check_random_below(2);
    cols = 1 + check_random_below(MOST);
    for (size_t i = 0; i < ROWS * cols; i++) {
        z[i] = extreme ? RANDOM_OF(scores) : (float)check_random_between(-3, 3);
        q[i] = RANDOM_OF(targets_of);
    }
    for (size_t i = 0; i < cols; i++)
        weights[i] = RANDOM_OF(weights_of);
    for (size_t r = 0; r < ROWS; r++)
        classes[r] = (int32_t)check_random_below(cols);
}

static void check_answer(const struct answer *a, const struct answer *first)
{
    bool good = CHECK_MEM(a, first, sizeof *a);
    for (size_t r = 0; r < ROWS; r++) {
        bool is_nan = a->row_status[r] == TEMPERA_NAN_INPUT;
        good &= CHECK(is_canonical(a->loss[r]) && is_canonical(a->more[r]));
        for (size_t i = r * cols; i < (r + 1) * cols; i++)
            good &= CHECK(is_canonical(a->d[i]) && (a->d[i] != a->d[i]) == is_nan);
    }
    if (!good)
        printf("# %s, %zu columns\n", tempera_kernels_active()->name, cols);
}

// The call, on every table that this machine has.
static void ask_all(void (*ask)(const void *options, struct answer *a), const void *options)
{
    static struct answer first, next;
    const struct tempera_kernels *table;
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++) {
        struct answer *a = i == 0 ? &first : &next;
        tempera_kernels_use(table);
        memset(a, 0, sizeof *a);
        ask(options, a);
        check_answer(a, &first);
    }
    CHECK_STATUS(tempera_cpu_set_mask(UINT32_MAX), TEMPERA_OK);
}

// ------------------------------------------------------------------------------------------------
// Cross-entropy

struct loss_case {
    struct tempera_cross_entropy_options options;
    bool is_soft;
};

static void ask_loss(const void *given, struct answer *a)
{
    const struct loss_case *c = given;
    struct tempera_matrix logits = tempera_matrix_f32(z, ROWS, cols);
    struct tempera_matrix soft = tempera_matrix_f32(q, ROWS, cols);
    struct tempera_matrix d = tempera_matrix_f32(a->d, ROWS, cols);
    struct tempera_targets targets = {c->is_soft ? NULL : classes, c->is_soft ? &soft : NULL};
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs,
                                                    .d_logits = &d,
                                                    .row_loss = a->loss,
                                                    .row_status = a->row_status,
                                                    .row_entropy = a->more};
    a->status = tempera_cross_entropy(&logits, &targets, &c->options, &outputs, NULL);
}

static void cross_entropy(void)
{
    for (size_t round = 0; round < check_cases(ROUNDS); round++) {
        struct loss_case c = {tempera_cross_entropy_options_default(), check_random_below(2)};
        fill();
        c.options.temperature = RANDOM_OF(temperatures);
        c.options.gradient_scale = RANDOM_OF(gradient_scales);
        c.options.softcap = RANDOM_OF(softcaps);
        c.options.label_smoothing = RANDOM_OF(smoothings);
        c.options.z_loss = RANDOM_OF(z_losses);
        c.options.class_weights = check_random_below(2) ? weights : NULL;
        c.options.focal_gamma = c.is_soft ? 0 : RANDOM_OF(gammas);
        c.options.reduction = (enum tempera_reduction)check_random_below(3);
        ask_all(ask_loss, &c);
    }
}

// Rows of few columns, whose gradients are known.
static void check_gradient(const struct loss_case *c, const float *expected)
{
    const struct tempera_kernels *table;
    cols = 3;
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++) {
        struct answer a = {.status = TEMPERA_OK};
        tempera_kernels_use(table);
        ask_loss(c, &a);
        CHECK_STATUS(a.status, TEMPERA_OK);
        for (size_t k = 0; k < 3; k++)
            CHECK(a.d[k] == expected[k] || fabsf(a.d[k] - expected[k]) <= 0x1p-21f);
    }
    CHECK_STATUS(tempera_cpu_set_mask(UINT32_MAX), TEMPERA_OK);
}

static void beyond_the_floats(void)
{
    struct loss_case c = {tempera_cross_entropy_options_default(), false};
    for (size_t i = 0; i < ROWS * 3; i++) {
        z[i] = i % 3 == 2 ? -INFINITY : 0;
        q[i] = (float)(i % 3 == 0);
    }
    memset(classes, 0, sizeof classes);
    c.options.gradient_scale = 3e38f;
    c.options.temperature = 0.01f;
    check_gradient(&c, (float[]){-INFINITY, INFINITY, 0});
    c.is_soft = true;
    check_gradient(&c, (float[]){-INFINITY, INFINITY, 0});
    memcpy(weights, (float[]){1, 0, 0}, 3 * sizeof *weights); // 0 times what is infinite in f32
    c.options.class_weights = weights;
    check_gradient(&c, (float[]){-INFINITY, INFINITY, 0});
    // Soft targets whose product with the scale f32 doesn't hold, on a weight of 0
    for (size_t i = 0; i < ROWS * 3; i++)
        q[i] = (float[]){1, 3e38f, 0}[i % 3];
    c.options.gradient_scale = 65536;
    c.options.temperature = 1;
    c.options.reduction = TEMPERA_REDUCTION_SUM;
    check_gradient(&c, (float[]){-32768, 32768, 0});
    // A softcap whose reciprocal f32 doesn't hold, with a score at 0
    c.options.class_weights = NULL;
    c.options.softcap = 1e-40f;
    c.options.gradient_scale = 1;
    for (size_t i = 0; i < ROWS * 3; i++) {
        z[i] = (float[]){0, 0, 1}[i % 3];
        q[i] = (float)(i % 3 == 0);
    }
    float third = 1.0f / 3;
    check_gradient(&c, (float[]){third - 1, third, 0});
}

// ------------------------------------------------------------------------------------------------
// Shards

static const struct tempera_row_statistics *given_statistics; // or NULL: those of the rows

static void ask_shards(const void *given, struct answer *a)
{
    struct tempera_row_statistics statistics[ROWS];
    struct tempera_matrix logits = tempera_matrix_f32(z, ROWS, cols);
    struct tempera_matrix d = tempera_matrix_f32(a->d, ROWS, cols);
    struct tempera_shard_outputs outputs = {.struct_size = sizeof outputs,
                                            .d_logits = &d,
                                            .row_loss = a->loss,
                                            .row_logsumexp = a->more,
                                            .row_status = a->row_status};
    tempera_shard_statistics(&logits, classes, given, statistics, NULL);
    a->status = tempera_shard_cross_entropy(
        &logits, classes, given_statistics != NULL ? given_statistics : statistics, given, &outputs,
        NULL);
}

static void shards(void)
{
    for (size_t round = 0; round < check_cases(ROUNDS); round++) {
        struct tempera_shard_options options = tempera_shard_options_default();
        fill();
        options.n_classes = cols;
        options.temperature = RANDOM_OF(temperatures);
        options.gradient_scale = RANDOM_OF(gradient_scales);
        ask_all(ask_shards, &options);
    }
}

// What a masked column has isn't quite 0 before it is scaled.
static void masked_columns_of_shards(void)
{
    static const float hot[] = {1, 0.05f, 1e-6f, 1e-30f}, large[] = {1, 65536, 1e30f, 3e38f};
    cols = 3;
    for (size_t i = 0; i < ROWS * 3; i++)
        z[i] = i % 3 == 2 ? -INFINITY : 0;
    memset(classes, 0, sizeof classes);
    for (size_t i = 0; i < 16; i++) {
        struct tempera_shard_options options = tempera_shard_options_default();
        struct answer a = {.status = TEMPERA_OK};
        options.n_classes = cols;
        options.temperature = hot[i / 4];
        options.gradient_scale = large[i % 4];
        ask_shards(&options, &a);
        CHECK_STATUS(a.status, TEMPERA_OK);
        CHECK(a.d[0] < 0 && a.d[1] == -a.d[0] && a.d[2] == 0);
    }
}

// Statistics that no row has, as a network may bring them.
static void shards_of_impossible_statistics(void)
{
    static const double numbers[] = {
        0, 1, -1, 1e-300, 1e300, -1e300, (double)INFINITY, (double)-INFINITY, (double)NAN, 2, 1e39};
    for (size_t round = 0; round < check_cases(ROUNDS); round++) {
        struct tempera_shard_options options = tempera_shard_options_default();
        struct tempera_row_statistics statistics[ROWS];
        fill();
        options.n_classes = cols;
        for (size_t i = 0; i < ROWS * cols; i++)
            z[i] = (float)check_random_between(-9, -3); // below all maxima that can be
        for (size_t r = 0; r < ROWS; r++)
            statistics[r] = (struct tempera_row_statistics){RANDOM_OF(numbers), RANDOM_OF(numbers),
                                                            RANDOM_OF(numbers)};
        given_statistics = statistics;
        ask_all(ask_shards, &options);
        given_statistics = NULL;
    }
}

// ------------------------------------------------------------------------------------------------
// The linear layer

static enum tempera_status multiply(void *self, const struct tempera_matmul *m,
                                    const struct tempera_executor *executor)
{
    (void)self;
    (void)executor;
    for (size_t i = 0; i < m->M; i++)
        for (size_t j = 0; j < m->N; j++) {
            float *c = &m->c[i * m->c_stride + j], sum = m->accumulate ? *c : 0;
            for (size_t k = 0; k < m->K; k++)
                sum += m->a[m->a_transposed ? k * m->a_stride + i : i * m->a_stride + k] *
                       m->b[m->b_transposed ? j * m->b_stride + k : k * m->b_stride + j];
            *c = sum;
        }
    return TEMPERA_OK;
}

// Infinite gradients meet zeros in the products.
static void linear_loss(void)
{
    enum { DIM = 40, VOCAB = 3 };
    static float hidden_data[ROWS * DIM], head_data[VOCAB * DIM], d_data[2][ROWS * DIM];
    _Alignas(64) static float scratch[ROWS * VOCAB + 16];
    for (size_t i = 0; i < ROWS * DIM; i++)
        hidden_data[i] = head_data[i] = (float)(i % 3 == 0);
    memset(classes, 0, sizeof classes);
    struct tempera_matrix hidden = tempera_matrix_f32(hidden_data, ROWS, DIM);
    struct tempera_matrix head = tempera_matrix_f32(head_data, VOCAB, DIM);
    struct tempera_matrix d_hidden = tempera_matrix_f32(d_data[0], ROWS, DIM);
    struct tempera_matrix d_head = tempera_matrix_f32(d_data[1], VOCAB, DIM);
    struct tempera_linear_head linear = {sizeof linear, &hidden,  &head, &d_hidden,
                                         &d_head,       multiply, NULL};
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs};
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    options.gradient_scale = 3e38f;
    options.temperature = 1e-3f;
    CHECK_STATUS(tempera_linear_cross_entropy(&linear, classes, &options, &outputs, scratch,
                                              sizeof scratch, NULL),
                 TEMPERA_OK);
    size_t n_nans = 0;
    for (size_t i = 0; i < 2 * ROWS * DIM; i++) {
        float x = d_data[i / (ROWS * DIM)][i % (ROWS * DIM)];
        n_nans += CHECK(is_canonical(x)) && x != x;
    }
    CHECK(n_nans > 0);
}

// ------------------------------------------------------------------------------------------------
// Distillation, the softmax and its backward pass

static void ask_distillation(const void *given, struct answer *a)
{
    struct tempera_matrix student = tempera_matrix_f32(z, ROWS, cols);
    struct tempera_matrix teacher = tempera_matrix_f32(q, ROWS, cols);
    struct tempera_matrix d = tempera_matrix_f32(a->d, ROWS, cols);
    struct tempera_distillation_outputs outputs = {.struct_size = sizeof outputs,
                                                   .d_student = &d,
                                                   .row_loss = a->loss,
                                                   .row_status = a->row_status};
    a->status = tempera_distillation(&teacher, &student, given, &outputs, NULL);
}

static void distillation(void)
{
    static const float betas[] = {0, 1, 0.5f, 1e-45f, 0.999f};
    for (size_t round = 0; round < check_cases(ROUNDS); round++) {
        struct tempera_distillation_options options = tempera_distillation_options_default();
        fill();
        for (size_t i = 0; i < ROWS * cols; i++)
            q[i] = RANDOM_OF(scores);
        options.temperature = RANDOM_OF(temperatures);
        options.gradient_scale = RANDOM_OF(gradient_scales);
        options.beta = RANDOM_OF(betas);
        ask_all(ask_distillation, &options);
    }
}

static void ask_softmax(const void *given, struct answer *a)
{
    struct tempera_matrix logits = tempera_matrix_f32(z, ROWS, cols);
    struct tempera_matrix probs = tempera_matrix_f32(a->d, ROWS, cols);
    a->status = tempera_softmax(&logits, given, &probs, a->row_status, NULL);
    tempera_logsumexp(&logits, given, a->loss, NULL, NULL);
}

static void softmax(void)
{
    for (size_t round = 0; round < check_cases(ROUNDS); round++) {
        struct tempera_softmax_options options = tempera_softmax_options_default();
        float sinks[ROWS];
        fill();
        for (size_t r = 0; r < ROWS; r++)
            sinks[r] = RANDOM_OF(scores);
        for (size_t i = 0; i < ROWS * cols; i++)
            q[i] = RANDOM_OF(scores);
        struct tempera_matrix add = tempera_matrix_f32(q, ROWS, cols);
        options.temperature = RANDOM_OF(temperatures);
        options.scale = RANDOM_OF(gradient_scales);
        options.softcap = RANDOM_OF(softcaps);
        options.add = check_random_below(2) ? &add : NULL;
        options.sinks = check_random_below(2) ? sinks : NULL;
        ask_all(ask_softmax, &options);
    }
}

static void ask_backward(const void *given, struct answer *a)
{
    struct tempera_matrix probs = tempera_matrix_f32(q, ROWS, cols);
    struct tempera_matrix d_probs = tempera_matrix_f32(z, ROWS, cols);
    struct tempera_matrix d = tempera_matrix_f32(a->d, ROWS, cols);
    a->status =
        tempera_softmax_backward(&probs, &d_probs, *(const float *)given, &d, a->row_status, NULL);
}

static void backward(void)
{
    for (size_t round = 0; round < check_cases(ROUNDS); round++) {
        fill();
        float temperature = RANDOM_OF(temperatures);
        ask_all(ask_backward, &temperature);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"cross-entropy gives no NaN and no false infinity", cross_entropy},
        {"gradients beyond the floats are infinite", beyond_the_floats},
        {"shards give no NaN and no false infinity", shards},
        {"masked columns of shards have no gradient", masked_columns_of_shards},
        {"impossible statistics of shards are refused", shards_of_impossible_statistics},
        {"the linear layer gives no NaN and no false infinity", linear_loss},
        {"distillation gives no NaN and no false infinity", distillation},
        {"softmax gives no NaN", softmax},
        {"the softmax's backward pass gives no NaN", backward},
    };
    return CHECK_RUN(tests, argc, argv);
}
