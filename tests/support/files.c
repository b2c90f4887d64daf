// SPDX-License-Identifier: MIT
#include "files.h"

#include "check.h"

char *read_file(const char *path, size_t *nbytes)
{
    *nbytes = 0;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    size_t capacity = 1 << 16;
    char *bytes = malloc(capacity);
    for (size_t n; (n = fread(bytes + *nbytes, 1, capacity - *nbytes, file)) > 0;) {
        *nbytes += n;
        if (*nbytes == capacity)
            bytes = realloc(bytes, capacity *= 2);
    }
    fclose(file);
    return bytes;
}

void write_file(const char *path, const void *bytes, size_t nbytes)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(bytes, 1, nbytes, file) == nbytes);
    if (file != NULL)
        CHECK(fclose(file) == 0);
}

void check_same_files(const char *path, const char *expected)
{
    size_t n, n_expected;
    char *bytes = read_file(path, &n), *wanted = read_file(expected, &n_expected);
    CHECK(bytes != NULL && wanted != NULL);
    CHECK_EQ_SIZE(n, n_expected);
    if (bytes != NULL && wanted != NULL && n == n_expected)
        CHECK_MEM(bytes, wanted, n);
    free(bytes);
    free(wanted);
}

void remove_files(const char *const *paths, size_t n_paths)
{
    for (size_t i = 0; i < n_paths; i++)
        remove(paths[i]);
}
