// SPDX-License-Identifier: MIT
// The rows of a cross-entropy on threads, and the sums over them.
#include <math.h>

#include "base/fpenv.h"
#include "score/loss.h"
#include "score/rows.h"

// Rows are reduced in at most this many blocks, each summed in order, then the blocks in order:
// the sum's bits depend on the number of rows alone, and no memory is needed but a small array.
enum { MOST_BLOCKS = 64 };

struct blocks {
    const struct tempera_loss_rows *rows;
    size_t rows_per_block;
    struct tempera_loss_totals totals[MOST_BLOCKS];
};

// A computed NaN may have any payload; what is written is the canonical one.
static void store(float *out, size_t r, double value)
{
    if (out == NULL)
        return;
    if (value != value)
        tempera_row_fill_nan(&out[r], 1);
    else
        out[r] = (float)value;
}

// r: within the matrix; the batch's row is first_row + r.
static struct tempera_loss_result compute_row(const struct tempera_loss_rows *rows, size_t r)
{
    const struct tempera_matrix *d_logits = rows->d_logits;
    const int32_t *class = rows->classes != NULL ? &rows->classes[rows->first_row + r] : NULL;
    struct tempera_loss_row row = {
        .logits = tempera_matrix_element(rows->logits, r, 0),
        .probs = rows->soft != NULL ? tempera_matrix_element(rows->soft, r, 0) : NULL,
        .d_logits = d_logits != NULL ? tempera_matrix_element(d_logits, r, 0) : NULL,
    };
    if (class != NULL && *class == rows->loss->options.ignore_index) {
        tempera_loss_fill(rows->loss, row.d_logits, false);
        return (struct tempera_loss_result){.status = TEMPERA_OK};
    }
    row.next = r + 1 < rows->logits->rows ? tempera_matrix_element(rows->logits, r + 1, 0) : NULL;
    row.y = class != NULL ? (size_t)*class : 0;
    return tempera_loss_row(rows->loss, &row);
}

static void do_row(const struct tempera_loss_rows *rows, size_t r,
                   struct tempera_loss_totals *totals)
{
    const struct tempera_cross_entropy_outputs *out = rows->outputs;
    struct tempera_loss_result result = compute_row(rows, r);
    size_t at = rows->first_row + r;
    store(out->row_loss, at, result.cross_entropy + result.z_loss);
    store(out->row_logsumexp, at, result.logsumexp);
    store(out->row_entropy, at, result.entropy);
    if (out->row_correct != NULL)
        out->row_correct[at] = result.is_correct;
    if (out->row_status != NULL)
        out->row_status[at] = result.status;
    totals->cross_entropy += result.cross_entropy;
    totals->z_loss += result.z_loss;
    totals->n_correct += result.is_correct;
    if (result.status > totals->worst)
        totals->worst = result.status;
}

static void do_block(struct blocks *blocks, size_t block)
{
    size_t first = block * blocks->rows_per_block, n_rows = blocks->rows->logits->rows;
    size_t end = n_rows - first < blocks->rows_per_block ? n_rows : first + blocks->rows_per_block;
    struct tempera_loss_totals totals = {.worst = TEMPERA_OK};
    for (size_t r = first; r < end; r++)
        do_row(blocks->rows, r, &totals);
    blocks->totals[block] = totals;
}

static void run_block(void *context, size_t block)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    do_block(context, block);
    tempera_fpenv_leave(env);
}

void tempera_loss_do_rows(const struct tempera_loss_rows *rows,
                          const struct tempera_executor *executor,
                          struct tempera_loss_totals *totals)
{
    size_t n_rows = rows->logits->rows;
    struct blocks blocks = {.rows = rows};
    blocks.rows_per_block = n_rows / MOST_BLOCKS + (n_rows % MOST_BLOCKS != 0);
    size_t n_blocks =
        n_rows == 0 ? 0 : (n_rows + blocks.rows_per_block - 1) / blocks.rows_per_block;
    tempera_parallel_for(executor, n_blocks, run_block, &blocks);
    for (size_t block = 0; block < n_blocks; block++) {
        totals->cross_entropy += blocks.totals[block].cross_entropy;
        totals->z_loss += blocks.totals[block].z_loss;
        totals->n_correct += blocks.totals[block].n_correct;
        if (blocks.totals[block].worst > totals->worst)
            totals->worst = blocks.totals[block].worst;
    }
}

// Behind a call of its own, after the floating-point modes are set.
__attribute__((noinline)) enum tempera_status
tempera_loss_finish(const struct tempera_loss *loss, const struct tempera_loss_totals *totals,
                    const struct tempera_cross_entropy_outputs *out)
{
    if (out->loss != NULL)
        *out->loss = tempera_loss_reduce(loss, totals->cross_entropy, totals->z_loss);
    if (out->z_loss != NULL)
        *out->z_loss = tempera_loss_reduce(loss, 0, totals->z_loss);
    if (out->count != NULL)
        *out->count = loss->count;
    if (out->weight_sum != NULL)
        *out->weight_sum = loss->weight_sum;
    if (out->n_correct != NULL)
        *out->n_correct = totals->n_correct;
    return totals->worst;
}
