// SPDX-License-Identifier: MIT
// Whole characters from bytes that come in pieces.
#include <tempera/tokenizer.h>

#include "base/utf8.h"

size_t tempera_utf8_flush(struct tempera_utf8_holdback *holdback, char *out)
{
    size_t n = holdback->nbytes < 4 ? holdback->nbytes : 0; // never 4, unless it was overwritten
    for (size_t i = 0; i < n; i++)
        out[i] = (char)holdback->bytes[i];
    holdback->nbytes = 0;
    return n;
}

size_t tempera_utf8_push(struct tempera_utf8_holdback *holdback, const uint8_t *in, size_t nbytes,
                         char *out)
{
    size_t n_out = 0;
    if (holdback->nbytes >= 4)
        holdback->nbytes = 0;
    for (size_t i = 0; i < nbytes; i++) {
        holdback->bytes[holdback->nbytes++] = in[i];
        size_t length = tempera_utf8_length(holdback->bytes, holdback->nbytes);
        if (length == 0 && holdback->nbytes > 1) {
            // What was held can't go on with this byte, which may itself begin a character.
            holdback->nbytes--;
            n_out += tempera_utf8_flush(holdback, out + n_out);
            holdback->bytes[holdback->nbytes++] = in[i];
            length = tempera_utf8_length(holdback->bytes, 1);
        }
        if (length <= holdback->nbytes) { // complete, or (0) a stray byte
            for (size_t j = 0; j < holdback->nbytes; j++)
                out[n_out++] = (char)holdback->bytes[j];
            holdback->nbytes = 0;
        }
    }
    return n_out;
}
