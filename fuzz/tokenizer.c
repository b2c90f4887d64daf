// SPDX-License-Identifier: MIT
// Any GGUF file as a tokenizer: an error with a message, or a tokenizer that gives every text back.
#include <string.h>

#include <tempera/tokenizer.h>

#include "target.h"

static void round_trip(const struct tempera_tokenizer *tokenizer, const char *text, size_t nbytes)
{
    int32_t ids[512];
    char back[512];
    size_t n_ids, n_back;
    HOLDS(tempera_tokenizer_encode(tokenizer, text, nbytes, ids, 512, &n_ids) == TEMPERA_OK);
    HOLDS(n_ids <= nbytes);
    for (size_t i = 0; i < n_ids; i++)
        HOLDS(!tempera_tokenizer_is_special(tokenizer, ids[i]));
    HOLDS(tempera_tokenizer_decode(tokenizer, ids, n_ids, back, 512, &n_back) == TEMPERA_OK);
    HOLDS(n_back == nbytes && memcmp(back, text, nbytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct tempera_gguf *gguf = NULL;
    struct tempera_tokenizer *tokenizer = NULL;
    struct tempera_error error;
    if (tempera_gguf_open_memory(&gguf, data, nbytes, NULL) != TEMPERA_OK)
        return 0;
    enum tempera_status status = tempera_tokenizer_from_gguf(&tokenizer, gguf, &error);
    HOLDS(error.status == status && (error.message[0] != '\0') == (status != TEMPERA_OK));
    HOLDS((tokenizer != NULL) == (status == TEMPERA_OK));
    tempera_gguf_close(&gguf);
    if (tokenizer != NULL) {
        size_t n = nbytes < 512 ? nbytes : 512;
        round_trip(tokenizer, (const char *)data, n);
        round_trip(tokenizer, (const char *)data + nbytes - n, n);
        static const char words[] = "a b ab abc aaa the The  he\tcat's\n";
        round_trip(tokenizer, words, sizeof words - 1);
    }
    tempera_tokenizer_close(&tokenizer);
    return 0;
}
