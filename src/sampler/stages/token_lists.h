// SPDX-License-Identifier: MIT
#ifndef TEMPERA_SAMPLER_STAGES_TOKEN_LISTS_H
#define TEMPERA_SAMPLER_STAGES_TOKEN_LISTS_H

#include <stdint.h>

#include <tempera/sampler_stages.h>

// The highest token of a list, -1 if it is empty.
int32_t tempera_highest_token(const struct tempera_token_list *list);

#endif
