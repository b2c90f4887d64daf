// SPDX-License-Identifier: MIT
// All calls beside tempera_sample give the same bits on every instruction set and under any
// floating-point modes of the caller, which they find again.
#include "sampler_setup.h"

#include <fenv.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include <tempera/decoding.h>
#include <tempera/explain.h>

#include "base/half.h"
#include "kernels/kernels.h"

enum { N = 5003, N_STAGES = 6, N_TOKENS = 5, N_TOP = 7, N_DRAFTED = 3, N_DRAWS = 9, WIDTH = 12 };

static float z[(N_DRAFTED + 1) * N], q[N_DRAFTED * N];
static uint16_t half[(N_DRAFTED + 1) * N];

// What the calls give.
struct answers {
    struct tempera_stage_report stages[N_STAGES + 1];
    struct tempera_token_report tokens[N_TOKENS];
    struct tempera_token_logprob named[N_TOKENS], top[2][N_TOP];
    struct tempera_sample_result explained, raced, many[N_DRAWS], distinct[N_DRAWS];
    struct tempera_sample_result speculated[N_DRAFTED + 1];
    struct tempera_beam beams[WIDTH];
    double scores[3];
    float guided[(N_DRAFTED + 1) * N];
    size_t n_drawn, n_tokens, n_found;
};

static struct answers usual, again;

static void fill(void)
{
    for (size_t i = 0; i < (N_DRAFTED + 1) * N; i++) {
        half[i] = tempera_f32_to_f16((float)check_random_between(-9, 9));
        if (i % 11 == 0)
            half[i] = 1; // a denormal
        z[i] = tempera_f16_to_f32(half[i]) * (i % 13 == 0 ? 0x1p-125f : 1);
    }
    for (size_t i = 0; i < N_DRAFTED * N; i++)
        q[i] = i % N == 17 ? 0.5f : (float)check_random_between(0, 1) * 1e-4f;
}

static void ask(struct answers *a)
{
    static const int32_t ids[N_TOKENS] = {0, 17, 99, 5000, 2500}, drafted[N_DRAFTED] = {17, 17, 17};
    const struct tempera_stage stages[N_STAGES] = {
        tempera_stage_temperature(0.7f), tempera_stage_top_p(0.99f),
        tempera_stage_typical(0.95f),    tempera_stage_smoothing(0.1f, 2),
        tempera_stage_temperature(1.3f), tempera_stage_mirostat_2(5, 0.1f)};
    const struct tempera_sampler sampler = tempera_sampler_of(stages, N_STAGES);
    struct tempera_sampler race = sampler;
    race.draw = TEMPERA_DRAW_RACE;
    struct tempera_logprobs reports[2] = {
        {sizeof *reports, ids, N_TOKENS, a->named, N_TOP, TEMPERA_LOGPROB_ORDER_RAW, a->top[0], 0},
        {sizeof *reports, NULL, 0, NULL, N_TOP, TEMPERA_LOGPROB_ORDER_FINAL, a->top[1], 0}};
    struct tempera_sample_row row = {
        .sampler = &sampler, .seed = 5, .want = 3, .logprobs = &reports[0]};
    const struct tempera_explanation to = {sizeof to, a->stages, N_STAGES + 1,
                                           ids,       a->tokens, N_TOKENS};
    struct tempera_matrix wide = tempera_matrix_f32(z, N_DRAFTED + 1, N), one = wide;
    struct tempera_matrix narrow = {half, TEMPERA_F16, 1, N, N}, all_narrow = narrow;
    one.rows = 1;
    all_narrow.rows = N_DRAFTED + 1;
    size_t nbytes = tempera_explain_scratch_nbytes(&one, &sampler);
    void *scratch = aligned_alloc(64, nbytes);
    memset(a, 0, sizeof *a);
    CHECK_STATUS(tempera_explain(&one, &row, &to, &a->explained, scratch, nbytes), TEMPERA_OK);
    row.logprobs = &reports[1];
    CHECK_STATUS(tempera_sample_many(&narrow, &row, N_DRAWS, a->many, scratch, nbytes), TEMPERA_OK);
    row.logprobs = NULL;
    CHECK_STATUS(
        tempera_sample_distinct(&one, &row, N_DRAWS, a->distinct, &a->n_drawn, scratch, nbytes),
        TEMPERA_OK);
    row.sampler = &race;
    CHECK_STATUS(tempera_sample(&narrow, &row, &a->raced, scratch, nbytes, NULL), TEMPERA_OK);
    struct tempera_sample_row rows[N_DRAFTED + 1];
    for (size_t i = 0; i <= N_DRAFTED; i++)
        rows[i] = row;
    struct tempera_matrix draft = tempera_matrix_f32(q, N_DRAFTED, N);
    CHECK_STATUS(tempera_speculative_verify(&wide, rows, NULL, drafted, N_DRAFTED, &draft,
                                            a->speculated, &a->n_tokens, scratch, nbytes),
                 TEMPERA_OK);
    const double logprobs[N_DRAFTED + 1] = {-1, -0.5, -1e-310, -2};
    CHECK_STATUS(tempera_beam_step(&wide, logprobs, NULL, a->beams, WIDTH, &a->n_found),
                 TEMPERA_OK);
    for (size_t i = 0; i < 3; i++)
        a->scores[i] = tempera_beam_score(-1.25, 3 + i, 0.7);
    struct tempera_matrix guided = tempera_matrix_f32(a->guided, N_DRAFTED + 1, N);
    CHECK_STATUS(tempera_guide(&all_narrow, &wide, 1.7f, &guided, NULL, NULL), TEMPERA_OK);
    free(scratch);
}

static void every_instruction_set(void)
{
    const struct tempera_kernels *before = tempera_kernels_active(), *table;
    fill();
    ask(&usual);
    CHECK(usual.n_drawn == N_DRAWS && usual.n_found == WIDTH && usual.n_tokens >= 1);
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++) {
        tempera_kernels_use(table);
        ask(&again);
        if (!CHECK_MEM(&again, &usual, sizeof usual))
            printf("# on %s\n", table->name);
    }
    tempera_kernels_use(before);
}

static void floating_point_modes(void)
{
    const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    fill();
    ask(&usual);
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        fesetround(modes[i]);
        ask(&again);
        int found = fegetround();
        fesetround(FE_TONEAREST);
        CHECK_EQ_INT(found, modes[i]);
        CHECK_MEM(&again, &usual, sizeof usual);
    }
#if defined(__SSE2__)
    const unsigned flush = 0x8040, mxcsr = _mm_getcsr(); // flush to zero, denormals are zero
    _mm_setcsr(mxcsr | flush);
    ask(&again);
    unsigned found = _mm_getcsr();
    _mm_setcsr(mxcsr);
    CHECK_EQ_U64(found & flush, flush);
    CHECK_MEM(&again, &usual, sizeof usual);
#endif
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"every instruction set gives the same bits", every_instruction_set},
        {"the caller's floating-point modes change no bit", floating_point_modes},
    };
    return CHECK_RUN(tests, argc, argv);
}
