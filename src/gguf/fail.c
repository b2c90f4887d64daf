// SPDX-License-Identifier: MIT
#include "gguf/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum tempera_status tempera_fail_with(struct tempera_error *error, enum tempera_status status,
                                      uint64_t offset, const char *format, va_list arguments)
{
    if (error == NULL)
        return status;
    char text[2 * sizeof error->message]; // so long that what is cut is seen to be
    vsnprintf(text, sizeof text, format, arguments);
    // filled last, since an argument may be the old message
    *error = (struct tempera_error){.status = status, .offset = offset};
    tempera_show_text(error->message, sizeof error->message, text, strlen(text));
    return status;
}

enum tempera_status tempera_fail(struct tempera_error *error, enum tempera_status status,
                                 uint64_t offset, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tempera_fail_with(error, status, offset, format, arguments);
    va_end(arguments);
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
