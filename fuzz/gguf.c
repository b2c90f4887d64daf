// SPDX-License-Identifier: MIT
// Any bytes as a GGUF file: an error with a message, or a file that can be read to its end.
#include <tempera/gguf.h>

#include "target.h"
#include "walk_gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct tempera_gguf *gguf = NULL;
    struct tempera_error error;
    enum tempera_status status = tempera_gguf_open_memory(&gguf, data, nbytes, &error);
    HOLDS(error.status == status && (error.message[0] != '\0') == (status != TEMPERA_OK));
    HOLDS((gguf != NULL) == (status == TEMPERA_OK));
    uint64_t sum = 0;
    if (gguf != NULL)
        HOLDS(walk_gguf(gguf, &sum));
    volatile uint64_t kept = sum; // or the compiler would drop the reads
    (void)kept;
    tempera_gguf_close(&gguf);
    return 0;
}
