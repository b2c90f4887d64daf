// SPDX-License-Identifier: MIT
// Logits of 16 bits give the bits that the same numbers in f32 give; batches of them, with strides,
// masks, states and reports of their own, give what each row gives alone.
#include "sampler_setup.h"

#include <tempera/parallel.h>

#include "base/half.h"

enum { ROWS = 24, COLS = 1003, STRIDE = COLS + 5, N_IDS = 3, N_TOP = 4 };

static uint16_t half[ROWS * STRIDE];
static float wide[ROWS * STRIDE];

static struct tempera_sample_row rows[ROWS];
static struct tempera_logprobs reports[ROWS];
static struct tempera_token_logprob entries[ROWS][N_IDS + N_TOP];
static const int32_t ids[N_IDS] = {3, COLS - 1, 40};

// What a batch gives.
struct answer {
    struct tempera_sample_result results[ROWS];
    float probs[ROWS * COLS];
    struct tempera_token_logprob entries[ROWS][N_IDS + N_TOP];
    size_t n_top[ROWS];
};

static struct answer expected, got;

static float widened(uint16_t value, enum tempera_dtype dtype)
{
    return dtype == TEMPERA_F16 ? tempera_f16_to_f32(value) : tempera_bf16_to_f32(value);
}

// Rows of ordinary scores, ties, denormals, infinities, all masked, and one with a NaN.
static void fill(enum tempera_dtype dtype)
{
    for (size_t i = 0; i < ROWS * STRIDE; i++) {
        size_t r = i / STRIDE;
        float value = (float)check_random_between(-9, 9);
        half[i] = dtype == TEMPERA_F16 ? tempera_f32_to_f16(value) : tempera_f32_to_bf16(value);
        if (r == 3)
            half[i] = (uint16_t)check_random_below(50); // denormals
        if (r == 5 || (r == 6 && i % 7 == 0))
            half[i] = dtype == TEMPERA_F16 ? 0xFC00 : 0xFF80; // -inf
        if (r == 7 && i % 9 == 0)
            half[i] = dtype == TEMPERA_F16 ? 0x7C00 : 0x7F80;              // +inf
        if ((r == 9 && i % STRIDE == 50) || (r == 10 && i % STRIDE == 33)) // allowed, and masked
            half[i] = 0x7FFF;
        wide[i] = widened(half[i], dtype);
    }
}

static void set_rows(const struct tempera_sampler samplers[3],
                     struct tempera_sampler_state *const states[3])
{
    static const uint32_t mask[COLS / 32 + 1] = {0xFFFF0F0F, 0xFF << 8,  0, 0xF0F0,
                                                 0,          0xFFFFFFFF, 9};
    for (size_t r = 0; r < ROWS; r++) {
        rows[r] = (struct tempera_sample_row){
            .sampler = &samplers[r % 3],
            .state = r % 2 ? states[r % 3] : NULL,
            .seed = r / 5,
            .stream = (uint32_t)r,
            .want = (uint32_t)r % 4,
        };
        if (r == 10 || r % 4 == 3) {
            rows[r].mask = mask;
            rows[r].mask_nbits = r % 8 == 3 ? 200 : COLS;
        }
        reports[r] = (struct tempera_logprobs){
            sizeof *reports, ids, N_IDS, entries[r], N_TOP, r % 2, entries[r] + N_IDS, 0};
        if (r % 5 != 1)
            rows[r].logprobs = &reports[r];
    }
}

static void run(const struct tempera_matrix *logits, const struct tempera_executor *executor,
                struct answer *answer)
{
    memset(answer, 0, sizeof *answer);
    memset(entries, 0, sizeof entries);
    struct tempera_matrix probs = tempera_matrix_f32(answer->probs, ROWS, COLS);
    size_t nbytes;
    void *scratch = new_scratch(logits, rows[2].sampler, executor, &nbytes);
    CHECK_STATUS(
        tempera_sampler_probs(logits, rows, &probs, answer->results, scratch, nbytes, executor),
        TEMPERA_NAN_INPUT);
    struct tempera_sample_result again[ROWS];
    CHECK_STATUS(tempera_sample(logits, rows, again, scratch, nbytes, executor), TEMPERA_NAN_INPUT);
    CHECK_MEM(again, answer->results, sizeof again);
    memcpy(answer->entries, entries, sizeof entries);
    for (size_t r = 0; r < ROWS; r++)
        answer->n_top[r] = reports[r].n_top;
    free(scratch);
}

// Each row by itself, in f32.
static void run_alone(struct answer *answer)
{
    memset(answer, 0, sizeof *answer);
    memset(entries, 0, sizeof entries);
    for (size_t r = 0; r < ROWS; r++) {
        answer->results[r] =
            probs_of_row(wide + r * STRIDE, COLS, &rows[r], answer->probs + r * COLS);
        answer->n_top[r] = reports[r].n_top;
    }
    memcpy(answer->entries, entries, sizeof entries);
}

