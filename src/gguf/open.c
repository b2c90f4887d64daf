// SPDX-License-Identifier: MIT
// Opening and closing a GGUF file. Read next: parse.c, reader.c.
#include <stdlib.h>

#include "base/error.h"
#include "gguf/parse.h"
#include "gguf/reader.h"

static enum tempera_status open_source(struct tempera_gguf **gguf,
                                       const struct tempera_source *source,
                                       struct tempera_error *error)
{
    struct tempera_gguf *opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        struct tempera_source unused = *source;
        tempera_source_close(&unused);
        return tempera_fail(error, TEMPERA_OUT_OF_MEMORY, "no memory to open '%s'", source->name);
    }
    opened->source = *source;
    enum tempera_status status = tempera_gguf_parse(opened, error);
    if (status != TEMPERA_OK) {
        tempera_gguf_close(&opened);
        return status;
    }
    *gguf = opened;
    return tempera_succeed(error);
}

enum tempera_status tempera_gguf_open(struct tempera_gguf **gguf, const char *path,
                                      struct tempera_error *error)
{
    if (gguf == NULL || path == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "gguf or path is NULL");
    struct tempera_source source;
    enum tempera_status status = tempera_source_open(&source, path, error);
    return status == TEMPERA_OK ? open_source(gguf, &source, error) : status;
}

enum tempera_status tempera_gguf_open_memory(struct tempera_gguf **gguf, const void *data,
                                             size_t nbytes, struct tempera_error *error)
{
    if (gguf == NULL || (data == NULL && nbytes > 0))
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "gguf or data is NULL");
    struct tempera_source source;
    tempera_source_open_memory(&source, data, nbytes);
    return open_source(gguf, &source, error);
}

void tempera_gguf_close(struct tempera_gguf **gguf)
{
    if (gguf == NULL || *gguf == NULL)
        return;
    tempera_source_close(&(*gguf)->source);
    free((*gguf)->image);
    free((*gguf)->strings);
    free((*gguf)->entries);
    free((*gguf)->slots);
    free((*gguf)->entry_names);
    free((*gguf)->tensor_names);
    free(*gguf);
    *gguf = NULL;
}
