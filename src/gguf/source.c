// SPDX-License-Identifier: MIT
#include "gguf/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

enum tempera_status tempera_source_open(struct tempera_source *source, const char *path,
                                        struct tempera_error *error)
{
    *source = (struct tempera_source){.fd = -1};
    tempera_show_path(source->name, path);
    // O_NONBLOCK: opening a pipe without a writer must not wait. Regular files ignore it.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        bool missing = errno == ENOENT || errno == ENOTDIR || errno == EACCES;
        enum tempera_status status = tempera_fail_system(error, "open", path, errno);
        if (missing && error != NULL)
            error->status = TEMPERA_FILE_NOT_FOUND;
        return missing ? TEMPERA_FILE_NOT_FOUND : status;
    }
    struct stat info;
    if (fstat(fd, &info) != 0) {
        int reason = errno;
        close(fd);
        return tempera_fail_system(error, "look at", path, reason);
    }
    if (!S_ISREG(info.st_mode)) {
        close(fd);
        return tempera_fail(error, TEMPERA_IO_ERROR, "'%s' is %s, not a file: name a model file",
                            source->name, S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe");
    }
    source->fd = fd;
    source->nbytes = (uint64_t)info.st_size;
    return TEMPERA_OK;
}

void tempera_source_open_memory(struct tempera_source *source, const void *data, size_t nbytes)
{
    *source = (struct tempera_source){.memory = data, .fd = -1, .nbytes = nbytes};
    tempera_show_path(source->name, "memory");
}

void tempera_source_close(struct tempera_source *source)
{
    if (source->fd >= 0)
        close(source->fd);
    source->fd = -1;
    source->memory = NULL;
}

static enum tempera_status read_file(const struct tempera_source *source, uint64_t offset,
                                     uint8_t *out, size_t nbytes, struct tempera_error *error)
{
    while (nbytes > 0) {
        ssize_t got = pread(source->fd, out, nbytes, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return tempera_fail_system(error, "read", source->name, errno);
        if (got == 0)
            return tempera_fail_at(
                error, TEMPERA_TRUNCATED_FILE, offset,
                "'%s' became shorter while it was read: it ends at byte %" PRIu64, source->name,
                offset);
        out += got;
        nbytes -= (size_t)got;
        offset += (uint64_t)got;
    }
    return TEMPERA_OK;
}

enum tempera_status tempera_source_read(const struct tempera_source *source, uint64_t offset,
                                        void *out, size_t nbytes, struct tempera_error *error)
{
    if (offset > source->nbytes || nbytes > source->nbytes - offset)
        return tempera_fail_at(error, TEMPERA_TRUNCATED_FILE, source->nbytes,
                               "'%s' ends at byte %" PRIu64 ", before the %zu bytes at %" PRIu64,
                               source->name, source->nbytes, nbytes, offset);
    if (source->fd >= 0)
        return read_file(source, offset, out, nbytes, error);
    if (nbytes > 0)
        memcpy(out, source->memory + offset, nbytes);
    return TEMPERA_OK;
}
