// SPDX-License-Identifier: MIT
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/show.h"

static void fill(struct tempera_error *error, enum tempera_status status, uint64_t offset,
                 const char *format, va_list arguments)
{
    if (error == NULL)
        return;
    char text[2 * sizeof error->message]; // twice, so that show_text sees that it must cut
    vsnprintf(text, sizeof text, format, arguments);
    // Filled last, since an argument may be the old message.
    *error = (struct tempera_error){.status = status, .offset = offset};
    tempera_show_text(error->message, sizeof error->message, text, strlen(text));
}

enum tempera_status tempera_fail(struct tempera_error *error, enum tempera_status status,
                                 const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, 0, format, arguments);
    va_end(arguments);
    return status;
}

enum tempera_status tempera_fail_at(struct tempera_error *error, enum tempera_status status,
                                    uint64_t offset, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, offset, format, arguments);
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
    return tempera_fail(error, status_of(reason), "can't %s '%s': %s", verb, shown, text);
}

enum tempera_status tempera_succeed(struct tempera_error *error)
{
    if (error != NULL)
        *error = (struct tempera_error){.status = TEMPERA_OK};
    return TEMPERA_OK;
}
