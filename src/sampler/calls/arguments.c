// SPDX-License-Identifier: MIT
#include "sampler/calls/arguments.h"

#include <stdint.h>

#include "base/arguments.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "sampler/calls/chain.h"
#include "sampler/calls/state.h"
#include "sampler/row/scratch.h"
#include "sampler/stages/stages.h"

// ------------------------------------------------------------------------------------------------
// Rows

enum tempera_status tempera_sampler_check_vocab(const struct tempera_sampler *sampler, size_t vocab)
{
    TEMPERA_TRY(tempera_sampler_check(sampler, NULL));
    for (size_t s = 0; s < sampler->n_stages; s++) {
        int32_t highest = tempera_stage_highest_token(&sampler->stages[s]);
        TEMPERA_CHECK(highest < 0 || (size_t)highest < vocab, TEMPERA_TOKEN_OUT_OF_RANGE);
    }
    return TEMPERA_OK;
}

static enum tempera_status check_report(const struct tempera_logprobs *report, size_t cols)
{
    TEMPERA_CHECK(report->struct_size >= sizeof *report, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(report->n_ids == 0 || (report->ids != NULL && report->named != NULL &&
                                         report->n_ids <= SIZE_MAX / sizeof *report->named),
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(report->max_top == 0 || report->top != NULL, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(report->order == TEMPERA_LOGPROB_ORDER_RAW ||
                      report->order == TEMPERA_LOGPROB_ORDER_FINAL,
                  TEMPERA_INVALID_ARGUMENT);
    for (size_t i = 0; i < report->n_ids; i++)
        TEMPERA_CHECK((size_t)report->ids[i] < cols, TEMPERA_TOKEN_OUT_OF_RANGE);
    return TEMPERA_OK;
}

// Branches are consecutive and end at the last column.
static enum tempera_status check_branches(const struct tempera_sample_row *row, size_t cols)
{
    TEMPERA_CHECK(row->n_branches == 0 || (row->tokens != NULL && row->branches != NULL &&
                                           row->n_branches <= SIZE_MAX / sizeof *row->branches),
                  TEMPERA_INVALID_ARGUMENT);
    size_t begin = 0;
    for (size_t b = 0; b < row->n_branches; b++) {
        TEMPERA_CHECK(row->branches[b].end >= begin && row->branches[b].end <= cols,
                      TEMPERA_INVALID_ARGUMENT);
        TEMPERA_TRY(tempera_state_fits_windows(row->branches[b].state, row->sampler));
        begin = row->branches[b].end;
    }
    return row->n_branches == 0 || begin == cols ? TEMPERA_OK : TEMPERA_INVALID_ARGUMENT;
}

// Tokens ascend within each branch.
static enum tempera_status check_columns(const struct tempera_sample_row *row, size_t cols)
{
    enum tempera_status status = check_branches(row, cols);
    if (status != TEMPERA_OK || row->tokens == NULL)
        return status;
    int32_t before = -1;
    for (size_t i = 0, b = 0; i < cols; i++) {
        for (; b < row->n_branches && i == row->branches[b].end; b++)
            before = -1;
        TEMPERA_CHECK(row->tokens[i] > before, TEMPERA_INVALID_ARGUMENT);
        before = row->tokens[i];
    }
    return TEMPERA_OK;
}

static enum tempera_status check_row(const struct tempera_sample_row *row, size_t cols)
{
    const uint32_t wants = TEMPERA_WANT_RAW_LOGPROB | TEMPERA_WANT_TEMPERED_LOGPROB;
    TEMPERA_TRY(row->tokens == NULL ? tempera_sampler_check_vocab(row->sampler, cols)
                                    : tempera_sampler_check(row->sampler, NULL));
    TEMPERA_TRY(tempera_state_fits_sampler(row->state, row->sampler));
    TEMPERA_CHECK((row->want & ~wants) == 0 && row->reserved == 0 &&
                      (uintptr_t)row->mask % sizeof *row->mask == 0 &&
                      (uintptr_t)row->tokens % sizeof *row->tokens == 0 &&
                      (uintptr_t)row->branches % _Alignof(struct tempera_branch) == 0,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_TRY(check_columns(row, cols));
    return row->logprobs != NULL ? check_report(row->logprobs, cols) : TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Memory

// How many words of the mask are read.
static size_t n_mask_words(const struct tempera_sample_row *row, size_t cols)
{
    return ((row->mask_nbits < cols ? row->mask_nbits : cols) + 31) / 32;
}

static struct tempera_span state_span(const struct tempera_sampler_state *state)
{
    return tempera_span_of(state, state != NULL, state != NULL ? state->nbytes : 0, false);
}

// Whether the arrays that a row points to overlap neither those of the call nor one another. Lists
// within stages are not checked.
static bool row_is_apart(const struct tempera_call *call, const struct tempera_sample_row *row)
{
    static const struct tempera_logprobs none = {0};
    const struct tempera_logprobs *report = row->logprobs != NULL ? row->logprobs : &none;
    const struct tempera_sampler *sampler = row->sampler;
    const struct tempera_span spans[] = {
        tempera_span_of(row->mask, n_mask_words(row, call->logits->cols), sizeof *row->mask, false),
        state_span(row->state),
        tempera_span_of(sampler, 1, sizeof *sampler, false),
        tempera_span_of(sampler->stages, sampler->n_stages, sizeof *sampler->stages, false),
        tempera_span_of(row->tokens, call->logits->cols, sizeof *row->tokens, false),
        tempera_span_of(row->branches, row->n_branches, sizeof *row->branches, false),
        tempera_span_of(row->logprobs, 1, sizeof *row->logprobs, true),
        tempera_span_of(report->ids, report->n_ids, sizeof *report->ids, false),
        tempera_span_of(report->named, report->n_ids, sizeof *report->named, true),
        tempera_span_of(report->top, report->max_top, sizeof *report->top, true),
    };
    const size_t n = sizeof spans / sizeof *spans;
    if (!tempera_spans_are_apart(spans, n, call->spans, call->n_spans))
        return false;
    for (size_t b = 0; b < row->n_branches; b++) {
        const struct tempera_span history = state_span(row->branches[b].state);
        if (!tempera_spans_are_apart(&history, 1, call->spans, call->n_spans) ||
            !tempera_spans_are_apart(&history, 1, spans, n))
            return false;
    }
    return true;
}

// ------------------------------------------------------------------------------------------------
// Calls

void tempera_call_add(struct tempera_call *call, const void *data, size_t count, size_t nbytes,
                      bool is_written)
{
    call->spans[call->n_spans++] = tempera_span_of(data, count, nbytes, is_written);
}

static enum tempera_status check_written(const struct tempera_call *call)
{
    TEMPERA_TRY(tempera_matrix_check_f32(call->other));
    TEMPERA_CHECK(tempera_matrix_same_shape(call->logits, call->other) &&
                      (call->logits->rows == 0 || call->other->data != call->logits->data) &&
                      tempera_matrix_may_write(call->other, call->logits),
                  TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

// Sets slice_nbytes as well, to what the most demanding sampler needs.
static enum tempera_status check_rows(struct tempera_call *call)
{
    size_t cols = call->logits->cols, stage_nbytes = 0;
    for (size_t r = 0; r < call->logits->rows; r++) {
        TEMPERA_TRY(check_row(&call->rows[r], cols));
        size_t own = tempera_sampler_stage_scratch_nbytes(call->rows[r].sampler, cols);
        stage_nbytes = own > stage_nbytes ? own : stage_nbytes;
    }
    call->slice_nbytes = tempera_chain_nbytes(cols, stage_nbytes);
    return TEMPERA_OK;
}

static enum tempera_status check_scratch(struct tempera_call *call)
{
    size_t needed;
    TEMPERA_CHECK(call->logits->rows == 0 || call->scratch != NULL, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK((uintptr_t)call->scratch % TEMPERA_SCRATCH_ALIGNMENT == 0,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(tempera_size_mul(call->slice_nbytes, call->n_slices, &needed) &&
                      tempera_size_add(needed, call->extra_nbytes, &needed),
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(call->scratch_nbytes >= needed, TEMPERA_BUFFER_TOO_SMALL);
    tempera_call_add(call, call->scratch, needed, 1, true);
    return TEMPERA_OK;
}

enum tempera_status tempera_call_check(struct tempera_call *call)
{
    TEMPERA_TRY(tempera_matrix_check(call->logits));
    TEMPERA_CHECK(call->logits->cols <= INT32_MAX, TEMPERA_INVALID_ARGUMENT);
    if (call->other_is_written)
        TEMPERA_TRY(check_written(call));
    tempera_call_add(call, call->rows, call->logits->rows, sizeof *call->rows, false);
    for (size_t i = 0; i < call->n_spans; i++)
        TEMPERA_CHECK(call->spans[i].nbytes == 0 || call->spans[i].data != NULL,
                      TEMPERA_INVALID_ARGUMENT);
    TEMPERA_TRY(check_rows(call));
    TEMPERA_TRY(check_scratch(call));
    const struct tempera_span matrices[] = {
        tempera_matrix_span(call->logits, false),
        tempera_matrix_span(call->other, call->other_is_written),
    };
    TEMPERA_CHECK(tempera_spans_are_apart(call->spans, call->n_spans, matrices, 2),
                  TEMPERA_INVALID_ARGUMENT);
    call->spans[call->n_spans++] = matrices[0];
    call->spans[call->n_spans++] = matrices[1];
    for (size_t r = 0; r < call->logits->rows; r++)
        TEMPERA_CHECK(row_is_apart(call, &call->rows[r]), TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}
