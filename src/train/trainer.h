// SPDX-License-Identifier: MIT
// What the files of this room share: the trainer itself, and a way to fail with a message.
#ifndef TEMPERA_TRAIN_TRAINER_H
#define TEMPERA_TRAIN_TRAINER_H

#include <tempera/train.h>

#include "train/adamw.h"
#include "train/data.h"
#include "train/log.h"

struct tempera_trainer {
    struct tempera_model *model;               // borrowed
    const struct tempera_tokenizer *tokenizer; // borrowed
    const struct tempera_executor *executor;   // borrowed
    struct tempera_train_options options;      // its paths are owned
    char *checkpoint_path, *log_path;

    struct tempera_data data;
    struct tempera_workspace *workspace;
    int32_t *tokens, *targets; // [batch, context]

    size_t n;              // parameters
    float *weights;        // [n], the model's
    float *gradients;      // [n], 0 between steps
    float *first, *second; // [n], AdamW's moments
    struct tempera_block *blocks;
    size_t n_blocks;
    double *block_sums; // [n_blocks]

    uint64_t step; // finished steps
    uint64_t text_digest, heldout_digest;
    size_t n_borders; // between documents of the text
    struct tempera_loss_log log;
    bool is_stale;       // the state resumed from has a line of the log that the log now has, too
    double (*now)(void); // seconds since some moment; a test has its own
    double step_seconds; // smoothed; 0: not known yet
    double saved_at;     // when the last checkpoint was written, or the run began
    double save_seconds; // that it took
};

// OK if a state can be saved there, and nothing but a state would be lost; else IO_ERROR, ...
enum tempera_status tempera_checkpoint_check(const char *path, struct tempera_error *error);

// OK, or INVALID_ARGUMENT with the option that is wrong.
enum tempera_status tempera_train_options_check(const struct tempera_train_options *options,
                                                struct tempera_error *error);

// Sum of the losses, in nats, of tokens[n] in windows of `context`, each after `bos`. `scratch`
// holds 2 * batch * context ids; the workspace room for `batch` sequences. The losses at other
// temperatures are added to n_sums sums.
enum tempera_status tempera_measure(const struct tempera_model *model,
                                    struct tempera_workspace *workspace, const int32_t *tokens,
                                    size_t n, int32_t bos, size_t batch, size_t context,
                                    int32_t *scratch, double *nats,
                                    struct tempera_temperature_sums *sums, size_t n_sums,
                                    const struct tempera_executor *executor);

#endif
