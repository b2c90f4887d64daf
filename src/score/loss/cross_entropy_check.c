// SPDX-License-Identifier: MIT
// What every cross-entropy checks of its caller's memory.
#include <string.h>

#include "score/loss/cross_entropy.h"
#include "base/matrix.h"

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

enum tempera_status
tempera_loss_check_vectors(const struct tempera_loss_memory *memory,
                           const struct tempera_cross_entropy_outputs *out)
{
    const size_t rows = memory->rows;
    const struct tempera_vector vectors[] = {
        {out->row_loss, rows * sizeof *out->row_loss},
        {out->row_logsumexp, rows * sizeof *out->row_logsumexp},
        {out->row_status, rows * sizeof *out->row_status},
        {out->row_entropy, rows * sizeof *out->row_entropy},
        {out->row_correct, rows * sizeof *out->row_correct},
        {memory->classes, rows * sizeof *memory->classes},
        {memory->class_weights, memory->cols * sizeof *memory->class_weights},
    };
    TEMPERA_CHECK(tempera_vectors_are_apart(vectors, sizeof vectors / sizeof *vectors,
                                            memory->matrices, TEMPERA_LOSS_MATRICES),
                  TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}
