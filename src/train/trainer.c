// SPDX-License-Identifier: MIT
// The trainer: a step, and the loop around it. Read next: docs/TRAINING.md, data.h, adamw.c.
//
// Why a resumed run has the same bits: a step is a function of (weights, moments, step
// number, options, text), all of which the checkpoint holds; the data has no position of its own
// (data.h). The log is on the disk before the checkpoint that refers to it is renamed.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "base/guarded.h"
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/digest.h"
#include "train/evaluate.h"
#include "train/options.h"
#include "train/trainer.h"

// ------------------------------------------------------------------------------------------------
// Open and close

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static char *copy_string(const char *text)
{
    size_t nbytes = strlen(text) + 1;
    char *copy = malloc(nbytes);
    return copy != NULL ? memcpy(copy, text, nbytes) : NULL;
}

static enum tempera_status check_arguments(const struct tempera_model *model,
                                           const struct tempera_tokenizer *tokenizer,
                                           const struct tempera_corpus *corpus,
                                           const struct tempera_train_options *options,
                                           struct tempera_error *error)
{
    const enum tempera_status invalid = TEMPERA_INVALID_ARGUMENT;
    if (model == NULL || tokenizer == NULL || corpus == NULL ||
        (corpus->text == NULL && corpus->nbytes > 0))
        return tempera_fail(error, invalid, "a required argument is NULL");
    TEMPERA_TRY(tempera_train_options_check(options, error));
    const struct tempera_model_config *config = tempera_model_get_config(model);
    if (options->context > config->context_length)
        return tempera_fail(error, invalid,
                            "options.context is %zu, more than the model's context of %zu",
                            options->context, (size_t)config->context_length);
    size_t n_tokens = tempera_tokenizer_n_tokens(tokenizer);
    if (n_tokens > config->vocab_size)
        return tempera_fail(error, invalid, "the tokenizer has %zu tokens, the model only %zu",
                            n_tokens, (size_t)config->vocab_size);
    return TEMPERA_OK;
}

static enum tempera_status copy_paths(struct tempera_trainer *t)
{
    const struct tempera_train_options *o = &t->options;
    if (o->checkpoint_path != NULL)
        t->checkpoint_path = copy_string(o->checkpoint_path);
    if (o->log_path != NULL)
        t->log_path = copy_string(o->log_path);
    if ((o->checkpoint_path != NULL && t->checkpoint_path == NULL) ||
        (o->log_path != NULL && t->log_path == NULL))
        return TEMPERA_OUT_OF_MEMORY;
    t->options.checkpoint_path = t->checkpoint_path;
    t->options.log_path = t->log_path;
    t->log = tempera_loss_log_of(t->log_path);
    return TEMPERA_OK;
}

