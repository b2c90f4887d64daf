// SPDX-License-Identifier: MIT
// The loss log. Its lines hold nothing that depends on the clock or on the number of threads, so
// two runs of the same training give the same file.
#include "train/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arguments.h"
#include "base/error.h"
#include "train/digest.h"
#include "train/trainer.h"

struct tempera_loss_log tempera_loss_log_of(const char *path)
{
    struct tempera_loss_log log = {.path = path, .fd = -1, .digest = TEMPERA_DIGEST_EMPTY};
    return log;
}

static enum tempera_status log_fail(const struct tempera_loss_log *log, const char *what,
                                    int reason, struct tempera_error *error)
{
    bool full = reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
    return tempera_fail(error, full ? TEMPERA_DISK_FULL : TEMPERA_IO_ERROR,
                        "can't %s the loss log '%s': %s", what, log->path, strerror(reason));
}

// Two trainings would mix their lines. Without locks in the file system there is no check.
static enum tempera_status claim(struct tempera_loss_log *log, struct tempera_error *error)
{
    if (flock(log->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return TEMPERA_OK;
    tempera_loss_log_close(log);
    return tempera_fail(error, TEMPERA_IO_ERROR,
                        "another training is writing the loss log '%s': wait for its end, or "
                        "choose another name",
                        log->path);
}

static enum tempera_status cut(struct tempera_loss_log *log, uint64_t nbytes,
                               struct tempera_error *error)
{
    if (ftruncate(log->fd, (off_t)nbytes) == 0 || errno == EINVAL) // a device has no length
        return TEMPERA_OK;
    int reason = errno;
    tempera_loss_log_close(log);
    return log_fail(log, "cut", reason, error);
}

// False for a file with other content, which must not be lost.
static bool is_log_or_empty(const struct tempera_loss_log *log)
{
    static const char begin[] = "{\"step\":";
    char found[sizeof begin - 1];
    struct stat info;
    if (fstat(log->fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0)
        return true;
    int fd = open(log->path, O_RDONLY | O_CLOEXEC); // the log's own is for writing only
    bool is_log = fd >= 0 && read(fd, found, sizeof found) == (ssize_t)sizeof found &&
                  memcmp(found, begin, sizeof found) == 0;
    if (fd >= 0)
        close(fd);
    return is_log;
}

enum tempera_status tempera_loss_log_create(struct tempera_loss_log *log,
                                            struct tempera_error *error)
{
    log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    log->nbytes = 0;
    log->digest = TEMPERA_DIGEST_EMPTY;
    if (log->fd < 0)
        return log_fail(log, "create", errno, error);
    enum tempera_status status = claim(log, error);
    if (status == TEMPERA_OK && !is_log_or_empty(log)) {
        tempera_loss_log_close(log);
        return tempera_fail(error, TEMPERA_IO_ERROR,
                            "'%s' exists and is not a loss log: move it away, or choose "
                            "another name",
                            log->path);
    }
    return status == TEMPERA_OK ? cut(log, 0, error) : status;
}

// Digest of the first nbytes of the file, of fewer if it is shorter; false, with errno, if it can't
// be read.
static bool digest_file(int fd, uint64_t nbytes, uint64_t *digest)
{
    char buffer[4096];
    *digest = TEMPERA_DIGEST_EMPTY;
    while (nbytes > 0) {
        ssize_t got = read(fd, buffer, nbytes < sizeof buffer ? (size_t)nbytes : sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        *digest = tempera_digest(*digest, buffer, (size_t)got);
        nbytes -= (uint64_t)got;
    }
    return true;
}

// Writes a line and counts it; on a failure, cuts the file back.
static enum tempera_status put_line(struct tempera_loss_log *log, const char *line, size_t n,
                                    struct tempera_error *error)
{
    for (size_t done = 0; done < n;) {
        ssize_t put = write(log->fd, line + done, n - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            int reason = put < 0 ? errno : ENOSPC;
            if (ftruncate(log->fd, (off_t)log->nbytes) != 0)
                reason = errno;
            return log_fail(log, "write to", reason, error);
        }
        done += (size_t)put;
    }
    log->nbytes += n;
    log->digest = tempera_digest(log->digest, line, n);
    return TEMPERA_OK;
}

enum tempera_status tempera_loss_log_catch_up(struct tempera_loss_log *log,
                                              struct tempera_error *error)
{
    TEMPERA_TRY(put_line(log, log->pending, log->n_pending, error));
    log->n_pending = 0;
    return TEMPERA_OK;
}

enum tempera_status tempera_loss_log_resume(struct tempera_loss_log *log, uint64_t nbytes,
                                            uint64_t digest, struct tempera_error *error)
{
    struct stat info;
    if (stat(log->path, &info) != 0 || info.st_size == 0) {
        TEMPERA_TRY(tempera_loss_log_create(log, error));
        return tempera_loss_log_catch_up(log, error);
    }
    log->fd = open(log->path, O_RDWR | O_APPEND | O_CLOEXEC);
    if (log->fd < 0)
        return log_fail(log, "open", errno, error);
    TEMPERA_TRY(claim(log, error));
    uint64_t found;
    if (!digest_file(log->fd, nbytes, &found)) {
        int reason = errno;
        tempera_loss_log_close(log);
        return log_fail(log, "read", reason, error);
    }
    if (found != digest || (uint64_t)info.st_size < nbytes) {
        tempera_loss_log_close(log);
        return tempera_fail(error, TEMPERA_STATE_MISMATCH,
                            "the loss log '%s' isn't the one of this state: move it away to "
                            "start another, or name the right one",
                            log->path);
    }
    TEMPERA_TRY(cut(log, nbytes, error));
    log->nbytes = nbytes;
    log->digest = digest;
    return tempera_loss_log_catch_up(log, error);
}

int tempera_format_number(double value, char text[TEMPERA_NUMBER_NBYTES])
{
    if (!isfinite(value))
        return snprintf(text, TEMPERA_NUMBER_NBYTES, "\"%s\"",
                        isnan(value) ? "nan"
                        : value > 0  ? "inf"
                                     : "-inf");
    char local[64];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(local, sizeof local, "%.*g", digits, value);
        if (strtod(local, NULL) == value)
            break;
    }
    int length = 0; // the locale's point, which may be several bytes, becomes '.'
    for (const char *c = local; *c != '\0'; c++) {
        bool plain = strchr("0123456789+-e", *c) != NULL;
        if (plain)
            text[length++] = *c;
        else if (length == 0 || text[length - 1] != '.')
            text[length++] = '.';
    }
    text[length] = '\0';
    return length;
}

static size_t format_line(const struct tempera_train_report *report, char *line, size_t nbytes)
{
    char loss[TEMPERA_NUMBER_NBYTES], rate[TEMPERA_NUMBER_NBYTES], norm[TEMPERA_NUMBER_NBYTES];
    tempera_format_number(report->loss, loss);
    tempera_format_number(report->learning_rate, rate);
    tempera_format_number(report->gradient_norm, norm);
    int n = snprintf(line, nbytes,
                     "{\"step\":%" PRIu64 ",\"tokens\":%" PRIu64
                     ",\"loss\":%s,\"learning_rate\":%s,\"gradient_norm\":%s",
                     report->step, report->tokens, loss, rate, norm);
    if (report->evaluated) {
        char heldout[TEMPERA_NUMBER_NBYTES], bits[TEMPERA_NUMBER_NBYTES];
        tempera_format_number(report->heldout_loss, heldout);
        tempera_format_number(report->heldout_bits_per_byte, bits);
        n += snprintf(line + n, nbytes - (size_t)n,
                      ",\"heldout_loss\":%s,\"heldout_bits_per_byte\":%s", heldout, bits);
    }
    n += snprintf(line + n, nbytes - (size_t)n, "}\n");
    return (size_t)n;
}

enum tempera_status tempera_loss_log_append(struct tempera_loss_log *log,
                                            const struct tempera_train_report *report,
                                            struct tempera_error *error)
{
    log->n_pending = format_line(report, log->pending, sizeof log->pending);
    return tempera_loss_log_catch_up(log, error);
}

enum tempera_status tempera_loss_log_sync(const struct tempera_loss_log *log,
                                          struct tempera_error *error)
{
    if (log->fd >= 0 && fsync(log->fd) != 0 && errno != EINVAL) // a pipe can't be synced
        return log_fail(log, "sync", errno, error);
    return TEMPERA_OK;
}

void tempera_loss_log_close(struct tempera_loss_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}
