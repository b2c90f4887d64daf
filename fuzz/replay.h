// SPDX-License-Identifier: MIT
// Runs a fuzz target on its committed corpus, and on each file cut in the middle: a program that
// includes the target and calls replay("name"). Returns the number of files.
#ifndef TEMPERA_FUZZ_REPLAY_H
#define TEMPERA_FUZZ_REPLAY_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "target.h"

static inline size_t replay_file(const char *path)
{
    enum { MAX_NBYTES = 1 << 20 };
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(MAX_NBYTES);
    HOLDS(file != NULL && data != NULL);
    size_t nbytes = fread(data, 1, MAX_NBYTES, file);
    fclose(file);
    // Moved to a block of just its size, so that a sanitizer sees a step beyond.
    uint8_t *exact = realloc(data, nbytes > 0 ? nbytes : 1);
    HOLDS(exact != NULL);
    LLVMFuzzerTestOneInput(exact, nbytes);
    LLVMFuzzerTestOneInput(exact, nbytes / 2);
    free(exact);
    return 1;
}

static inline size_t replay(const char *name)
{
    char folder[1024], path[2048];
    snprintf(folder, sizeof folder, "%s/fuzz/corpus/%s", TEMPERA_SOURCE_DIR, name);
    DIR *files = opendir(folder);
    HOLDS(files != NULL);
    size_t n = 0;
    for (const struct dirent *entry; (entry = readdir(files)) != NULL;)
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            n += replay_file(path);
        }
    closedir(files);
    return n;
}

#endif
