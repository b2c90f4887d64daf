// SPDX-License-Identifier: MIT
// The caller's rounding mode, and flushing of denormals, change no bit of a model, of its text, of
// an evaluation or of a training step, on no thread, and are found again afterwards.
#include "check.h"

#include <fenv.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include <tempera/parallel.h>
#include <tempera/train.h>

enum { VOCAB = 257, N_TOKENS = 12, WEIGHTS = 40000 };

static const char text[] =
    "The caller's modes are the caller's own, and none of a result's. In the "
    "beginning was the rounding, and the rounding was to nearest, even so.";

struct results {
    float weights[WEIGHTS], trained[WEIGHTS];
    size_t n_weights;
    int32_t tokens[N_TOKENS];
    float logprobs[N_TOKENS], entropies[N_TOKENS];
    size_t n_tokens;
    struct tempera_evaluation evaluation;
    struct tempera_train_report report, heldout;
    struct tempera_train_options plan;
    double loss;
    unsigned callback_modes;
};

// Rounding and flushing; fegetround looks at another unit of the processor.
static unsigned modes_now(void)
{
#if defined(__SSE2__)
    return _mm_getcsr() & 0xE040;
#else
    return (unsigned)fegetround();
#endif
}

static bool keep_token(void *context, const struct tempera_generated *generated)
{
    struct results *r = context;
    r->callback_modes = modes_now();
    if (generated->token < 0)
        return true;
    r->tokens[r->n_tokens] = generated->token;
    r->logprobs[r->n_tokens] = generated->raw_logprob;
    r->entropies[r->n_tokens++] = generated->entropy_bits;
    return true;
}

static struct tempera_model_config small_config(void)
{
    struct tempera_model_config config = tempera_model_config_default();
    config.vocab_size = VOCAB;
    config.context_length = 24;
    config.n_layers = 2;
    config.dim = 32;
    config.n_heads = 4;
    config.n_kv_heads = 2;
    config.hidden_dim = 48;
    return config;
}

