// SPDX-License-Identifier: MIT
// What every cross-entropy checks of its caller's memory.
#include <string.h>

#include "score/loss.h"
#include "score/rows.h"

enum tempera_status
tempera_loss_read_outputs(const struct tempera_cross_entropy_outputs *given,
                          struct tempera_cross_entropy_outputs *outputs)
{
    const size_t least = // version 0.1
        offsetof(struct tempera_cross_entropy_outputs, count) + sizeof(size_t *);
    TEMPERA_CHECK(given != NULL && given->struct_size >= least, TEMPERA_INVALID_ARGUMENT);
    *outputs = (struct tempera_cross_entropy_outputs){.struct_size = sizeof *outputs};
    memcpy(outputs, given,
           given->struct_size < sizeof *outputs ? given->struct_size : sizeof *outputs);
    return TEMPERA_OK;
}

struct range {
    const void *at;
    size_t nbytes;
};

static bool all_apart(const struct tempera_matrix *const *matrices, size_t n,
                      const struct range *range)
{
    for (size_t m = 0; m < n; m++)
        if (range->at != NULL && matrices[m] != NULL &&
            !tempera_matrix_is_apart(matrices[m], range->at, range->nbytes, 1))
            return false;
    return true;
}

enum tempera_status
tempera_loss_check_vectors(const struct tempera_loss_memory *memory,
                           const struct tempera_cross_entropy_outputs *out)
{
    const size_t rows = memory->rows;
    const struct range ranges[] = {
        {out->row_loss, rows * sizeof *out->row_loss},
        {out->row_logsumexp, rows * sizeof *out->row_logsumexp},
        {out->row_status, rows * sizeof *out->row_status},
        {out->row_entropy, rows * sizeof *out->row_entropy},
        {out->row_correct, rows * sizeof *out->row_correct},
        {memory->classes, rows * sizeof *memory->classes},
        {memory->class_weights, memory->cols * sizeof *memory->class_weights},
    };
    enum { N_RANGES = sizeof ranges / sizeof *ranges, N_OUTPUTS = N_RANGES - 2 };
    for (size_t i = 0; i < N_RANGES; i++) {
        TEMPERA_CHECK(all_apart(memory->written, TEMPERA_LOSS_WRITTEN, &ranges[i]),
                      TEMPERA_INVALID_ARGUMENT);
        if (i >= N_OUTPUTS)
            continue;
        TEMPERA_CHECK(all_apart(memory->read, TEMPERA_LOSS_READ, &ranges[i]),
                      TEMPERA_INVALID_ARGUMENT);
        for (size_t j = i + 1; j < N_RANGES; j++)
            TEMPERA_CHECK(tempera_ranges_are_apart(ranges[i].at, ranges[i].nbytes, ranges[j].at,
                                                   ranges[j].nbytes),
                          TEMPERA_INVALID_ARGUMENT);
    }
    return TEMPERA_OK;
}
