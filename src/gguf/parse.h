// SPDX-License-Identifier: MIT
// Reading the header of a GGUF file that is not trusted.
#ifndef TEMPERA_GGUF_PARSE_H
#define TEMPERA_GGUF_PARSE_H

#include <tempera/status.h>

struct tempera_gguf;

// Fills everything but the source, from the source. After a failure, tempera_gguf_close frees what
// was made.
enum tempera_status tempera_gguf_parse(struct tempera_gguf *gguf, struct tempera_error *error);

#endif
