// SPDX-License-Identifier: MIT
// What a decoder runs, and on what: for those who were given the decoder alone.
#ifndef TEMPERA_MODEL_DECODER_H
#define TEMPERA_MODEL_DECODER_H

#include <tempera/model.h>

const struct tempera_model *tempera_decoder_model(const struct tempera_decoder *decoder);
const struct tempera_executor *tempera_decoder_executor(const struct tempera_decoder *decoder);

#endif