static enum tempera_status allocate(struct tempera_trainer *t)
{
    size_t B = t->options.batch, T = t->options.context, n_parameters;
    const struct tempera_parameter *table = tempera_model_parameters(t->model, &n_parameters);
    t->weights = tempera_model_weights(t->model, &t->n);
    t->gradients = tempera_alloc(t->n, sizeof(float));
    t->first = tempera_alloc(t->n, sizeof(float));
    t->second = tempera_alloc(t->n, sizeof(float));
    t->tokens = tempera_alloc(2 * B * T, sizeof *t->tokens);
    if (t->gradients == NULL || t->first == NULL || t->second == NULL || t->tokens == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    t->targets = t->tokens + B * T;
    TEMPERA_TRY(tempera_blocks_cut(table, n_parameters, &t->blocks, &t->n_blocks));
    t->block_sums = calloc(t->n_blocks, sizeof *t->block_sums);
    if (t->block_sums == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    return tempera_workspace_open(&t->workspace, t->model, B, T, true);
}

enum tempera_status
tempera_trainer_open(struct tempera_trainer **trainer, struct tempera_model *model,
                     const struct tempera_tokenizer *tokenizer, const struct tempera_corpus *corpus,
                     const struct tempera_train_options *options,
                     const struct tempera_executor *executor, struct tempera_error *error)
{
    tempera_succeed(error);
    if (trainer == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "a required argument is NULL");
    *trainer = NULL;
    TEMPERA_TRY(check_arguments(model, tokenizer, corpus, options, error));
    struct tempera_trainer *t = calloc(1, sizeof *t);
    if (t == NULL)
        return tempera_fail(error, TEMPERA_OUT_OF_MEMORY, "no memory for a trainer");
    t->log.fd = -1;
    t->now = seconds_now;
    t->model = model;
    t->tokenizer = tokenizer;
    t->executor = executor;
    t->options = *options;
    enum tempera_status status =
        tempera_data_open(&t->data, tokenizer, corpus, options->context, options->seed, error);
    if (status != TEMPERA_OK)
        goto fail;
    t->text_digest = tempera_digest(TEMPERA_DIGEST_EMPTY, t->data.stream,
                                    t->data.n_stream * sizeof *t->data.stream);
    t->heldout_digest = tempera_digest(TEMPERA_DIGEST_EMPTY, t->data.heldout,
                                       t->data.n_heldout * sizeof *t->data.heldout);
    t->n_borders = corpus->n_borders;
    status = copy_paths(t);
    if (status == TEMPERA_OK)
        status = allocate(t);
    if (status != TEMPERA_OK) {
        tempera_fail(error, status,
                     "no memory to train this model: choose a smaller batch, "
                     "context or model");
        goto fail;
    }
    *trainer = t;
    return TEMPERA_OK;
fail:
    tempera_trainer_close(&t);
    return status;
}

void tempera_trainer_close(struct tempera_trainer **trainer)
{
    if (trainer == NULL || *trainer == NULL)
        return;
    struct tempera_trainer *t = *trainer;
    tempera_loss_log_close(&t->log);
    tempera_workspace_close(&t->workspace);
    tempera_data_close(&t->data);
    free(t->block_sums);
    free(t->blocks);
    free(t->tokens);
    free(t->second);
    free(t->first);
    free(t->gradients);
    free(t->log_path);
    free(t->checkpoint_path);
    free(t);
    *trainer = NULL;
}

// ------------------------------------------------------------------------------------------------
// A step

static void sum_squares_task(void *context, size_t index)
{
    struct tempera_trainer *t = context;
    t->block_sums[index] = tempera_block_sum_squares(&t->blocks[index], t->gradients);
}

// The norm of all gradients together: sums of fixed blocks, added in order.
static double gradient_norm(struct tempera_trainer *t)
{
    tempera_guarded_for(t->executor, t->n_blocks, sum_squares_task, t);
    double sum = 0;
    for (size_t i = 0; i < t->n_blocks; i++)
        sum += t->block_sums[i];
    return sqrt(sum);
}

struct update {
    struct tempera_trainer *trainer;
    struct tempera_adamw step;
};

static void update_task(void *context, size_t index)
{
    const struct update *update = context;
    struct tempera_trainer *t = update->trainer;
    tempera_adamw_block(&update->step, &t->blocks[index], t->weights, t->gradients, t->first,
                        t->second);
}

static double update_weights(struct tempera_trainer *t, double norm)
{
    const struct tempera_train_options *o = &t->options;
    double rate = tempera_train_learning_rate(o, t->step + 1), clip = (double)o->clip_norm;
    double scale = clip > 0 && norm > clip ? clip / norm : 1;
    struct update update = {t, tempera_adamw_at(rate, (double)o->weight_decay, (double)o->beta1,
                                                (double)o->beta2, (double)o->epsilon, t->step + 1,
                                                scale)};
    tempera_guarded_for(t->executor, t->n_blocks, update_task, &update);
    return rate;
}

static void fill_report(const struct tempera_trainer *t, struct tempera_train_report *report)
{
    size_t n_tokens = t->options.batch * t->options.context;
    report->step = t->step;
    report->steps = t->options.steps;
    report->tokens = t->step * n_tokens;
    report->tokens_per_second = t->step_seconds > 0 ? (double)n_tokens / t->step_seconds : 0;
    report->seconds_left = (double)(t->options.steps - t->step) * t->step_seconds;
}

// Loss and gradient norm of the next batch into *report, gradients into the trainer.
static enum tempera_status backward(struct tempera_trainer *t, struct tempera_train_report *report,
                                    struct tempera_error *error)
{
    size_t B = t->options.batch, T = t->options.context, count;
    tempera_data_batch(&t->data, t->step, B, t->tokens, t->targets);
    enum tempera_status status =
        tempera_model_loss(t->model, t->workspace, t->tokens, t->targets, B, T, t->gradients, 1,
                           &report->loss, &count, t->executor);
    if (status >= TEMPERA_INVALID_ARGUMENT)
        return tempera_fail(error, status, "step %llu failed: %s", (unsigned long long)t->step + 1,
                            tempera_status_text(status));
    report->gradient_norm = gradient_norm(t);
    if (status == TEMPERA_OK && isfinite(report->loss) && isfinite(report->gradient_norm))
        return TEMPERA_OK;
    return tempera_fail(error, TEMPERA_TRAINING_DIVERGED,
                        "at step %llu the loss is %g and the gradient norm %g: train again "
                        "with a smaller learning rate than %g",
                        (unsigned long long)t->step + 1, report->loss, report->gradient_norm,
                        (double)t->options.learning_rate);
}

static enum tempera_status trainer_step_guarded(struct tempera_trainer *t,
                                                struct tempera_train_report *report,
                                                struct tempera_error *error)
{
    tempera_succeed(error);
    if (t == NULL || report == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "a required argument is NULL");
    if (t->step >= t->options.steps)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "all %llu steps are done",
                            (unsigned long long)t->options.steps);
    double began = t->now();
    *report = (struct tempera_train_report){0};
    enum tempera_status status = backward(t, report, error);
    if (status != TEMPERA_OK) {
        memset(t->gradients, 0, t->n * sizeof(float));
        return status;
    }
    report->learning_rate = update_weights(t, report->gradient_norm);
    t->step++;
    double seconds = t->now() - began;
    t->step_seconds = t->step_seconds > 0 ? 0.9 * t->step_seconds + 0.1 * seconds : seconds;
    fill_report(t, report);
    return TEMPERA_OK;
}

enum tempera_status tempera_trainer_step(struct tempera_trainer *t,
                                         struct tempera_train_report *report,
                                         struct tempera_error *error)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = trainer_step_guarded(t, report, error);
    tempera_fpenv_leave(env);
    return status;
}

