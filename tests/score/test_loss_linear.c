// SPDX-License-Identifier: MIT
// Linear layer and cross-entropy in one call, against the same in three calls that hold all
// logits, with a matrix product of the test's own.
#include "check.h"

#include <math.h>

#include <tempera/tempera.h>

enum { ROWS = 100, VOCAB = 100003, DIM = 5, STRIDE = DIM + 2 }; // three chunks of 34, 33 and 33

// Fewer classes, in as many chunks, in slow builds.
static size_t vocab = VOCAB, most_nbytes; // 0: as the library has it

static float hidden_data[ROWS * STRIDE], head_data[VOCAB * STRIDE];
static int32_t classes[ROWS];
static float weights[VOCAB];
static _Alignas(64) char scratch[16000064];

// ------------------------------------------------------------------------------------------------
// A plain product: sums in double, in order

static float element(const float *matrix, size_t stride, bool transposed, size_t row, size_t col)
{
    return transposed ? matrix[col * stride + row] : matrix[row * stride + col];
}

static size_t n_products, failing_product;

static enum tempera_status multiply(void *self, const struct tempera_matmul *p,
                                    const struct tempera_executor *executor)
{
    (void)executor;
    CHECK(self == &n_products);
    if (++n_products == failing_product)
        return TEMPERA_UNSAFE_LIBRARY;
    for (size_t m = 0; m < p->M; m++)
        for (size_t n = 0; n < p->N; n++) {
            float *c = &p->c[m * p->c_stride + n];
            double sum = p->accumulate ? (double)*c : 0;
            for (size_t k = 0; k < p->K; k++)
                sum += (double)element(p->a, p->a_stride, p->a_transposed, m, k) *
                       (double)element(p->b, p->b_stride, p->b_transposed, k, n);
            *c = (float)sum;
        }
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// A problem, and its outputs

struct results {
    double loss, z_loss, weight_sum;
    size_t count, n_correct;
    float row_loss[ROWS], row_entropy[ROWS];
    enum tempera_status row_status[ROWS];
    float d_hidden[ROWS * STRIDE], d_head[VOCAB * STRIDE];
};

static struct results fused, threaded, apart;

static struct tempera_cross_entropy_outputs outputs_to(struct results *r)
{
    return (struct tempera_cross_entropy_outputs){.struct_size =
                                                      sizeof(struct tempera_cross_entropy_outputs),
                                                  .row_loss = r->row_loss,
                                                  .row_entropy = r->row_entropy,
                                                  .row_status = r->row_status,
                                                  .loss = &r->loss,
                                                  .z_loss = &r->z_loss,
                                                  .weight_sum = &r->weight_sum,
                                                  .count = &r->count,
                                                  .n_correct = &r->n_correct};
}

static struct tempera_matrix matrix_of(float *data, size_t rows)
{
    return (struct tempera_matrix){data, TEMPERA_F32, rows, DIM, STRIDE};
}

static void fill(void)
{
    for (size_t i = 0; i < ROWS * STRIDE; i++)
        hidden_data[i] = (float)check_random_between(-1, 1);
    for (size_t i = 0; i < vocab * STRIDE; i++)
        head_data[i] = (float)check_random_between(-3, 3);
    for (size_t i = 0; i < vocab; i++)
        weights[i] = (float)check_random_between(0, 2);
    for (size_t i = 0; i < ROWS; i++)
        classes[i] = (int32_t)check_random_below(vocab);
    classes[3] = classes[40] = TEMPERA_IGNORE_INDEX;
}

static struct tempera_cross_entropy_options all_options(void)
{
    struct tempera_cross_entropy_options options = tempera_cross_entropy_options_default();
    options.temperature = 0.8f;
    options.label_smoothing = 0.1f;
    options.z_loss = 1e-3f;
    options.class_weights = weights;
    options.softcap = 10;
    options.gradient_scale = 100;
    return options;
}

static const float before = 0.25f; // what lies in the gradients

static enum tempera_status run(const struct tempera_cross_entropy_options *options,
                               const struct tempera_executor *executor, struct results *r)
{
    struct tempera_matrix hidden = matrix_of(hidden_data, ROWS);
    struct tempera_matrix head = matrix_of(head_data, vocab);
    struct tempera_matrix d_hidden = matrix_of(r->d_hidden, ROWS);
    struct tempera_matrix d_head = matrix_of(r->d_head, vocab);
    struct tempera_linear_head linear = {sizeof linear, &hidden, &head,      &d_hidden,
                                         &d_head,       multiply, &n_products};
    struct tempera_cross_entropy_outputs outputs = outputs_to(r);
    size_t nbytes = tempera_linear_cross_entropy_scratch_nbytes(ROWS, vocab, most_nbytes);
    CHECK(nbytes <= sizeof scratch);
    for (size_t i = 0; i < ROWS * STRIDE; i++)
        r->d_hidden[i] = before;
    for (size_t i = 0; i < vocab * STRIDE; i++)
        r->d_head[i] = before;
    n_products = 0;
    return tempera_linear_cross_entropy(&linear, classes, options, &outputs, scratch, nbytes,
                                        executor);
}

// All logits at once.
static void run_apart(const struct tempera_cross_entropy_options *options, struct results *r)
{
    float *logits = malloc(sizeof(float) * ROWS * vocab);
    CHECK(logits != NULL);
    struct tempera_matmul product = {.M = ROWS, .N = vocab, .K = DIM, .a = hidden_data,
                                     .b = head_data, .c = logits, .a_stride = STRIDE,
                                     .b_stride = STRIDE, .c_stride = vocab, .b_transposed = true};
    multiply(&n_products, &product, NULL);
    struct tempera_matrix z = tempera_matrix_f32(logits, ROWS, vocab);
    struct tempera_targets targets = {.classes = classes};
    struct tempera_cross_entropy_outputs outputs = outputs_to(r);
    outputs.d_logits = &z;
    CHECK_STATUS(tempera_cross_entropy(&z, &targets, options, &outputs, NULL), TEMPERA_OK);
    for (size_t i = 0; i < vocab * STRIDE; i++)
        r->d_head[i] = before;
    struct tempera_matmul back = {.M = ROWS, .N = DIM, .K = vocab, .a = logits, .b = head_data,
                                  .c = r->d_hidden, .a_stride = vocab, .b_stride = STRIDE,
                                  .c_stride = STRIDE};
    multiply(&n_products, &back, NULL);
    struct tempera_matmul weight = {.M = vocab, .N = DIM, .K = ROWS, .a = logits,
                                    .b = hidden_data, .c = r->d_head, .a_stride = vocab,
                                    .b_stride = STRIDE, .c_stride = STRIDE, .a_transposed = true,
                                    .accumulate = true};
    multiply(&n_products, &weight, NULL);
    free(logits);
}

// ------------------------------------------------------------------------------------------------
// Tests

static void check_against_apart(const struct tempera_cross_entropy_options *options)
{
    CHECK_STATUS(run(options, NULL, &fused), TEMPERA_OK);
    CHECK_EQ_SIZE(n_products, 9); // three chunks
    run_apart(options, &apart);
    CHECK_NEAR(fused.loss, apart.loss, 1e-12 * apart.loss);
    CHECK_NEAR(fused.z_loss, apart.z_loss, 1e-12 * apart.loss);
    CHECK(fused.weight_sum == apart.weight_sum);
    CHECK_EQ_SIZE(fused.count, apart.count);
    CHECK_EQ_SIZE(fused.n_correct, apart.n_correct);
    CHECK_MEM(fused.row_loss, apart.row_loss, sizeof fused.row_loss);
    CHECK_MEM(fused.row_entropy, apart.row_entropy, sizeof fused.row_entropy);
    for (size_t r = 0; r < ROWS; r++)
        CHECK_MEM(fused.d_hidden + r * STRIDE, apart.d_hidden + r * STRIDE, DIM * sizeof(float));
    for (size_t i = 0; i < vocab * STRIDE; i++) // rounded once a chunk
        if (i % STRIDE < DIM)
            CHECK_NEAR(fused.d_head[i], apart.d_head[i], 0x1p-22 * fabs((double)apart.d_head[i]) +
                                                             0x1p-24);
        else
            CHECK(fused.d_head[i] == before);
}

static void same_as_apart(void)
{
    struct tempera_cross_entropy_options options = all_options();
    fill();
    check_against_apart(NULL);
    check_against_apart(&options);
}

// One row at a time, and all at once.
static void any_scratch(void)
{
    fill();
    CHECK_STATUS(run(NULL, NULL, &fused), TEMPERA_OK);
    struct tempera_matrix hidden = matrix_of(hidden_data, ROWS);
    struct tempera_matrix head = matrix_of(head_data, vocab);
    struct tempera_linear_head linear = {sizeof linear, &hidden,  &head,      NULL,
                                         NULL,          multiply, &n_products};
    struct tempera_cross_entropy_outputs outputs = outputs_to(&threaded);
    size_t all = tempera_linear_cross_entropy_scratch_nbytes(ROWS, vocab, SIZE_MAX);
    CHECK_EQ_SIZE(all, (size_t)ROWS * vocab * sizeof(float) / 64 * 64 + 64);
    void *large = aligned_alloc(64, all);
    CHECK(large != NULL);
    for (int i = 0; i < 2; i++) {
        n_products = 0;
        CHECK_STATUS(tempera_linear_cross_entropy(&linear, classes, NULL, &outputs, large,
                                                  i == 0 ? all : vocab * sizeof(float), NULL),
                     TEMPERA_OK);
        CHECK_EQ_SIZE(n_products, i == 0 ? 1 : ROWS);
        CHECK_NEAR(threaded.loss, fused.loss, 1e-12 * fused.loss);
        CHECK_MEM(threaded.row_loss, fused.row_loss, sizeof fused.row_loss);
    }
    free(large);
}

static void threads_dont_show(void)
{
    struct tempera_cross_entropy_options options = all_options();
    struct tempera_thread_pool *pool = NULL;
    fill();
    CHECK_STATUS(tempera_thread_pool_open(&pool, 3), TEMPERA_OK);
    CHECK_STATUS(run(&options, NULL, &fused), TEMPERA_OK);
    CHECK_STATUS(run(&options, tempera_thread_pool_executor(pool), &threaded), TEMPERA_OK);
    CHECK(fused.loss == threaded.loss);
    CHECK_MEM(fused.d_hidden, threaded.d_hidden, sizeof fused.d_hidden);
    CHECK_MEM(fused.d_head, threaded.d_head, sizeof fused.d_head);
    tempera_thread_pool_close(&pool);
}

// Loss alone takes one product a chunk.
static void no_gradient(void)
{
    fill();
    struct tempera_matrix hidden = matrix_of(hidden_data, ROWS);
    struct tempera_matrix head = matrix_of(head_data, vocab);
    struct tempera_linear_head linear = {sizeof linear, &hidden,  &head,      NULL,
                                         NULL,          multiply, &n_products};
    struct tempera_cross_entropy_outputs outputs = outputs_to(&threaded);
    CHECK_STATUS(run(NULL, NULL, &fused), TEMPERA_OK);
    size_t nbytes = tempera_linear_cross_entropy_scratch_nbytes(ROWS, vocab, most_nbytes);
    n_products = 0;
    CHECK_STATUS(tempera_linear_cross_entropy(&linear, classes, NULL, &outputs, scratch,
                                              nbytes, NULL),
                 TEMPERA_OK);
    CHECK_EQ_SIZE(n_products, 3);
    CHECK(threaded.loss == fused.loss);
}

static void a_failing_product(void)
{
    fill();
    for (failing_product = 1; failing_product <= 9; failing_product++)
        CHECK_STATUS(run(NULL, NULL, &fused), TEMPERA_UNSAFE_LIBRARY);
    failing_product = 0;
}

static void a_bad_row(void)
{
    fill();
    hidden_data[99 * STRIDE] = NAN;
    CHECK_STATUS(run(NULL, NULL, &fused), TEMPERA_NAN_INPUT);
    CHECK_EQ_INT(fused.row_status[99], TEMPERA_NAN_INPUT);
    CHECK_EQ_INT(fused.row_status[98], TEMPERA_OK);
    CHECK(isnan(fused.loss) && isnan(fused.d_hidden[99 * STRIDE]) && isnan(fused.d_head[0]));
    CHECK(!isnan(fused.d_hidden[98 * STRIDE]));
}

static void scratch_sizes(void)
{
    static const size_t vocabs[] = {1, 50257, 128256, 262144, 4000000, 4000001, 100000000};
    CHECK_EQ_SIZE(tempera_linear_cross_entropy_scratch_nbytes(0, 5, 0), 0);
    CHECK_EQ_SIZE(tempera_linear_cross_entropy_scratch_nbytes(5, 0, 0), 0);
    CHECK_EQ_SIZE(tempera_linear_cross_entropy_scratch_nbytes(5, SIZE_MAX / 2, 0), 0);
    for (size_t i = 0; i < COUNT_OF(vocabs); i++) {
        size_t last = 0;
        for (size_t rows = 1; rows < 3000; rows += check_stride(13)) {
            size_t nbytes = tempera_linear_cross_entropy_scratch_nbytes(rows, vocabs[i], 0);
            CHECK(nbytes >= last && nbytes >= 4 * vocabs[i]);
            CHECK(tempera_linear_cross_entropy_scratch_nbytes(rows, vocabs[i], 64000000) >= nbytes);
            CHECK(nbytes <= 14500000 + 63 || nbytes <= 4 * vocabs[i] + 63);
            last = nbytes;
        }
    }
}

// Each with nothing written.
static void refusals(void)
{
    fill();
    struct results *r = &fused;
    struct tempera_matrix hidden = matrix_of(hidden_data, ROWS);
    struct tempera_matrix head = matrix_of(head_data, vocab);
    struct tempera_matrix d_hidden = matrix_of(r->d_hidden, ROWS);
    struct tempera_matrix d_head = matrix_of(r->d_head, vocab);
    struct tempera_matrix halves = head, narrow = head, tall = d_hidden, in_scratch = d_head;
    halves.dtype = TEMPERA_F16;
    narrow.cols--;
    tall.rows--;
    in_scratch.data = scratch + 64;
    // each other's memory, from the second row on
    struct tempera_matrix in_head = d_hidden, over_hidden = d_head, in_d_head = d_hidden;
    in_head.data = head_data + STRIDE;
    over_hidden.data = hidden_data;
    in_d_head.data = r->d_head + STRIDE;
    const struct tempera_linear_head good = {sizeof good, &hidden,  &head,      &d_hidden,
                                             &d_head,     multiply, &n_products};
    struct {
        struct tempera_linear_head linear;
        enum tempera_status status;
    } cases[13];
    for (size_t i = 0; i < 13; i++) {
        cases[i].linear = good;
        cases[i].status = TEMPERA_INVALID_ARGUMENT;
    }
    cases[0].linear.struct_size = 8;
    cases[1].linear.hidden = NULL;
    cases[2].linear.head = &halves;
    cases[2].status = TEMPERA_UNSUPPORTED;
    cases[3].linear.head = &narrow;
    cases[4].linear.d_hidden = &tall;
    cases[5].linear.d_hidden = &hidden;
    cases[6].linear.d_head = &head;
    cases[7].linear.d_head = &in_scratch;
    cases[8].linear.matmul = NULL;
    cases[9].linear.head = NULL;
    cases[10].linear.d_hidden = &in_head;
    cases[11].linear.d_hidden = &in_d_head;
    cases[12].linear.d_head = &over_hidden;
    cases[12].linear.d_hidden = NULL; // which lies elsewhere
    struct tempera_cross_entropy_outputs outputs = outputs_to(r);
    r->loss = 7;
    n_products = 0;
    const size_t nbytes = tempera_linear_cross_entropy_scratch_nbytes(ROWS, vocab, most_nbytes);
    for (size_t i = 0; i < 13; i++)
        CHECK_STATUS(tempera_linear_cross_entropy(&cases[i].linear, classes, NULL, &outputs,
                                                  scratch, nbytes, NULL),
                     cases[i].status);
    CHECK_STATUS(tempera_linear_cross_entropy(&good, classes, NULL, &outputs, scratch,
                                              vocab * sizeof(float) - 1, NULL),
                 TEMPERA_BUFFER_TOO_SMALL);
    CHECK_STATUS(tempera_linear_cross_entropy(&good, classes, NULL, &outputs, scratch + 4, nbytes,
                                              NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_linear_cross_entropy(&good, NULL, NULL, &outputs, scratch, nbytes, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_linear_cross_entropy(&good, classes, NULL, NULL, scratch, nbytes, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    outputs.row_loss = r->d_head + 100;
    CHECK_STATUS(
        tempera_linear_cross_entropy(&good, classes, NULL, &outputs, scratch, nbytes, NULL),
        TEMPERA_INVALID_ARGUMENT);
    outputs = outputs_to(r);
    outputs.d_logits = &d_head;
    CHECK_STATUS(
        tempera_linear_cross_entropy(&good, classes, NULL, &outputs, scratch, nbytes, NULL),
        TEMPERA_INVALID_ARGUMENT);
    outputs = outputs_to(r);
    classes[99] = (int32_t)vocab;
    CHECK_STATUS(
        tempera_linear_cross_entropy(&good, classes, NULL, &outputs, scratch, nbytes, NULL),
        TEMPERA_TARGET_OUT_OF_RANGE);
    CHECK(r->loss == 7);
    CHECK_EQ_SIZE(n_products, 0);
}

static void no_rows(void)
{
    struct tempera_matrix hidden = matrix_of(hidden_data, 0);
    struct tempera_matrix head = matrix_of(head_data, vocab);
    struct tempera_linear_head linear = {sizeof linear, &hidden,  &head,      NULL,
                                         NULL,          multiply, &n_products};
    struct tempera_cross_entropy_outputs outputs = outputs_to(&fused);
    CHECK_STATUS(tempera_linear_cross_entropy(&linear, NULL, NULL, &outputs, NULL, 0, NULL),
                 TEMPERA_OK);
    CHECK(fused.loss == 0);
    CHECK_EQ_SIZE(fused.count, 0);
}

int main(int argc, char **argv)
{
    if (check_is_small()) {
        vocab = 5003;
        most_nbytes = 36 * vocab * sizeof(float);
    }
    static const struct check_test tests[] = {
        {"one call gives what three calls give", same_as_apart},
        {"results do not depend on the scratch's size", any_scratch},
        {"results do not depend on the thread count", threads_dont_show},
        {"the loss can be had without a gradient", no_gradient},
        {"a failing product ends the call with its status", a_failing_product},
        {"a bad row is reported", a_bad_row},
        {"the scratch is as large as asked for", scratch_sizes},
        {"a refused call writes nothing", refusals},
        {"no rows are fine", no_rows},
    };
    return CHECK_RUN(tests, argc, argv);
}
