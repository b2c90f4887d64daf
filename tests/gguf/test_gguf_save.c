// SPDX-License-Identifier: MIT
// Saving when the system says no: whatever call fails, the old file is intact, no temporary file
// is left, and the message has the reason.
#define _XOPEN_SOURCE 700 // for lstat, symlink and SIGXFSZ
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tempera/gguf.h>

#include "gguf/safe_file.h"

static const char path[] = "test_gguf_save.gguf", temporary[] = "test_gguf_save.gguf.tempera-tmp";

// ------------------------------------------------------------------------------------------------
// The system calls of a save, which fail when asked to. These definitions take the place of the C
// library's, in the library under test, too.

enum call { NO_CALL, WRITE, FSYNC, RENAME, FCHMOD, N_CALLS };

static enum call failing; // this call fails,
static int calls_before;  // after so many of its kind that don't,
static int failure = EIO; // for this reason
static int n_seen[N_CALLS];

static bool fails(enum call call)
{
    n_seen[call]++;
    if (call != failing || calls_before-- > 0)
        return false;
    errno = failure;
    return true;
}

ssize_t write(int fd, const void *data, size_t nbytes)
{
    // In pieces, as a pipe or an interrupted disk would do it.
    return fails(WRITE) ? -1
                        : pwrite(fd, data, nbytes > 40000 ? 40000 : nbytes, lseek(fd, 0, SEEK_END));
}

int fsync(int fd)
{
    return fails(FSYNC) ? -1 : fdatasync(fd);
}

int rename(const char *from, const char *to)
{
    return fails(RENAME) ? -1 : renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int fchmod(int fd, mode_t mode)
{
    (void)fd;
    return fails(FCHMOD) ? -1 : chmod(temporary, mode);
}

// ------------------------------------------------------------------------------------------------

enum { N = 60000 }; // several buffers

static enum tempera_status save(const char *to, float value, struct tempera_error *error)
{
    static float data[N];
    const uint64_t dims[] = {N};
    for (size_t i = 0; i < N; i++)
        data[i] = value;
    struct tempera_gguf_writer *w = NULL;
    CHECK_STATUS(tempera_gguf_writer_open(&w), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_add_tensor(w, "t", TEMPERA_F32, 1, dims, data), TEMPERA_OK);
    enum tempera_status status = tempera_gguf_save(w, to, error);
    tempera_gguf_writer_close(&w);
    return status;
}

// The value that was saved in this file; -1 if there is none that can be read.
static float saved(const char *from)
{
    struct tempera_gguf *g = NULL;
    static float data[N];
    float value = -1;
    if (tempera_gguf_open(&g, from, NULL) == TEMPERA_OK &&
        tempera_gguf_read_f32(g, tempera_gguf_find_tensor(g, "t"), data, N, NULL) == TEMPERA_OK)
        value = data[N - 1];
    tempera_gguf_close(&g);
    return value;
}

static bool is_there(const char *name)
{
    struct stat info;
    return lstat(name, &info) == 0;
}

static void every_call_fails_in_turn(void)
{
    static const int reasons[] = {EIO, ENOSPC, EDQUOT, EFBIG, EROFS};
    struct tempera_error error;
    int n_failed = 0;
    for (enum call call = WRITE; call < N_CALLS; call++)
        for (int i = 0; i < 50; i++) {
            CHECK_STATUS(save(path, 1, &error), TEMPERA_OK);
            failure = reasons[i % 5];
            failing = call;
            calls_before = i;
            memset(n_seen, 0, sizeof n_seen);
            enum tempera_status status = save(path, 2, &error);
            failing = NO_CALL;
            CHECK(!is_there(temporary));
            if (status == TEMPERA_OK) { // that call is made less often than that
                CHECK(n_seen[call] <= i);
                CHECK(saved(path) == 2);
                break;
            }
            n_failed++;
            CHECK_STATUS(status, failure == ENOSPC || failure == EDQUOT || failure == EFBIG
                                     ? TEMPERA_DISK_FULL
                                     : TEMPERA_IO_ERROR);
            CHECK_STATUS(error.status, status);
            CHECK(strncmp(error.message, "can't ", 6) == 0);
            CHECK(strstr(error.message, path) != NULL);
            // Only when the folder's own sync fails, which is the second, is the new one in place.
            CHECK(saved(path) == (call == FSYNC && i == 1 ? 2.0f : 1.0f));
        }
    CHECK(n_failed >= 10);
    unlink(path);
}

// A limit on the size of files, the nearest to a full disk that a test can have everywhere.
static void the_kernel_says_no(void)
{
    struct tempera_error error;
    CHECK_STATUS(save(path, 1, &error), TEMPERA_OK);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {100000, 100000};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        bool good = save(path, 2, &error) == TEMPERA_DISK_FULL && !is_there(temporary) &&
                    strstr(error.message, "too large") != NULL;
        _exit(good ? 0 : 1);
    }
    int result = -1;
    CHECK(child > 0 && waitpid(child, &result, 0) == child);
    CHECK_EQ_INT(result, 0);
    CHECK(saved(path) == 1);
    unlink(path);
}