static enum tempera_status measure_heldout(struct tempera_trainer *t,
                                           struct tempera_train_report *report,
                                           struct tempera_error *error)
{
    double nats;
    enum tempera_status status = tempera_evaluate_tokens(
        t->model, t->workspace, t->data.heldout, t->data.n_heldout, t->data.bos, t->options.batch,
        t->options.context, t->tokens, &nats, NULL, 0, t->executor);
    if (status == TEMPERA_NAN_INPUT)
        return tempera_fail(error, TEMPERA_TRAINING_DIVERGED,
                            "the held-out loss is not finite: try a smaller learning rate");
    if (status != TEMPERA_OK)
        return tempera_fail(error, status, "the held-out text could not be measured: %s",
                            tempera_status_text(status));
    report->evaluated = true;
    report->heldout_loss = nats / (double)t->data.n_heldout;
    report->heldout_bits_per_byte = nats / (log(2) * (double)t->data.heldout_nbytes);
    return TEMPERA_OK;
}

static enum tempera_status trainer_evaluate_guarded(struct tempera_trainer *t,
                                                    struct tempera_train_report *report,
                                                    struct tempera_error *error)
{
    tempera_succeed(error);
    if (t == NULL || report == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "a required argument is NULL");
    if (t->data.n_heldout == 0)
        return tempera_fail(error, TEMPERA_TEXT_TOO_SHORT,
                            "the text is too short to hold out a part of it; give a text to "
                            "measure on");
    *report = (struct tempera_train_report){0};
    fill_report(t, report);
    return measure_heldout(t, report, error);
}

enum tempera_status tempera_trainer_evaluate(struct tempera_trainer *t,
                                             struct tempera_train_report *report,
                                             struct tempera_error *error)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = trainer_evaluate_guarded(t, report, error);
    tempera_fpenv_leave(env);
    return status;
}

// ------------------------------------------------------------------------------------------------
// The loop

static bool is_due(uint64_t step, uint64_t every)
{
    return every > 0 && step % every == 0;
}

