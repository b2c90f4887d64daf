// SPDX-License-Identifier: MIT
// Any bytes as a text: to learn merges from, to encode and decode, and to stream.
#include <string.h>

#include <tempera/tokenizer.h>

#include "target.h"

static void stream(const char *text, size_t nbytes)
{
    struct tempera_utf8_holdback held = {0};
    char *out = malloc(nbytes + 3);
    size_t n_out = 0;
    HOLDS(out != NULL);
    for (size_t at = 0; at < nbytes;) {
        size_t n = 1 + (uint8_t)text[at] % 5; // pieces as the text has it
        n = n < nbytes - at ? n : nbytes - at;
        n_out += tempera_utf8_push(&held, (const uint8_t *)text + at, n, out + n_out);
        at += n;
        HOLDS(n_out + held.nbytes == at && held.nbytes <= 3);
    }
    n_out += tempera_utf8_flush(&held, out + n_out);
    HOLDS(n_out == nbytes && memcmp(out, text, nbytes) == 0);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    const char *text = (const char *)data;
    struct tempera_tokenizer *tokenizer = NULL;
    struct tempera_error error;
    size_t vocab_size = 257 + (nbytes > 0 ? data[0] : 0);
    enum tempera_status status =
        tempera_tokenizer_train(&tokenizer, text, nbytes, vocab_size, &error);
    HOLDS(status == TEMPERA_OK || status == TEMPERA_TEXT_TOO_SHORT);
    if (status != TEMPERA_OK)
        HOLDS(tempera_tokenizer_train(&tokenizer, text, nbytes, 257, &error) == TEMPERA_OK);
    int32_t *ids = malloc((nbytes + 1) * sizeof *ids);
    char *back = malloc(nbytes + 1);
    size_t n_ids, n_back;
    HOLDS(ids != NULL && back != NULL);
    HOLDS(tempera_tokenizer_encode(tokenizer, text, nbytes, ids, nbytes, &n_ids) == TEMPERA_OK);
    HOLDS(tempera_tokenizer_decode(tokenizer, ids, n_ids, back, nbytes, &n_back) == TEMPERA_OK);
    HOLDS(n_back == nbytes && (nbytes == 0 || memcmp(back, text, nbytes) == 0));
    free(ids);
    free(back);
    tempera_tokenizer_close(&tokenizer);
    stream(text, nbytes);
    return 0;
}
