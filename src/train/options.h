// SPDX-License-Identifier: MIT
// The one check of the training options.
#ifndef TEMPERA_TRAIN_OPTIONS_H
#define TEMPERA_TRAIN_OPTIONS_H

#include <tempera/train.h>

// OK, or INVALID_ARGUMENT with a message that names the option.
enum tempera_status tempera_train_options_check(const struct tempera_train_options *options,
                                                struct tempera_error *error);

#endif