// One step, a held-out loss and a plan. The report's times are the clock's.
static void train(struct results *r, struct tempera_model *model,
                  const struct tempera_tokenizer *tokenizer,
                  const struct tempera_executor *executor)
{
    struct tempera_trainer *trainer = NULL;
    struct tempera_train_options options = tempera_train_options_default();
    struct tempera_model_config config = small_config();
    const struct tempera_corpus corpus = {.text = text, .nbytes = sizeof text - 1};
    size_t n;
    options.steps = 3;
    options.batch = 2;
    options.context = 16;
    options.warmup_steps = 2;
    options.clip_norm = 0.01f;
    struct tempera_error error = {0};
    CHECK_STATUS(
        tempera_trainer_open(&trainer, model, tokenizer, &corpus, &options, executor, &error),
        TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_step(trainer, &r->report, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_run(trainer, NULL, &error), TEMPERA_OK);
    enum tempera_status status = tempera_trainer_evaluate(trainer, &r->heldout, &error);
    CHECK(status == TEMPERA_OK || status == TEMPERA_TEXT_TOO_SHORT);
    tempera_trainer_close(&trainer);
    const float *weights = tempera_model_weights(model, &n);
    memcpy(r->trained, weights, n * sizeof *weights);
    r->plan = tempera_train_options_default();
    r->plan.steps = r->plan.batch = r->plan.context = 0;
    r->plan.learning_rate = 0;
    CHECK_STATUS(tempera_train_plan(123457, 1.7, 3, &config, &r->plan, &error), TEMPERA_OK);
}

static void run_all(struct results *r, const struct tempera_executor *executor)
{
    struct tempera_model_config config = small_config();
    struct tempera_generate_options options = tempera_generate_options_default();
    struct tempera_model *model = NULL;
    struct tempera_tokenizer *tokenizer = NULL;
    struct tempera_decoder *decoder = NULL;
    struct tempera_workspace *workspace = NULL;
    int32_t tokens[16], targets[16];
    memset(r, 0, sizeof *r);
    CHECK_STATUS(tempera_tokenizer_bytes(&tokenizer), TEMPERA_OK);
    CHECK_STATUS(tempera_model_create(&model, &config, 3, NULL), TEMPERA_OK);
    float *weights = tempera_model_weights(model, &r->n_weights);
    if (!CHECK(r->n_weights <= WEIGHTS))
        return;
    memcpy(r->weights, weights, r->n_weights * sizeof *weights);
    for (size_t i = 0; i < r->n_weights; i++) // exact in any mode
        weights[i] = i % 97 == 0 ? 0x1.8p-140f : weights[i] * 8;
    options.max_tokens = N_TOKENS;
    options.seed = 4;
    CHECK_STATUS(tempera_decoder_open(&decoder, model, 0, executor), TEMPERA_OK);
    CHECK_STATUS(
        tempera_generate(decoder, tokenizer, "The", 3, &options, keep_token, r, NULL, NULL),
        TEMPERA_OK);
    CHECK_STATUS(tempera_evaluate(model, tokenizer, text, sizeof text - 1, 0, NULL, NULL,
                                  &r->evaluation, executor, NULL),
                 TEMPERA_OK);
    for (int32_t i = 0; i < 16; i++) {
        tokens[i] = text[i];
        targets[i] = text[i + 1];
    }
    CHECK_STATUS(tempera_workspace_open(&workspace, model, 1, 16, false), TEMPERA_OK);
    CHECK_STATUS(tempera_model_loss(model, workspace, tokens, targets, 1, 16, NULL, 1, &r->loss,
                                    NULL, executor),
                 TEMPERA_OK);
    train(r, model, tokenizer, executor);
    tempera_workspace_close(&workspace);
    tempera_decoder_close(&decoder);
    tempera_model_close(&model);
    tempera_tokenizer_close(&tokenizer);
}

static void check_same(const struct results *got, const struct results *expected)
{
    CHECK_MEM(got->weights, expected->weights, sizeof got->weights);
    CHECK_EQ_SIZE(got->n_tokens, expected->n_tokens);
    CHECK_MEM(got->tokens, expected->tokens, sizeof got->tokens);
    CHECK_MEM(got->logprobs, expected->logprobs, sizeof got->logprobs);
    CHECK_MEM(got->entropies, expected->entropies, sizeof got->entropies);
    CHECK_MEM(&got->evaluation, &expected->evaluation, sizeof got->evaluation);
    CHECK_MEM(&got->loss, &expected->loss, sizeof got->loss);
    CHECK_MEM(got->trained, expected->trained, sizeof got->trained);
    CHECK_MEM(&got->report.loss, &expected->report.loss, sizeof got->report.loss);
    CHECK_MEM(&got->report.gradient_norm, &expected->report.gradient_norm, sizeof(double));
    CHECK_MEM(&got->report.learning_rate, &expected->report.learning_rate, sizeof(double));
    CHECK_MEM(&got->heldout.heldout_loss, &expected->heldout.heldout_loss, sizeof(double));
    CHECK_EQ_U64(got->plan.steps, expected->plan.steps);
    CHECK(got->plan.learning_rate == expected->plan.learning_rate);
}

static struct results expected, got;

// Threads inherit the modes of the thread that starts them.
static void in_modes(int rounding, unsigned flush)
{
    struct tempera_thread_pool *pool = NULL;
#if defined(__SSE2__)
    const unsigned before = _mm_getcsr();
    fesetround(rounding);
    _mm_setcsr(_mm_getcsr() | flush);
#else
    (void)flush;
    fesetround(rounding);
#endif
    const unsigned modes = modes_now();
    enum tempera_status status = tempera_thread_pool_open(&pool, 3);
    run_all(&got, NULL);
    bool kept = modes_now() == modes && got.callback_modes == modes;
    static struct results on_threads;
    run_all(&on_threads, tempera_thread_pool_executor(pool));
    kept = kept && modes_now() == modes;
#if defined(__SSE2__)
    _mm_setcsr(before);
#endif
    fesetround(FE_TONEAREST);
    CHECK_STATUS(status, TEMPERA_OK);
    CHECK(kept);
    check_same(&got, &expected);
    check_same(&on_threads, &expected);
    tempera_thread_pool_close(&pool);
}

static void rounding_modes(void)
{
    run_all(&expected, NULL);
    CHECK(expected.n_tokens > 2);
    in_modes(FE_TONEAREST, 0);
    in_modes(FE_UPWARD, 0);
    in_modes(FE_TOWARDZERO, 0);
}

static void denormals(void)
{
    run_all(&expected, NULL);
    in_modes(FE_TONEAREST, 0x8040); // flush to zero, denormals are zero
    in_modes(FE_DOWNWARD, 0x8040);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"the caller's rounding mode changes no bit", rounding_modes},
        {"flushing denormals changes no bit", denormals},
    };
    return CHECK_RUN(tests, argc, argv);
}
