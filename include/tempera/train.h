// SPDX-License-Identifier: MIT
// Training a model on a text: batches, AdamW, schedule, evaluation, checkpoint and resume.
//
//     tempera_trainer_open(&trainer, model, tokenizer, text, ..., &options, executor, &error);
//     tempera_trainer_run(trainer, callbacks, &error);      // or _step() yourself
//     tempera_model_save("my.gguf", model, tokenizer, TEMPERA_F16, "my", &error);
//
// Same model, text, options and build: the same losses and weights bit for bit, at any number of
// threads, and whether or not the run was killed and resumed on the way.
#ifndef TEMPERA_TRAIN_H
#define TEMPERA_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/calibration.h>
#include <tempera/model.h>
#include <tempera/parallel.h>
#include <tempera/status.h>
#include <tempera/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

// For checkpoint_every. A checkpoint is always written at the end, and when the caller stops the
// training.
enum {
    // After a minute, or ten times what the last write took, whichever is longer. A kill costs at
    // most that, or one step.
    TEMPERA_CHECKPOINT_BY_TIME = 0,
};
#define TEMPERA_CHECKPOINT_NEVER UINT64_MAX

struct tempera_train_options {
    size_t struct_size;
    uint64_t steps;          // optimiser steps in all
    size_t batch;            // sequences a step
    size_t context;          // tokens a sequence; at most the model's context_length
    float learning_rate;     // at the end of warm-up
    float min_learning_rate; // of the last step, at the end of the cosine
    uint64_t warmup_steps;   // step k of them has the rate learning_rate * k / warmup_steps
    float weight_decay;      // on matrices only (Loshchilov, Hutter 2017, arXiv 1711.05101)
    float beta1, beta2, epsilon;
    float clip_norm;             // gradients are scaled down to this global norm; 0: off
    uint64_t seed;               // of the order of the data
    uint64_t evaluate_every;     // steps; 0: at the end only
    uint64_t sample_every;       // steps; 0: never
    uint64_t checkpoint_every;   // steps, or one of the two above
    const char *checkpoint_path; // NULL: no checkpoints. Both paths are copied.
    const char *log_path;        // loss log, one JSON object a line; NULL: none
};

// The learning rate of a step, from 1 to options->steps.
TEMPERA_API double tempera_train_learning_rate(const struct tempera_train_options *options,
                                               uint64_t step);

// learning rate 1e-3 to 1e-4, warm-up 100, decay 0.1, betas 0.9 and 0.95, epsilon 1e-8, clip 1,
// batch 8, context 256, 1000 steps.
TEMPERA_API struct tempera_train_options tempera_train_options_default(void);

// What the command picks when the user says nothing: a model shape, vocabulary and steps for a
// text of this size and this much time (0: 5 minutes) on this many threads. Every field that is
// not 0 in *config or *options is kept; what is kept may make the training longer than the time.
// vocab_size 257 means bytes. On an error (TEXT_TOO_SHORT, INVALID_ARGUMENT) nothing is written.
TEMPERA_API enum tempera_status tempera_train_plan(size_t text_nbytes, double minutes,
                                                   size_t n_threads,
                                                   struct tempera_model_config *config,
                                                   struct tempera_train_options *options,
                                                   struct tempera_error *error);

// Texts to train on and to measure on. heldout NULL: the trainer holds out every twentieth block of
// `context` tokens. A text of fewer than 60 blocks is used entirely for training; nothing is held
// out.
//
// A text may be several documents, one directly after the other: the model is trained to end each
// with the end-of-text token, at which generation stops.
struct tempera_corpus {
    const char *text;
    size_t nbytes;
    const char *heldout;
    size_t heldout_nbytes;
    const size_t *borders; // [n_borders], bytes of the text at which a document ends and the next
    size_t n_borders;      // one begins; ascending, nbytes at most. 0: it is one document
    const size_t *heldout_borders; // [n_heldout_borders], the same of heldout
    size_t n_heldout_borders;
};

struct tempera_trainer;

// Model, tokenizer and executor are borrowed until the close; the text is not needed after the
// call. The trainer changes the model's weights. Status: TEXT_TOO_SHORT says how many tokens the
// text gives and how many the context needs; INVALID_ARGUMENT names the option; UNSUPPORTED: the
// tokenizer has no beginning-of-text token; OUT_OF_MEMORY.
TEMPERA_API enum tempera_status
tempera_trainer_open(struct tempera_trainer **trainer, struct tempera_model *model,
                     const struct tempera_tokenizer *tokenizer, const struct tempera_corpus *corpus,
                     const struct tempera_train_options *options,
                     const struct tempera_executor *executor, struct tempera_error *error);
// Frees it and sets *trainer to NULL. NULL-safe.
TEMPERA_API void tempera_trainer_close(struct tempera_trainer **trainer);