static void check_same(const struct tempera_matrix *logits, const struct tempera_executor *executor)
{
    run(logits, executor, &got);
    CHECK_MEM(got.results, expected.results, sizeof got.results);
    CHECK_MEM(got.probs, expected.probs, sizeof got.probs);
    CHECK_MEM(got.entries, expected.entries, sizeof got.entries);
    CHECK_MEM(got.n_top, expected.n_top, sizeof got.n_top);
}

static void check_dtype(enum tempera_dtype dtype)
{
    const struct tempera_stage stages[] = {tempera_stage_penalties(1.2f, 0.1f, 0.1f, 20),
                                           tempera_stage_top_p(0.9f),
                                           tempera_stage_temperature(1.2f), tempera_stage_top_k(5)};
    const struct tempera_stage learning[] = {tempera_stage_temperature(1.2f),
                                             tempera_stage_adaptive_p(0.2f, 0.9f)};
    struct tempera_sampler samplers[3] = {tempera_sampler_of(stages, 4),
                                          tempera_sampler_of(NULL, 0),
                                          tempera_sampler_of(learning, 2)};
    samplers[1].draw = TEMPERA_DRAW_RACE;
    const int32_t history[] = {1, 2, 3, 2, 400, 7};
    struct tempera_sampler_state *states[3];
    for (size_t i = 0; i < 3; i++)
        states[i] = new_state(&samplers[i], history, 2 * i);
    fill(dtype);
    set_rows(samplers, states);
    run_alone(&expected);
    CHECK_STATUS(expected.results[5].status, TEMPERA_ALL_MASKED);
    CHECK_STATUS(expected.results[9].status, TEMPERA_NAN_INPUT);
    CHECK_STATUS(expected.results[10].status, TEMPERA_OK);
    struct tempera_matrix logits = {half, dtype, ROWS, COLS, STRIDE};
    struct tempera_matrix in_f32 = {wide, TEMPERA_F32, ROWS, COLS, STRIDE};
    check_same(&logits, NULL);
    for (size_t n_threads = 1; n_threads <= 3; n_threads++) {
        struct tempera_thread_pool *pool;
        CHECK_STATUS(tempera_thread_pool_open(&pool, n_threads), TEMPERA_OK);
        check_same(&logits, tempera_thread_pool_executor(pool));
        check_same(&in_f32, tempera_thread_pool_executor(pool));
        tempera_thread_pool_close(&pool);
    }
    for (size_t i = 0; i < 3; i++)
        free(states[i]);
}

static void f16(void)
{
    check_dtype(TEMPERA_F16);
}

static void bf16(void)
{
    check_dtype(TEMPERA_BF16);
}

// No more than f32 needs.
static void scratch_of_16_bits(void)
{
    struct tempera_matrix logits = {half, TEMPERA_F32, 2, COLS, STRIDE};
    struct tempera_sampler sampler = tempera_sampler_of(NULL, 0);
    size_t nbytes = tempera_sample_scratch_nbytes(&logits, &sampler, NULL);
    logits.dtype = TEMPERA_BF16;
    CHECK_EQ_SIZE(tempera_sample_scratch_nbytes(&logits, &sampler, NULL), nbytes);
    struct tempera_sample_row two[2] = {{.sampler = &sampler}, {.sampler = &sampler}};
    struct tempera_sample_result results[2];
    void *scratch = aligned_alloc(64, nbytes);
    fill(TEMPERA_BF16);
    CHECK_STATUS(tempera_sample(&logits, two, results, scratch, nbytes - 1, NULL),
                 TEMPERA_BUFFER_TOO_SMALL);
    CHECK_STATUS(tempera_sample(&logits, two, results, scratch, nbytes, NULL), TEMPERA_OK);
    // An output at the end of the matrix
    CHECK_STATUS(
        tempera_sample(&logits, two, (void *)(half + STRIDE + COLS - 8), scratch, nbytes, NULL),
        TEMPERA_INVALID_ARGUMENT);
    logits.dtype = (enum tempera_dtype)7;
    CHECK_EQ_SIZE(tempera_sample_scratch_nbytes(&logits, &sampler, NULL), 0);
    CHECK_STATUS(tempera_sample(&logits, two, results, scratch, nbytes, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    free(scratch);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"f16 rows give what f32 rows give", f16},
        {"bf16 rows give what f32 rows give", bf16},
        {"rows of 16 bits need the scratch that is asked for", scratch_of_16_bits},
    };
    return CHECK_RUN(tests, argc, argv);
}