// The clock decides when a checkpoint is written, not what is in it.
static bool is_checkpoint_due(const struct tempera_trainer *t)
{
    const double least_pause = 60, writing_shares = 10;
    if (t->options.checkpoint_every != TEMPERA_CHECKPOINT_BY_TIME)
        return is_due(t->step, t->options.checkpoint_every);
    return t->now() - t->saved_at >= fmax(least_pause, writing_shares * t->save_seconds);
}

static enum tempera_status save_timed(struct tempera_trainer *t, struct tempera_error *error)
{
    double began = t->now();
    enum tempera_status status = tempera_trainer_save(t, t->checkpoint_path, error);
    t->saved_at = t->now();
    t->save_seconds = t->saved_at - began;
    return status;
}

// A step with what follows it: evaluation and its line in the log.
static enum tempera_status step_and_log(struct tempera_trainer *t,
                                        struct tempera_train_report *report,
                                        struct tempera_error *error)
{
    TEMPERA_TRY(tempera_trainer_step(t, report, error));
    bool last = t->step == t->options.steps;
    if (t->data.n_heldout > 0 && (last || is_due(t->step, t->options.evaluate_every)))
        TEMPERA_TRY(measure_heldout(t, report, error));
    return t->log.fd >= 0 ? tempera_loss_log_append(&t->log, report, error) : TEMPERA_OK;
}

// Opens what the run writes to, before anything is trained.
static enum tempera_status open_outputs(struct tempera_trainer *t, struct tempera_error *error)
{
    enum tempera_status status = TEMPERA_OK;
    if (t->checkpoint_path != NULL)
        status = tempera_checkpoint_check(t->checkpoint_path, error);
    if (status == TEMPERA_OK && t->log.path != NULL)
        status = t->log.fd < 0 ? tempera_loss_log_create(&t->log, error)
                               : tempera_loss_log_catch_up(&t->log, error);
    if (status == TEMPERA_OK && t->is_stale && t->checkpoint_path != NULL)
        status = tempera_trainer_save(t, t->checkpoint_path, error);
    t->is_stale &= status != TEMPERA_OK;
    return status;
}

// A log that can't be written ends the run, but a state that has the line can still be saved.
static enum tempera_status save_after_log_failed(struct tempera_trainer *t,
                                                 enum tempera_status failed,
                                                 struct tempera_error *error)
{
    struct tempera_error saving = {0};
    char message[sizeof saving.message] = "";
    if (t->checkpoint_path == NULL)
        return failed;
    enum tempera_status status = tempera_trainer_save(t, t->checkpoint_path, &saving);
    if (error != NULL)
        memcpy(message, error->message, sizeof message);
    return tempera_fail(error, failed, "%.110s; %s%.100s", message,
                        status == TEMPERA_OK ? "all that was trained is in "
                                             : "no checkpoint either: ",
                        status == TEMPERA_OK ? t->checkpoint_path : saving.message);
}

enum tempera_status tempera_trainer_run(struct tempera_trainer *t,
                                        const struct tempera_train_callbacks *callbacks,
                                        struct tempera_error *error)
{
    tempera_succeed(error);
    if (t == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "a required argument is NULL");
    static const struct tempera_train_callbacks none;
    const struct tempera_train_callbacks *calls = callbacks != NULL ? callbacks : &none;
    enum tempera_status status = open_outputs(t, error);
    bool stop = false;
    t->saved_at = t->now();
    while (status == TEMPERA_OK && !stop && t->step < t->options.steps) {
        struct tempera_train_report report;
        struct tempera_fpenv env = tempera_fpenv_enter(); // of the line that is logged, too
        status = step_and_log(t, &report, error);
        tempera_fpenv_leave(env);
        if (status != TEMPERA_OK && t->log.n_pending > 0)
            status = save_after_log_failed(t, status, error);
        if (status != TEMPERA_OK)
            break;
        stop = calls->progress != NULL && !calls->progress(calls->context, &report);
        if (calls->sample != NULL && !stop && is_due(t->step, t->options.sample_every))
            calls->sample(calls->context, &report);
        bool save = stop || t->step == t->options.steps || is_checkpoint_due(t);
        if (save && t->checkpoint_path != NULL)
            status = save_timed(t, error);
    }
    bool early = stop && t->step < t->options.steps;
    return status == TEMPERA_OK && early ? TEMPERA_STOPPED : status;
}
