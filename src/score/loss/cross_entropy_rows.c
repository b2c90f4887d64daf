// SPDX-License-Identifier: MIT
// The rows of a cross-entropy, and what is written of them and of the whole batch.
#include "score/loss/cross_entropy.h"
#include "base/matrix.h"

// r: within the matrix; the batch's row is first_row + r.
static void compute_row(const struct tempera_loss_rows *rows, size_t r,
                        struct tempera_loss_result *result)
{
    const struct tempera_matrix *d_logits = rows->d_logits;
    const int32_t *class = rows->classes != NULL ? &rows->classes[rows->first_row + r] : NULL;
    struct tempera_loss_row row = {
        .logits = tempera_matrix_element(rows->logits, r, 0),
        .probs = rows->soft != NULL ? tempera_matrix_element(rows->soft, r, 0) : NULL,
        .d_logits = d_logits != NULL ? tempera_matrix_element(d_logits, r, 0) : NULL,
    };
    if (class != NULL && *class == rows->loss->options.ignore_index) {
        if (d_logits != NULL)
            tempera_row_fill(row.d_logits, d_logits->dtype, d_logits->cols, false);
        *result = (struct tempera_loss_result){.status = TEMPERA_OK};
        return;
    }
    row.next = r + 1 < rows->logits->rows ? tempera_matrix_element(rows->logits, r + 1, 0) : NULL;
    row.y = class != NULL ? (size_t)*class : 0;
    tempera_loss_row(rows->loss, &row, result);
}

static struct tempera_row_loss do_row(const void *context, size_t r)
{
    const struct tempera_loss_rows *rows = context;
    const struct tempera_cross_entropy_outputs *out = rows->outputs;
    struct tempera_loss_result result;
    compute_row(rows, r, &result);
    size_t at = rows->first_row + r;
    if (out->row_logsumexp != NULL)
        tempera_store_float(&out->row_logsumexp[at], result.logsumexp);
    if (out->row_entropy != NULL)
        tempera_store_float(&out->row_entropy[at], result.entropy);
    if (out->row_correct != NULL)
        out->row_correct[at] = result.is_correct;
    return (struct tempera_row_loss){
        result.status, result.cross_entropy, result.z_loss, result.is_correct};
}

void tempera_loss_do_rows(const struct tempera_loss_rows *rows,
                          const struct tempera_executor *executor,
                          struct tempera_loss_totals *totals)
{
    const struct tempera_cross_entropy_outputs *out = rows->outputs;
    const size_t first = rows->first_row;
    const struct tempera_row_outputs by_row = {
        .loss = out->row_loss != NULL ? out->row_loss + first : NULL,
        .status = out->row_status != NULL ? out->row_status + first : NULL,
    };
    tempera_row_losses_run(rows->logits->rows, do_row, rows, &by_row, totals, executor);
}

// Behind a call of its own, after the floating-point modes are set.
__attribute__((noinline)) enum tempera_status
tempera_loss_finish(const struct tempera_loss *loss, const struct tempera_loss_totals *totals,
                    const struct tempera_cross_entropy_outputs *out)
{
    if (out->loss != NULL)
        *out->loss = tempera_loss_reduce(loss, totals->loss, totals->z_loss);
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
