// SPDX-License-Identifier: MIT
// The shape of a model, from the keys of its file.
#ifndef TEMPERA_MODEL_GGUF_KEYS_H
#define TEMPERA_MODEL_GGUF_KEYS_H

#include "model/parameters.h"

// Fills *config and checks it. Of the tensors, only the embedding is looked at, for vocab_size.
// BAD_MODEL, UNSUPPORTED: the message names the key and what it holds.
enum tempera_status tempera_model_read_keys(const struct tempera_gguf *gguf,
                                            struct tempera_model_config *config,
                                            struct tempera_error *error);

#endif
