// SPDX-License-Identifier: MIT
#define _XOPEN_SOURCE 700 // realpath
#include "gguf/safe_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/show.h"

enum { BUFFER_NBYTES = 1 << 16 };

struct tempera_safe_file {
    int fd;
    char *path;      // with symbolic links resolved
    char *temporary; // path and its ending
    size_t n_buffered;
    unsigned char buffer[BUFFER_NBYTES];
};

// ------------------------------------------------------------------------------------------------
// Opening

// What a symbolic link says, as seen from the folder that the link is in; freed by the caller.
// NULL, with errno, if there is none or memory is out.
static char *follow_link(const char *path)
{
    char target[4096];
    ssize_t length = readlink(path, target, sizeof target);
    if (length < 0 || (size_t)length == sizeof target) {
        errno = length < 0 ? errno : ENAMETOOLONG;
        return NULL;
    }
    const char *slash = strrchr(path, '/');
    size_t n_folder = target[0] == '/' || slash == NULL ? 0 : (size_t)(slash - path) + 1;
    char *followed = malloc(n_folder + (size_t)length + 1);
    if (followed == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(followed, path, n_folder);
    memcpy(followed + n_folder, target, (size_t)length);
    followed[n_folder + (size_t)length] = '\0';
    return followed;
}

// Where a new file will be: path, or what its symbolic links lead to. Freed by
// the caller; NULL, with errno.
static char *place_of_new(const char *path)
{
    const int most_links = 40; // as the kernel has it
    struct stat info;
    char *place = strdup(path);
    if (place == NULL)
        errno = ENOMEM;
    for (int i = 0; place != NULL && lstat(place, &info) == 0 && S_ISLNK(info.st_mode); i++) {
        char *followed = NULL;
        if (i < most_links)
            followed = follow_link(place);
        else
            errno = ELOOP;
        free(place);
        place = followed;
    }
    return place;
}

// The file that path leads to and, if it exists, its mode.
static enum tempera_status resolve(struct tempera_safe_file *file, const char *path, mode_t *mode,
                                   struct tempera_error *error)
{
    struct stat info;
    file->path = realpath(path, NULL);
    if (file->path == NULL && errno == ENOENT && path[0] != '\0')
        file->path = place_of_new(path);
    if (file->path == NULL)
        return tempera_fail_system(error, "write", path, errno);
    if (stat(file->path, &info) != 0)
        return errno == ENOENT ? TEMPERA_OK : tempera_fail_system(error, "write", path, errno);
    if (!S_ISREG(info.st_mode)) {
        char shown[TEMPERA_SHOWN_PATH_NBYTES];
        tempera_show_path(shown, path);
        return tempera_fail(error, TEMPERA_IO_ERROR,
                            "can't write '%s': it is %s; name a file to write", shown,
                            S_ISDIR(info.st_mode) ? "a folder" : "not a regular file");
    }
    if (access(file->path, W_OK) != 0) // a rename would not care
        return tempera_fail_system(error, "write", path, errno);
    *mode = info.st_mode & 07777;
    return TEMPERA_OK;
}

static enum tempera_status busy(const struct tempera_safe_file *file, struct tempera_error *error)
{
    char shown[TEMPERA_SHOWN_PATH_NBYTES];
    tempera_show_path(shown, file->path);
    return tempera_fail(error, TEMPERA_IO_ERROR,
                        "can't write '%s': another program is writing it now", shown);
}

static enum tempera_status in_the_way(const struct tempera_safe_file *file,
                                      struct tempera_error *error)
{
    char shown[TEMPERA_SHOWN_PATH_NBYTES];
    tempera_show_path(shown, file->temporary);
    return tempera_fail(error, TEMPERA_IO_ERROR,
                        "'%s' is in the way, and was not left by a save: move it away", shown);
}

static bool is_locked_by_another(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

// True if the name still leads to the open file: the previous holder of the lock may have renamed
// it.
static bool is_current(const char *path, int fd)
{
    struct stat open_file, named;
    return fstat(fd, &open_file) == 0 && lstat(path, &named) == 0 &&
           open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

// Whether a file may be what a killed save left: all saves begin with these bytes.
static bool is_rest_of_save(int fd)
{
    char begin[4];
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink > 1)
        return false;
    return info.st_size == 0 || (pread(fd, begin, sizeof begin, 0) == (ssize_t)sizeof begin &&
                                 memcmp(begin, "GGUF", sizeof begin) == 0);
}

// Removes a temporary file that a killed save left; OK if the name is worth another try.
static enum tempera_status clear_temporary(const struct tempera_safe_file *file,
                                           struct tempera_error *error)
{
    enum tempera_status status = TEMPERA_OK;
    int fd = open(file->temporary, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? TEMPERA_OK : in_the_way(file, error);
    if (is_locked_by_another(fd))
        status = busy(file, error);
    else if (is_current(file->temporary, fd) && !is_rest_of_save(fd))
        status = in_the_way(file, error);
    else if (is_current(file->temporary, fd) && unlink(file->temporary) != 0)
        status = tempera_fail_system(error, "write", file->path, errno);
    close(fd);
    return status;
}

// Never writes into an existing file: the file is new, and locked from then on.
static enum tempera_status open_temporary(struct tempera_safe_file *file,
                                          struct tempera_error *error)
{
    for (;;) {
        file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file->fd < 0 && errno != EEXIST)
            return tempera_fail_system(error, "write", file->path, errno);
        if (file->fd < 0) {
            TEMPERA_TRY(clear_temporary(file, error));
            continue;
        }
        if (!is_locked_by_another(file->fd) && is_current(file->temporary, file->fd))
            return TEMPERA_OK;
        close(file->fd); // another save removed it as a leftover
        file->fd = -1;
    }
}

enum tempera_status tempera_safe_file_open(struct tempera_safe_file **file, const char *path,
                                           struct tempera_error *error)
{
    static const char ending[] = ".tempera-tmp";
    struct tempera_safe_file *f = malloc(sizeof *f);
    *file = NULL;
    if (f == NULL)
        return tempera_fail_system(error, "write", path, ENOMEM);
    f->fd = -1;
    f->path = f->temporary = NULL;
    f->n_buffered = 0;
    mode_t mode = 0;
    enum tempera_status status = resolve(f, path, &mode, error);
    if (status == TEMPERA_OK) {
        size_t nbytes = strlen(f->path);
        f->temporary = malloc(nbytes + sizeof ending);
        if (f->temporary != NULL) {
            memcpy(f->temporary, f->path, nbytes);
            memcpy(f->temporary + nbytes, ending, sizeof ending);
            status = open_temporary(f, error);
        } else {
            status = tempera_fail_system(error, "write", path, ENOMEM);
        }
    }
    if (status == TEMPERA_OK && mode != 0 && fchmod(f->fd, mode) != 0)
        status = tempera_fail_system(error, "write", f->path, errno);
    if (status != TEMPERA_OK) {
        tempera_safe_file_close(&f, status, NULL);
        return status;
    }
    *file = f;
    return TEMPERA_OK;
}

enum tempera_status tempera_safe_file_check(const char *path, struct tempera_error *error)
{
    struct tempera_safe_file *file;
    enum tempera_status status = tempera_safe_file_open(&file, path, error);
    if (status == TEMPERA_OK)
        tempera_safe_file_close(&file, TEMPERA_STOPPED, NULL); // so nothing is put in place
    return status;
}

// ------------------------------------------------------------------------------------------------
// Writing

static enum tempera_status write_all(const struct tempera_safe_file *file,
                                     const unsigned char *data, size_t nbytes,
                                     struct tempera_error *error)
{
    while (nbytes > 0) {
        ssize_t n = write(file->fd, data, nbytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return tempera_fail_system(error, "write", file->path, n < 0 ? errno : ENOSPC);
        data += n;
        nbytes -= (size_t)n;
    }
    return TEMPERA_OK;
}

static enum tempera_status flush(struct tempera_safe_file *file, struct tempera_error *error)
{
    size_t nbytes = file->n_buffered;
    file->n_buffered = 0;
    return write_all(file, file->buffer, nbytes, error);
}

enum tempera_status tempera_safe_file_write(struct tempera_safe_file *file, const void *data,
                                            size_t nbytes, struct tempera_error *error)
{
    if (nbytes > BUFFER_NBYTES - file->n_buffered) {
        enum tempera_status status = flush(file, error);
        if (status != TEMPERA_OK || nbytes > BUFFER_NBYTES)
            return status != TEMPERA_OK ? status : write_all(file, data, nbytes, error);
    }
    if (nbytes > 0)
        memcpy(file->buffer + file->n_buffered, data, nbytes);
    file->n_buffered += nbytes;
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Putting in place

static enum tempera_status sync_folder(const char *path, struct tempera_error *error)
{
    const char *slash = strrchr(path, '/');
    size_t nbytes = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    char *folder = malloc(nbytes + 1);
    if (folder == NULL)
        return tempera_fail_system(error, "write", path, ENOMEM);
    memcpy(folder, slash == NULL ? "." : path, nbytes);
    folder[nbytes] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    // A folder that can be written but not read can't be synced: the file is in place all the same.
    if (fd < 0)
        return errno == EACCES ? TEMPERA_OK : tempera_fail_system(error, "sync", path, errno);
    int reason = fsync(fd) == 0 || errno == EINVAL ? 0 : errno; // EINVAL: no sync there
    close(fd);
    return reason == 0 ? TEMPERA_OK : tempera_fail_system(error, "sync", path, reason);
}

static enum tempera_status put_in_place(struct tempera_safe_file *file, struct tempera_error *error)
{
    TEMPERA_TRY(flush(file, error));
    // A failed sync is final: the kernel may have thrown the pages away, so it isn't tried again.
    if (fsync(file->fd) != 0)
        return tempera_fail_system(error, "write", file->path, errno);
    if (rename(file->temporary, file->path) != 0)
        return tempera_fail_system(error, "write", file->path, errno);
    free(file->temporary); // gone: nothing to remove from here on
    file->temporary = NULL;
    return sync_folder(file->path, error);
}

enum tempera_status tempera_safe_file_close(struct tempera_safe_file **file,
                                            enum tempera_status status, struct tempera_error *error)
{
    struct tempera_safe_file *f = file != NULL ? *file : NULL;
    if (f == NULL)
        return status;
    if (status == TEMPERA_OK)
        status = put_in_place(f, error);
    if (f->fd >= 0) {
        if (status != TEMPERA_OK && f->temporary != NULL)
            unlink(f->temporary); // while the lock is held, so it is ours
        close(f->fd);             // a written file was synced: nothing is left that could fail
    }
    free(f->temporary);
    free(f->path);
    free(f);
    *file = NULL;
    return status;
}
