// SPDX-License-Identifier: MIT
// A library to preload into the command. It fails the TEMPERA_FAULT-th of the calls below that the
// program makes, and jansson for it; with a '+' after the number all later ones, too. It writes
// the call's name to the file TEMPERA_FAULT_MARK. What other libraries call isn't counted. Used by
// run.py.
#define _GNU_SOURCE // RTLD_NEXT, dl_iterate_phdr

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// glibc's own names: dlsym itself asks for memory.
void *__libc_malloc(size_t nbytes);
void *__libc_calloc(size_t count, size_t nbytes);
void *__libc_realloc(void *pointer, size_t nbytes);
void *__libc_memalign(size_t alignment, size_t nbytes);

#define EXPORT __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)

static struct range {
    uintptr_t begin, end;
} program, jansson;
static atomic_ulong n_calls;
static unsigned long fail_at;
static bool stays; // and so do all later ones
static const char *mark_path;

static struct range range_of(const struct dl_phdr_info *info)
{
    struct range range = {UINTPTR_MAX, 0};
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + header->p_vaddr, end = begin + header->p_memsz;
        if (header->p_type != PT_LOAD)
            continue;
        range.begin = begin < range.begin ? begin : range.begin;
        range.end = end > range.end ? end : range.end;
    }
    return range;
}

static int find_ranges(struct dl_phdr_info *info, size_t nbytes, void *context)
{
    (void)nbytes, (void)context;
    if (program.end == 0) // it's the first one
        program = range_of(info);
    else if (strstr(info->dlpi_name, "/libjansson.") != NULL)
        jansson = range_of(info);
    return 0;
}

static bool is_within(struct range range, const void *caller)
{
    return (uintptr_t)caller >= range.begin && (uintptr_t)caller < range.end;
}

__attribute__((constructor)) static void begin(void)
{
    const char *number = getenv("TEMPERA_FAULT");
    mark_path = getenv("TEMPERA_FAULT_MARK");
    char *end = NULL;
    fail_at = number != NULL && mark_path != NULL ? strtoul(number, &end, 10) : 0;
    stays = end != NULL && *end == '+';
    dl_iterate_phdr(find_ranges, NULL);
}

static bool fails(const void *caller, const char *name, int reason)
{
    if (fail_at == 0 || !(is_within(program, caller) || is_within(jansson, caller)))
        return false;
    unsigned long n = atomic_fetch_add(&n_calls, 1) + 1;
    if (n != fail_at && !(stays && n > fail_at))
        return false;
    errno = reason;
    if (n > fail_at)
        return true;
    long fd = syscall(SYS_openat, AT_FDCWD, mark_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    syscall(SYS_write, fd, name, strlen(name));
    syscall(SYS_close, fd);
    errno = reason;
    return true;
}

static void *next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

// The next definition of a function of this type. POSIX lets a pointer to data be one to code.
#define NEXT(type, name) (*(type *)&(void *){next(name)})

// ------------------------------------------------------------------------------------------------
// Memory

EXPORT void *malloc(size_t nbytes)
{
    return fails(CALLER, "malloc", ENOMEM) ? NULL : __libc_malloc(nbytes);
}

EXPORT void *calloc(size_t count, size_t nbytes)
{
    return fails(CALLER, "calloc", ENOMEM) ? NULL : __libc_calloc(count, nbytes);
}

EXPORT void *realloc(void *pointer, size_t nbytes)
{
    return fails(CALLER, "realloc", ENOMEM) ? NULL : __libc_realloc(pointer, nbytes);
}

EXPORT void *aligned_alloc(size_t alignment, size_t nbytes)
{
    return fails(CALLER, "aligned_alloc", ENOMEM) ? NULL : __libc_memalign(alignment, nbytes);
}

EXPORT int posix_memalign(void **pointer, size_t alignment, size_t nbytes)
{
    if (fails(CALLER, "posix_memalign", ENOMEM))
        return ENOMEM;
    *pointer = __libc_memalign(alignment, nbytes);
    return *pointer == NULL ? ENOMEM : 0;
}

// ------------------------------------------------------------------------------------------------
// Files

EXPORT int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (fails(CALLER, "open", EMFILE))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int folder, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fails(CALLER, "openat", EMFILE) ? -1
                                           : (int)syscall(SYS_openat, folder, path, flags, mode);
}

EXPORT ssize_t read(int fd, void *bytes, size_t nbytes)
{
    return fails(CALLER, "read", EIO) ? -1 : syscall(SYS_read, fd, bytes, nbytes);
}

EXPORT ssize_t pread(int fd, void *bytes, size_t nbytes, off_t offset)
{
    return fails(CALLER, "pread", EIO) ? -1 : syscall(SYS_pread64, fd, bytes, nbytes, offset);
}

EXPORT ssize_t write(int fd, const void *bytes, size_t nbytes)
{
    return fails(CALLER, "write", ENOSPC) ? -1 : syscall(SYS_write, fd, bytes, nbytes);
}

EXPORT int fsync(int fd)
{
    return fails(CALLER, "fsync", EIO) ? -1 : (int)syscall(SYS_fsync, fd);
}

EXPORT int rename(const char *from, const char *to)
{
    return fails(CALLER, "rename", EACCES)
               ? -1
               : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

// ------------------------------------------------------------------------------------------------
// Streams: glibc reads and writes for them by ways of its own

// As after a failed read or write.
static bool stream_fails(const void *caller, FILE *file, const char *name, int reason)
{
    const int seen_error = 0x20; // _IO_ERR_SEEN
    if (!fails(caller, name, reason))
        return false;
    file->_flags |= seen_error;
    return true;
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
    typedef FILE *function(const char *, const char *);
    return fails(CALLER, "fopen", EMFILE) ? NULL : NEXT(function *, "fopen")(path, mode);
}

EXPORT size_t fread(void *bytes, size_t size, size_t count, FILE *file)
{
    typedef size_t function(void *, size_t, size_t, FILE *);
    return stream_fails(CALLER, file, "fread", EIO)
               ? 0
               : NEXT(function *, "fread")(bytes, size, count, file);
}

EXPORT size_t fwrite(const void *bytes, size_t size, size_t count, FILE *file)
{
    typedef size_t function(const void *, size_t, size_t, FILE *);
    return file != stderr && stream_fails(CALLER, file, "fwrite", ENOSPC)
               ? 0
               : NEXT(function *, "fwrite")(bytes, size, count, file);
}

EXPORT int fflush(FILE *file)
{
    typedef int function(FILE *);
    return file == stdout && stream_fails(CALLER, file, "fflush", ENOSPC)
               ? EOF
               : NEXT(function *, "fflush")(file);
}

// ------------------------------------------------------------------------------------------------
// Threads

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*main)(void *), void *argument)
{
    typedef int function(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    return fails(CALLER, "pthread_create", EAGAIN)
               ? EAGAIN
               : NEXT(function *, "pthread_create")(thread, attributes, main, argument);
}
