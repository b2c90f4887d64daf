// SPDX-License-Identifier: MIT
// Whole files, read, written and compared.
#ifndef TEMPERA_TESTS_FILES_H
#define TEMPERA_TESTS_FILES_H

#include <stddef.h>

// A file's bytes, the caller's to free; NULL if there is none.
char *read_file(const char *path, size_t *nbytes);

void write_file(const char *path, const void *bytes, size_t nbytes);

// Both exist and are the same.
void check_same_files(const char *path, const char *expected);

// Those that there are.
void remove_files(const char *const *paths, size_t n_paths);

#endif
