// SPDX-License-Identifier: MIT
#include "gguf/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum tempera_status tempera_fail(struct tempera_error *error, enum tempera_status status,
                                 uint64_t offset, const char *format, ...)
{
    if (error == NULL)
        return status;
    struct tempera_error filled = {.status = status, .offset = offset};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(filled.message, sizeof filled.message, format, arguments);
    va_end(arguments);
    *error = filled; // last, since an argument may be the old message
    return status;
}

static enum tempera_status status_of(int reason)
{
    switch (reason) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return TEMPERA_DISK_FULL;
    case ENOMEM:
        return TEMPERA_OUT_OF_MEMORY;
    default:
        return TEMPERA_IO_ERROR;
    }
}

enum tempera_status tempera_fail_system(struct tempera_error *error, const char *verb,
                                        const char *path, int reason)
{
    char shown[TEMPERA_SHOWN_PATH_NBYTES], text[100];
    tempera_show_path(shown, path);
    if (strerror_r(reason, text, sizeof text) != 0)
        snprintf(text, sizeof text, "error %d", reason);
    return tempera_fail(error, status_of(reason), 0, "can't %s '%s': %s", verb, shown, text);
}

enum tempera_status tempera_succeed(struct tempera_error *error)
{
    if (error != NULL)
        *error = (struct tempera_error){.status = TEMPERA_OK};
    return TEMPERA_OK;
}

void tempera_show_path(char shown[TEMPERA_SHOWN_PATH_NBYTES], const char *path)
{
    size_t nbytes = strlen(path);
    if (nbytes < TEMPERA_SHOWN_PATH_NBYTES)
        memcpy(shown, path, nbytes + 1);
    else
        snprintf(shown, TEMPERA_SHOWN_PATH_NBYTES, "...%s",
                 path + nbytes - (TEMPERA_SHOWN_PATH_NBYTES - 4));
}
