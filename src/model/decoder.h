// SPDX-License-Identifier: MIT
// The model and the executor of a decoder.
#ifndef TEMPERA_MODEL_DECODER_H
#define TEMPERA_MODEL_DECODER_H

#include <tempera/model.h>

const struct tempera_model *tempera_decoder_model(const struct tempera_decoder *decoder);
const struct tempera_executor *tempera_decoder_executor(const struct tempera_decoder *decoder);

#endif