// The numbers of one step, or of an evaluation.
struct tempera_train_report {
    uint64_t step;        // finished steps
    uint64_t steps;       // in all
    uint64_t tokens;      // seen so far
    double loss;          // of this step's batch, nats a token
    double gradient_norm; // before clipping
    double learning_rate;
    double tokens_per_second; // of the last ten steps or so, without evaluations and checkpoints
    double seconds_left;      // at that speed
    bool evaluated;           // the two below were measured after this step
    double heldout_loss;      // nats a token
    double heldout_bits_per_byte;
};

// One step: batch, loss, gradients, clip, AdamW; no evaluation, log or checkpoint. INVALID_ARGUMENT
// when all steps are done. TRAINING_DIVERGED (the loss or a gradient isn't finite) leaves weights
// and step as they were.
TEMPERA_API enum tempera_status tempera_trainer_step(struct tempera_trainer *trainer,
                                                     struct tempera_train_report *report,
                                                     struct tempera_error *error);

// The held-out loss now; of the other fields of *report, those of counts and time are set.
// TEXT_TOO_SHORT if nothing is held out.
TEMPERA_API enum tempera_status tempera_trainer_evaluate(struct tempera_trainer *trainer,
                                                         struct tempera_train_report *report,
                                                         struct tempera_error *error);

struct tempera_train_callbacks {
    void *context;
    // After every step. Return false to stop: the step is kept, a checkpoint is written.
    bool (*progress)(void *context, const struct tempera_train_report *report);
    // Every sample_every steps; may generate from the model. May be NULL.
    void (*sample)(void *context, const struct tempera_train_report *report);
};

// Steps until options.steps, with evaluation, log and checkpoints; held-out loss is also measured
// after the last step. callbacks may be NULL. STOPPED if progress said so before the last step. A
// log at log_path is truncated, unless the trainer was resumed. A file at one of the paths that is
// not a log or a state is left alone: IO_ERROR, and nothing is trained. After an error of the log,
// a checkpoint is still tried, and the message says whether it was written; after an error of a
// checkpoint (IO_ERROR, DISK_FULL) the last one is whole, and is what to go on from.
TEMPERA_API enum tempera_status tempera_trainer_run(struct tempera_trainer *trainer,
                                                    const struct tempera_train_callbacks *callbacks,
                                                    struct tempera_error *error);

// Writes the whole training state (f32 weights, moments, step, options, digests of text and log)
// and the tokenizer to one GGUF file; its rename is the commit point.
TEMPERA_API enum tempera_status tempera_trainer_save(const struct tempera_trainer *trainer,
                                                     const char *path, struct tempera_error *error);

// Resumes from a state saved by a trainer of the same model shape, tokenizer, text and options
// (steps may be larger, the *_every and paths may differ): weights, moments, step. The loss log
// is cut back to where the state was; a missing one is started over. STATE_MISMATCH says what
// differs, or that the file is damaged: then nothing has changed.
TEMPERA_API enum tempera_status tempera_trainer_resume(struct tempera_trainer *trainer,
                                                       const char *path,
                                                       struct tempera_error *error);

// What a checkpoint was made with, so that a resume needs no options: model, tokenizer and
// options of the file; model and tokenizer are the caller's to close. The options' paths are NULL.
TEMPERA_API enum tempera_status tempera_checkpoint_open(const char *path,
                                                        struct tempera_model **model,
                                                        struct tempera_tokenizer **tokenizer,
                                                        struct tempera_train_options *options,
                                                        struct tempera_error *error);

// ------------------------------------------------------------------------------------------------
// Evaluation

struct tempera_evaluation {
    double loss;          // nats a token
    double perplexity;    // exp(loss)
    double bits_per_byte; // all nats over ln 2 over the text's bytes: compares across tokenizers
    uint64_t tokens;
    uint64_t bytes;
    double best_temperature; // where the loss is least: from 1/2 to 2 within about 0.001, beyond
                             // that within a few hundredths; 1/4 and 4 are the limits
    enum tempera_fit_border best_temperature_border; // whether it is one of the limits
    double bits_per_byte_at_best_temperature;
};

// The longest window that context = 0 gives: memory for attention grows with its square.
enum { TEMPERA_EVALUATE_CONTEXT = 4096 };

// Called, if not NULL, with the number of tokens measured so far and of all: at 0 and after every
// few windows, in the floating-point modes of the computation. Return false to stop.
typedef bool tempera_evaluate_progress(void *context, uint64_t n_done, uint64_t n_tokens);

// Loss of a model on text[nbytes], in windows of `context` tokens that do not overlap, each after
// the beginning-of-text token. context 0: the model's, at most TEMPERA_EVALUATE_CONTEXT.
// TEXT_TOO_SHORT for an empty text, OUT_OF_MEMORY for too long a context, NAN_INPUT where a score
// isn't finite: the message names the tensor or the layer that is to blame. STOPPED if progress
// said so.
TEMPERA_API enum tempera_status
tempera_evaluate(const struct tempera_model *model, const struct tempera_tokenizer *tokenizer,
                 const char *text, size_t nbytes, size_t context,
                 tempera_evaluate_progress *progress, void *progress_context,
                 struct tempera_evaluation *evaluation, const struct tempera_executor *executor,
                 struct tempera_error *error);

#ifdef __cplusplus
}
#endif
#endif
