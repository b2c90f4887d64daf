// SPDX-License-Identifier: MIT
// Raw and tempered ones are those of tempera_log_softmax, by the same code; the final ones follow
// from the candidates that are left.
#include "sampler/calls/logprobs.h"

#include <math.h>

#include "base/matrix.h"
#include "kernels/kernels.h"
#include "kernels/scalars.h"
#include "sampler/row/columns.h"
#include "sampler/row/top_n.h"

// ------------------------------------------------------------------------------------------------
// Raw and tempered

// Computed once for a row, however many tokens are asked for.
static const struct tempera_row_reduction *
reduction_of(struct tempera_chain *chain, struct tempera_optional_reduction *optional, float T)
{
    if (!optional->is_there) {
        struct tempera_temperature_params params = tempera_temperature_params_of((double)T);
        optional->reduction = tempera_row_reduce(&chain->source, &params);
        optional->is_there = true;
    }
    return &optional->reduction;
}

static size_t length_from(const struct tempera_row_source *source, size_t at)
{
    return source->n - at < TEMPERA_PIECE ? source->n - at : TEMPERA_PIECE;
}

static const struct tempera_row_reduction *raw_reduction(struct tempera_chain *chain)
{
    return reduction_of(chain, &chain->raw, 1);
}

static float logprob_in(const struct tempera_row_reduction *reduction,
                        const struct tempera_row_source *source, int32_t column)
{
    float buffer, logprob = -INFINITY;
    if ((size_t)column >= source->n || !tempera_mask_allows(source->how.mask, (size_t)column))
        return logprob;
    const float *x = tempera_row_piece(source, (size_t)column, 1, &buffer);
    tempera_row_reduction_log_softmax(reduction, source->kernels, x, 1, &logprob);
    return logprob;
}

// The column that a temperature of 0 would leave if it were the only stage.
static int32_t first_maximum(struct tempera_chain *chain)
{
    float buffer[TEMPERA_PIECE], max = raw_reduction(chain)->max;
    for (size_t at = 0;; at += TEMPERA_PIECE) {
        size_t n = length_from(&chain->source, at);
        const float *x = tempera_row_piece(&chain->source, at, n, buffer);
        for (size_t i = 0; i < n; i++)
            if (x[i] == max)
                return (int32_t)(at + i);
    }
}

float tempera_chain_raw_logprob(struct tempera_chain *chain, int32_t column)
{
    return logprob_in(raw_reduction(chain), &chain->source, column);
}

float tempera_chain_tempered_logprob(struct tempera_chain *chain, int32_t column)
{
    float T = (float)chain->c.chain_temperature;
    if (T == 1)
        return tempera_chain_raw_logprob(chain, column);
    if (T > 0)
        return logprob_in(reduction_of(chain, &chain->tempered, T), &chain->source, column);
    if (chain->first_maximum < 0)
        chain->first_maximum = first_maximum(chain);
    return column == chain->first_maximum ? 0 : -INFINITY;
}

// ------------------------------------------------------------------------------------------------
// Final

static float logprob_of(const struct tempera_final_masses *final, float score, uint64_t mass)
{
    double gap = tempera_gap(score, final->scale.max, final->inverse_T);
    // 0 - 0 where it is certain, not -0
    return mass == 0 ? -INFINITY : (float)(0 - (gap + final->nll_max));
}

float tempera_chain_final_logprob(struct tempera_chain *chain, size_t index)
{
    if (index == SIZE_MAX)
        return -INFINITY;
    const struct tempera_final_masses *final = tempera_chain_final(chain);
    float score = tempera_candidates_score(&chain->c, index);
    uint64_t mass;
    tempera_masses_compute(&final->scale, &score, 1, &mass);
    return logprob_of(final, score, mass);
}

// ------------------------------------------------------------------------------------------------
// Reports

static struct tempera_token_logprob logprobs_of(struct tempera_chain *chain, int32_t column)
{
    return (struct tempera_token_logprob){
        .token = tempera_row_token(chain->row, column),
        .raw = tempera_chain_raw_logprob(chain, column),
        .tempered = tempera_chain_tempered_logprob(chain, column),
        .final = tempera_chain_final_logprob(chain, tempera_candidates_find(&chain->c, column)),
        .column = column,
    };
}

// Logprobs of ascending ids from `first` on, those of ids[n] or, if that is NULL, of all.
static void offer(struct tempera_top_n *top, const float *logprobs, size_t n, size_t first,
                  const int32_t *ids)
{
    float least = tempera_top_n_least(top);
    for (size_t i = 0; i < n; i++) {
        if (!(logprobs[i] > least))
            continue;
        int32_t id = ids != NULL ? ids[i] : (int32_t)(first + i);
        tempera_top_n_offer(top, tempera_key_of_float(logprobs[i], id));
        least = tempera_top_n_least(top);
    }
}

static void offer_raw(struct tempera_chain *chain, struct tempera_top_n *top)
{
    const struct tempera_row_source *source = &chain->source;
    const struct tempera_row_reduction *reduction = raw_reduction(chain);
    float buffer[TEMPERA_PIECE], logprobs[TEMPERA_PIECE];
    for (size_t at = 0; at < source->n; at += TEMPERA_PIECE) {
        size_t n = length_from(source, at);
        const float *x = tempera_row_piece(source, at, n, buffer);
        tempera_row_reduction_log_softmax(reduction, source->kernels, x, n, logprobs);
        offer(top, logprobs, n, at, NULL);
    }
}

static void offer_final(struct tempera_chain *chain, struct tempera_top_n *top)
{
    struct tempera_candidates *c = &chain->c;
    const struct tempera_final_masses *final = tempera_chain_final(chain);
    float logprobs[TEMPERA_PIECE];
    tempera_candidates_gather(c);
    tempera_candidates_fill_masses(c);
    for (size_t at = 0; at < c->n; at += TEMPERA_PIECE) {
        size_t n = c->n - at < TEMPERA_PIECE ? c->n - at : TEMPERA_PIECE;
        for (size_t i = 0; i < n; i++)
            logprobs[i] = logprob_of(final, c->scores[at + i], c->masses[at + i]);
        offer(top, logprobs, n, 0, c->ids + at);
    }
}

void tempera_chain_report(struct tempera_chain *chain)
{
    struct tempera_logprobs *report = chain->row->logprobs;
    if (report == NULL)
        return;
    for (size_t i = 0; i < report->n_ids; i++)
        report->named[i] = logprobs_of(chain, report->ids[i]);
    struct tempera_top_n top = {(char *)report->top, sizeof *report->top, report->max_top, 0};
    if (report->order == TEMPERA_LOGPROB_ORDER_RAW)
        offer_raw(chain, &top);
    else
        offer_final(chain, &top);
    tempera_top_n_sort(&top);
    for (size_t i = 0; i < top.count; i++)
        report->top[i] = logprobs_of(chain, tempera_id_of_key(tempera_top_n_key(&top, i)));
    report->n_top = top.count;
}

void tempera_report_without_token(const struct tempera_sample_row *row, enum tempera_status status)
{
    struct tempera_logprobs *report = row->logprobs;
    if (report == NULL)
        return;
    float value = -INFINITY;
    if (status == TEMPERA_NAN_INPUT)
        tempera_row_fill_nan(&value, 1);
    for (size_t i = 0; i < report->n_ids; i++) {
        int32_t column = report->ids[i];
        report->named[i] = (struct tempera_token_logprob){tempera_row_token(row, column), value,
                                                          value, value, column};
    }
    report->n_top = 0;
}
