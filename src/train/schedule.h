// SPDX-License-Identifier: MIT
// Learning rates.
#ifndef TEMPERA_TRAIN_SCHEDULE_H
#define TEMPERA_TRAIN_SCHEDULE_H

#include <stdint.h>

#include <tempera/train.h>

// The rate of step number k in 1..steps: learning_rate * k / warmup_steps up to warmup_steps,
// then half a cosine that reaches min_learning_rate at the last step.
double tempera_schedule_at(const struct tempera_train_options *options, uint64_t k);

#endif