static void places_that_cannot_be_written(void)
{
    struct tempera_error error;
    CHECK_STATUS(save("no/such/folder/m.gguf", 1, &error), TEMPERA_IO_ERROR);
    CHECK_EQ_STR(error.message, "can't write 'no/such/folder/m.gguf': No such file or directory");
    CHECK_STATUS(save(".", 1, &error), TEMPERA_IO_ERROR);
    CHECK(strstr(error.message, "a folder") != NULL);
    CHECK_STATUS(save("/dev/null", 1, &error), TEMPERA_IO_ERROR);
    CHECK(strstr(error.message, "not a regular file") != NULL);
    CHECK_STATUS(save("", 1, &error), TEMPERA_IO_ERROR);
    CHECK_STATUS(tempera_gguf_save_check("", &error), TEMPERA_IO_ERROR);
    CHECK_STATUS(tempera_gguf_save_check("no/such/folder/", &error), TEMPERA_IO_ERROR);
    CHECK_EQ_INT(mkdir(temporary, 0700), 0); // in the way of the temporary file
    CHECK_STATUS(save(path, 1, &error), TEMPERA_IO_ERROR);
    CHECK_EQ_INT(rmdir(temporary), 0);
    CHECK(!is_there(path));
}

// A file of the caller's own, or a folder, that may not be written. Root may write everything.
static void rights_are_respected(void)
{
    struct tempera_error error;
    CHECK_STATUS(save(path, 1, &error), TEMPERA_OK);
    CHECK_EQ_INT(chmod(path, 0444), 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(2);
        _exit(save(path, 2, &error) == TEMPERA_IO_ERROR ? 0 : 1);
    }
    int result = -1;
    CHECK(child > 0 && waitpid(child, &result, 0) == child);
    CHECK_EQ_INT(result, 0);
    CHECK(saved(path) == 1);
    CHECK(!is_there(temporary));
    unlink(path);
}

static void mode_is_kept(void)
{
    struct tempera_error error;
    struct stat info;
    CHECK_STATUS(save(path, 1, &error), TEMPERA_OK);
    CHECK_EQ_INT(chmod(path, 0640), 0);
    CHECK_STATUS(save(path, 2, &error), TEMPERA_OK);
    CHECK_EQ_INT(stat(path, &info), 0);
    CHECK_EQ_INT(info.st_mode & 07777, 0640);
    CHECK(saved(path) == 2);
    unlink(path);
}

static void link_is_followed(void)
{
    static const char link[] = "test_gguf_save.link";
    struct tempera_error error;
    struct stat info;
    unlink(link);
    CHECK_STATUS(save(path, 1, &error), TEMPERA_OK);
    CHECK_EQ_INT(symlink(path, link), 0);
    CHECK_STATUS(save(link, 2, &error), TEMPERA_OK);
    CHECK(lstat(link, &info) == 0 && S_ISLNK(info.st_mode));
    CHECK(saved(path) == 2);
    unlink(path); // now it leads to where no file is yet
    CHECK_STATUS(tempera_gguf_save_check(link, &error), TEMPERA_OK);
    CHECK(!is_there(path));
    CHECK_STATUS(save(link, 3, &error), TEMPERA_OK);
    CHECK(lstat(link, &info) == 0 && S_ISLNK(info.st_mode));
    CHECK(saved(path) == 3);
    unlink(path);
    unlink(link);
    CHECK_EQ_INT(symlink("no/such/folder", link), 0);
    CHECK_STATUS(tempera_gguf_save_check(link, &error), TEMPERA_IO_ERROR);
    CHECK_STATUS(save(link, 3, &error), TEMPERA_IO_ERROR);
    unlink(link);
    CHECK_EQ_INT(symlink(link, link), 0); // round and round
    CHECK_STATUS(save(link, 3, &error), TEMPERA_IO_ERROR);
    unlink(link);
}

static void make_file(const char *name, const char *begin, size_t nbytes)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK_EQ_INT(pwrite(fd, begin, strlen(begin), 0), (intmax_t)strlen(begin));
    CHECK_EQ_INT(truncate(name, (off_t)nbytes), 0);
    close(fd);
}

// What a kill left is removed.
static void rest_of_a_save(void)
{
    struct tempera_error error;
    struct stat info;
    for (int empty = 0; empty < 2; empty++) {
        make_file(temporary, empty ? "" : "GGUF", empty ? 0 : 1 << 20);
        CHECK_STATUS(tempera_gguf_save_check(path, &error), TEMPERA_OK);
        CHECK(!is_there(temporary) && !is_there(path));
        make_file(temporary, empty ? "" : "GGUF", empty ? 0 : 1 << 20);
        CHECK_STATUS(save(path, 4, &error), TEMPERA_OK);
        CHECK(saved(path) == 4);
        CHECK(stat(path, &info) == 0 && info.st_size < 4 * N + 200);
        CHECK(!is_there(temporary));
        unlink(path);
    }
}

