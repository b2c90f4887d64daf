// SPDX-License-Identifier: MIT
// Answers compare.py, which describes requests and answers: PEER LOGITS RESULTS
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Nanoseconds an element, after a twentieth of a second that wakes threads and fills caches.
static double time_runs(const struct job *job, size_t repeats)
{
    double start = now();
    while (now() - start < 0.05)
        peer_run(job);
    start = now();
    for (size_t k = 0; k < repeats; k++)
        peer_run(job);
    return (now() - start) / (double)repeats / (double)(job->rows * job->cols) * 1e9;
}

static bool save(const char *path, const float *p, size_t count)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return false;
    bool written = fwrite(p, sizeof *p, count, file) == count;
    return fclose(file) == 0 && written;
}

// The file's floats, in memory of 64-byte lines.
static float *load(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        return NULL;
    *count = (size_t)ftell(file) / sizeof(float);
    rewind(file);
    float *z = aligned_alloc(64, (*count * sizeof *z + 63) / 64 * 64);
    if (z == NULL || fread(z, sizeof *z, *count, file) != *count)
        return NULL;
    fclose(file);
    return z;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    float *z = argc == 3 ? load(argv[1], &count) : NULL;
    float *p = z != NULL ? aligned_alloc(64, (count * sizeof *p + 63) / 64 * 64) : NULL;
    if (p == NULL) {
        fprintf(stderr, "%s: needs a file of logits and a name for the results\n", peer_name);
        return 1;
    }
    memset(p, 0, count * sizeof *p);
    printf("%s\n", peer_name);
    fflush(stdout);

    struct job job = {.z = z, .p = p};
    size_t repeats, n_saved;
    while (scanf("%zu %zu %zu %zu %zu", &job.rows, &job.cols, &job.threads, &repeats, &n_saved) ==
           5) {
        if (job.rows * job.cols > count || n_saved > count || !peer_open(&job))
            return 1;
        double ns = time_runs(&job, repeats);
        peer_close();
        if (n_saved > 0 && !save(argv[2], p, n_saved))
            return 1;
        printf("%.6f\n", ns);
        fflush(stdout);
    }
    free(z);
    free(p);
    return 0;
}
