// SPDX-License-Identifier: MIT
// The loss of a model on a text, in nats a token and in bits a byte. Bits a byte compare models
// whose tokenizers differ: a larger vocabulary makes fewer, harder tokens of the same bytes.
#include "train/evaluate.h"

#include <math.h>
#include <stdlib.h>

#include <tempera/loss.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "base/memory.h"
#include "model/diagnose.h"
#include "model/measure.h"
#include "train/trainer.h"

enum { BATCH = 8 };

// Window by window: what the model reads is `bos` and the tokens but the last, what it has to
// predict are the tokens. A last window that isn't full is padded with targets that don't count.
static void fill_window(const int32_t *tokens, size_t n, int32_t bos, size_t context,
                        int32_t *inputs, int32_t *targets)
{
    for (size_t t = 0; t < context; t++) {
        inputs[t] = t == 0 ? bos : t <= n ? tokens[t - 1] : bos;
        targets[t] = t < n ? tokens[t] : TEMPERA_IGNORE_INDEX;
    }
}

struct watch {
    tempera_evaluate_progress *progress; // may be NULL
    void *context;
};

static bool goes_on(const struct watch *watch, size_t n_done, size_t n)
{
    return watch->progress == NULL || watch->progress(watch->context, n_done, n);
}

static enum tempera_status
measure_watched(const struct tempera_model *model, struct tempera_workspace *workspace,
                const int32_t *tokens, size_t n, int32_t bos, size_t batch, size_t context,
                int32_t *scratch, double *nats, struct tempera_temperature_sums *sums,
                size_t n_sums, const struct watch *watch, const struct tempera_executor *executor)
{
    int32_t *inputs = scratch, *targets = scratch + batch * context;
    *nats = 0;
    for (size_t at = 0; at < n;) {
        size_t rows = 0;
        if (!goes_on(watch, at, n))
            return TEMPERA_STOPPED;
        for (; rows < batch && at < n; rows++) {
            size_t length = n - at < context ? n - at : context;
            fill_window(tokens + at, length, bos, context, inputs + rows * context,
                        targets + rows * context);
            at += length;
        }
        enum tempera_status status = tempera_model_measure(model, workspace, inputs, targets, rows,
                                                           context, nats, sums, n_sums, executor);
        if (status >= TEMPERA_INVALID_ARGUMENT || status == TEMPERA_NAN_INPUT)
            return status;
    }
    if (!goes_on(watch, n, n))
        return TEMPERA_STOPPED;
    return isfinite(*nats) ? TEMPERA_OK : TEMPERA_NAN_INPUT; // damaged weights give NaN
}

enum tempera_status tempera_evaluate_tokens(const struct tempera_model *model,
                                            struct tempera_workspace *workspace,
                                            const int32_t *tokens, size_t n, int32_t bos,
                                            size_t batch, size_t context, int32_t *scratch,
                                            double *nats, struct tempera_temperature_sums *sums,
                                            size_t n_sums, const struct tempera_executor *executor)
{
    const struct watch nobody = {NULL, NULL};
    return measure_watched(model, workspace, tokens, n, bos, batch, context, scratch, nats, sums,
                           n_sums, &nobody, executor);
}

// Around the usual best temperature of a trained model, each is 2^(1/3) times the one before, close
// enough to interpolate. More of them would cost time.
static const double temperatures[] = {0.25,       0.5,        0.62996052, 0.79370053, 1,
                                      1.25992105, 1.58740105, 2,          4};
enum { N_TEMPERATURES = sizeof temperatures / sizeof *temperatures };

static void fill_evaluation(struct tempera_evaluation *evaluation, double nats,
                            const struct tempera_temperature_sums *sums, size_t n_tokens,
                            size_t nbytes)
{
    struct tempera_temperature_fit fit;
    tempera_fit_temperature_to_sums(sums, N_TEMPERATURES, &fit);
    double bits = log(2) * (double)nbytes;
    evaluation->loss = nats / (double)n_tokens;
    evaluation->perplexity = exp(evaluation->loss);
    evaluation->bits_per_byte = nats / bits;
    evaluation->tokens = n_tokens;
    evaluation->bytes = nbytes;
    evaluation->best_temperature = fit.temperature;
    evaluation->best_temperature_border = fit.border;
    evaluation->bits_per_byte_at_best_temperature = fit.loss * (double)fit.count / bits;
}