static void check_in_the_way(void)
{
    struct tempera_error error;
    CHECK_STATUS(tempera_gguf_save_check(path, &error), TEMPERA_IO_ERROR);
    CHECK(strstr(error.message, "is in the way") != NULL);
    CHECK_STATUS(save(path, 5, &error), TEMPERA_IO_ERROR);
    CHECK(strstr(error.message, temporary) != NULL);
    CHECK(is_there(temporary) && !is_there(path));
}

// Somebody else's file, a file that has another name, a link or a pipe in its place stay as they
// are, and nothing waits for a reader of the pipe. Another one's "<path>.tmp" plays no part.
static void not_the_rest_of_a_save(void)
{
    static const char other[] = "test_gguf_save.other", tmp[] = "test_gguf_save.gguf.tmp";
    struct tempera_error error;
    struct stat info;
    make_file(temporary, "notes of mine", 500);
    check_in_the_way();
    CHECK(stat(temporary, &info) == 0 && info.st_size == 500);
    unlink(temporary);
    make_file(other, "GGUF", 600);
    CHECK_EQ_INT(link(other, temporary), 0);
    check_in_the_way();
    CHECK(stat(other, &info) == 0 && info.st_size == 600);
    unlink(temporary);
    CHECK_EQ_INT(symlink(other, temporary), 0);
    check_in_the_way();
    CHECK(stat(other, &info) == 0 && info.st_size == 600);
    unlink(temporary);
    unlink(other);
    CHECK_EQ_INT(mkfifo(temporary, 0600), 0);
    check_in_the_way();
    unlink(temporary);
    make_file(tmp, "a download", 700);
    CHECK_STATUS(save(path, 6, &error), TEMPERA_OK);
    CHECK(stat(tmp, &info) == 0 && info.st_size == 700);
    unlink(tmp);
    unlink(path);
}

static void second_writer_is_sent_away(void)
{
    struct tempera_safe_file *first = NULL, *second = NULL;
    struct tempera_error error;
    CHECK_STATUS(save(path, 1, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_safe_file_open(&first, path, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_safe_file_write(first, "first", 5, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_safe_file_open(&second, path, &error), TEMPERA_IO_ERROR);
    CHECK(second == NULL);
    CHECK(strstr(error.message, "another program is writing it") != NULL);
    CHECK(is_there(temporary));
    CHECK_STATUS(tempera_safe_file_close(&first, TEMPERA_STOPPED, &error), TEMPERA_STOPPED);
    CHECK(first == NULL);
    CHECK(!is_there(temporary));
    CHECK(saved(path) == 1);
    CHECK_STATUS(tempera_safe_file_open(&second, path, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_safe_file_close(&second, TEMPERA_OK, &error), TEMPERA_OK);
    struct stat info;
    CHECK(stat(path, &info) == 0 && info.st_size == 0);
    CHECK_STATUS(tempera_safe_file_close(&second, TEMPERA_OK, &error), TEMPERA_OK);
    unlink(path);
}

// Killed at many moments: the file is the old or the new one, whole, and the next save works.
static void killed_while_saving(void)
{
    struct tempera_error error;
    CHECK_STATUS(save(path, 1, &error), TEMPERA_OK);
    for (int i = 0; i < 25; i++) {
        pid_t child = fork();
        if (child == 0)
            for (;;)
                save(path, 2, &error);
        struct timespec wait = {0, (long)check_random_below(4000000)};
        nanosleep(&wait, NULL);
        kill(child, SIGKILL);
        CHECK_EQ_INT(waitpid(child, NULL, 0), child);
        float value = saved(path);
        CHECK(value == 1 || value == 2);
    }
    CHECK_STATUS(save(path, 3, &error), TEMPERA_OK);
    CHECK(saved(path) == 3);
    CHECK(!is_there(temporary));
    unlink(path);
}

int main(int argc, char **argv)
{
    unlink(path);
    unlink(temporary);
    static const struct check_test tests[] = {
        {"a save that fails at any system call leaves the old file", every_call_fails_in_turn},
        {"a file over the size limit leaves the old one", the_kernel_says_no},
        {"places that cannot be written give an error", places_that_cannot_be_written},
        {"a file or folder without write permission is not written", rights_are_respected},
        {"a file keeps its mode", mode_is_kept},
        {"a save follows a link", link_is_followed},
        {"the rest of a killed save is removed", rest_of_a_save},
        {"what else is in the way stays", not_the_rest_of_a_save},
        {"a second writer is sent away", second_writer_is_sent_away},
        {"a kill while saving leaves the old file or the new one", killed_while_saving},
    };
    return CHECK_RUN(tests, argc, argv);
}
