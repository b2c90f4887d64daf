// SPDX-License-Identifier: MIT
// Inside a trainer.
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
    bool is_stale;       // the saved state has a pending line that is in the log by now
    double (*now)(void); // seconds since a fixed moment; tests replace it
    double step_seconds; // smoothed; 0: not known yet
    double saved_at;     // when the last checkpoint was written or the run started
    double save_seconds; // that it took
};

#endif