static enum tempera_status check(const struct tempera_model *model,
                                 const struct tempera_tokenizer *tokenizer, const char *text,
                                 size_t nbytes, size_t context, struct tempera_error *error)
{
    if (model == NULL || tokenizer == NULL || (text == NULL && nbytes > 0))
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "a required argument is NULL");
    if (nbytes == 0)
        return tempera_fail(error, TEMPERA_TEXT_TOO_SHORT, "the text is empty");
    const struct tempera_model_config *config = tempera_model_get_config(model);
    if (context > config->context_length)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "a context of %zu is more than the model's %zu", context,
                            (size_t)config->context_length);
    size_t n_tokens = tempera_tokenizer_n_tokens(tokenizer);
    if (n_tokens > config->vocab_size)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "the tokenizer has %zu tokens, the model only %zu", n_tokens,
                            (size_t)config->vocab_size);
    if (tempera_tokenizer_bos(tokenizer) < 0)
        return tempera_fail(error, TEMPERA_UNSUPPORTED,
                            "the tokenizer has no beginning-of-text token");
    return TEMPERA_OK;
}

// Memory for attention grows with the square of it, so a context of 100,000 cannot be measured.
static size_t default_context(const struct tempera_model *model)
{
    size_t most = tempera_model_get_config(model)->context_length;
    return most < TEMPERA_EVALUATE_CONTEXT ? most : TEMPERA_EVALUATE_CONTEXT;
}

static enum tempera_status
evaluate_guarded(const struct tempera_model *model, const struct tempera_tokenizer *tokenizer,
                 const char *text, size_t nbytes, size_t context, const struct watch *watch,
                 struct tempera_evaluation *evaluation, const struct tempera_executor *executor,
                 struct tempera_error *error)
{
    tempera_succeed(error);
    if (evaluation == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "a required argument is NULL");
    TEMPERA_TRY(check(model, tokenizer, text, nbytes, context, error));
    if (context == 0)
        context = default_context(model);
    struct tempera_error cause = {.message = "the model's scores are not finite"};
    struct tempera_workspace *workspace = NULL;
    int32_t *ids = NULL, *scratch = NULL;
    size_t n_ids;
    enum tempera_status status =
        tempera_data_encode(tokenizer, text, nbytes, NULL, 0, &ids, &n_ids);
    if (status != TEMPERA_OK)
        goto done;
    if (n_ids < context)
        context = n_ids;
    size_t batch = (n_ids + context - 1) / context;
    batch = batch < BATCH ? batch : BATCH;
    status = tempera_workspace_open(&workspace, model, batch, context, false);
    if (status != TEMPERA_OK)
        goto done;
    scratch = tempera_alloc(2 * batch * context, sizeof *scratch);
    if (scratch == NULL) {
        status = TEMPERA_OUT_OF_MEMORY;
        goto done;
    }
    double nats;
    struct tempera_temperature_sums sums[N_TEMPERATURES] = {{0}};
    for (size_t k = 0; k < N_TEMPERATURES; k++)
        sums[k].temperature = temperatures[k];
    status = measure_watched(model, workspace, ids, n_ids, tempera_tokenizer_bos(tokenizer), batch,
                             context, scratch, &nats, sums, N_TEMPERATURES, watch, executor);
    if (status == TEMPERA_OK)
        fill_evaluation(evaluation, nats, sums, n_ids, nbytes);
    if (status == TEMPERA_NAN_INPUT) // the scratch begins with the tokens that gave it
        tempera_model_diagnose(model, workspace, scratch, batch, context, executor, &cause);
done:
    free(scratch);
    free(ids);
    tempera_workspace_close(&workspace);
    if (status == TEMPERA_NAN_INPUT)
        return tempera_fail(error, status, "%s", cause.message);
    if (status == TEMPERA_OUT_OF_MEMORY)
        return tempera_fail(error, status,
                            "no memory to measure in windows of %zu tokens: give a smaller "
                            "context",
                            context);
    if (status == TEMPERA_STOPPED)
        return tempera_fail(error, status, "stopped before all of the text was measured");
    if (status != TEMPERA_OK)
        return tempera_fail(error, status, "the text could not be measured: %s",
                            tempera_status_text(status));
    return TEMPERA_OK;
}

enum tempera_status tempera_evaluate(const struct tempera_model *model,
                                     const struct tempera_tokenizer *tokenizer, const char *text,
                                     size_t nbytes, size_t context,
                                     tempera_evaluate_progress *progress, void *progress_context,
                                     struct tempera_evaluation *evaluation,
                                     const struct tempera_executor *executor,
                                     struct tempera_error *error)
{
    const struct watch watch = {progress, progress_context};
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = evaluate_guarded(model, tokenizer, text, nbytes, context, &watch,
                                                  evaluation, executor, error);
    tempera_fpenv_leave(env);
    return status;
}
