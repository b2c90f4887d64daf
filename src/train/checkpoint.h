// SPDX-License-Identifier: MIT
// The training state in a file. Saving and resuming are in the public tempera/train.h.
#ifndef TEMPERA_TRAIN_CHECKPOINT_H
#define TEMPERA_TRAIN_CHECKPOINT_H

#include <tempera/train.h>

// OK if a state can be saved there, and nothing but a state would be lost; else IO_ERROR, ...
enum tempera_status tempera_checkpoint_check(const char *path, struct tempera_error *error);

#endif
