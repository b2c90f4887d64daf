// SPDX-License-Identifier: MIT
// One row through its stages, compared before and after each.
#include <tempera/explain.h>

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arguments.h"
#include "base/fpenv.h"
#include "base/matrix.h"
#include "kernels/kernels.h"
#include "kernels/scalars.h"
#include "sampler/calls/arguments.h"
#include "sampler/calls/chain.h"
#include "sampler/calls/logprobs.h"
#include "sampler/calls/result.h"
#include "sampler/row/candidates.h"
#include "sampler/row/columns.h"
#include "sampler/row/masses.h"
#include "sampler/row/scratch.h"
#include "sampler/row/u128.h"
#include "sampler/stages/stages.h"

// The candidates before a stage.
struct snapshot {
    int32_t *ids;
    float *scores;
    uint64_t *masses;
    size_t n;
    double T;
};

struct explained {
    struct tempera_chain chain;
    const struct tempera_explanation *to;
    struct snapshot before;
    float *raw;                  // the row as given, as f32, -inf where masked
    double raw_max, raw_nll_max; // of the row before any stage
};

// For the snapshot and the row as given.
static size_t extra_nbytes(size_t cols)
{
    return tempera_scratch_aligned(cols * sizeof(uint64_t)) +
           2 * tempera_scratch_aligned(cols * sizeof(float)) +
           tempera_scratch_aligned(cols * sizeof(int32_t));
}

size_t tempera_explain_scratch_nbytes(const struct tempera_matrix *logits,
                                      const struct tempera_sampler *sampler)
{
    size_t nbytes = 0;
    if (tempera_sample_scratch_nbytes(logits, sampler, NULL) > 0)
        nbytes = tempera_chain_nbytes(logits->cols,
                                      tempera_sampler_stage_scratch_nbytes(sampler, logits->cols)) +
                 extra_nbytes(logits->cols);
    return nbytes;
}

// ------------------------------------------------------------------------------------------------
// Stages

static void take_snapshot(struct explained *e)
{
    struct tempera_candidates *c = &e->chain.c;
    struct snapshot *before = &e->before;
    tempera_candidates_gather(c);
    tempera_candidates_fill_masses(c);
    memcpy(before->ids, c->ids, c->n * sizeof *c->ids);
    memcpy(before->scores, c->scores, c->n * sizeof *c->scores);
    memcpy(before->masses, c->masses, c->n * sizeof *c->masses);
    before->n = c->n;
    before->T = c->temperature;
}

// The gap of a token before any stage. If a score is +inf, only those are candidates.
static double raw_gap(const struct explained *e, int32_t id)
{
    float z = e->raw[id];
    double x = z == INFINITY ? 0 : e->raw_max - (double)z;
    return x < 1024 ? x : 1024;
}

// KL(now || raw), in the lanes of the kernels, of gathered candidates.
static double divergence(struct explained *e, double nll_max)
{
    struct tempera_candidates *c = &e->chain.c;
    double W = (double)tempera_candidates_fill_masses(c), inverse_T = 1 / c->temperature;
    double lanes[16] = {0};
    for (size_t i = 0; i < c->n; i++) {
        double ln_p = -(tempera_gap(c->scores[i], c->max, inverse_T) + nll_max);
        double ln_raw = -(raw_gap(e, c->ids[i]) + e->raw_nll_max);
        lanes[c->ids[i] % 16] += (double)c->masses[i] / W * (ln_p - ln_raw);
    }
    double sum = tempera_sum_lanes(lanes);
    return sum > 0 ? sum : 0;
}

static struct tempera_stage_report report_now(struct explained *e)
{
    struct tempera_candidates *c = &e->chain.c;
    struct tempera_stage_report report = {.n_left = c->n, .temperature = c->chain_temperature};
    if (c->n == 0)
        return report;
    tempera_candidates_gather(c);
    struct tempera_mass_moments moments = tempera_candidates_moments(c);
    report.entropy = moments.nll_max + moments.mean_gap;
    report.divergence = divergence(e, moments.nll_max);
    return report;
}

// Ids ascend in both lists.
static double mass_removed(const struct explained *e)
{
    const struct tempera_candidates *c = &e->chain.c;
    const struct snapshot *before = &e->before;
    tempera_u128 W = tempera_masses_total(before->masses, before->n), removed = 0;
    for (size_t i = 0, j = 0; i < before->n; i++) {
        if (j < c->n && c->ids[j] == before->ids[i])
            j++;
        else
            removed += before->masses[i];
    }
    return (double)removed / (double)W;
}

// ------------------------------------------------------------------------------------------------
// Tokens

static uint64_t raw_rank(const struct explained *e, int32_t column)
{
    float z = e->raw[column];
    uint64_t rank = 1;
    for (size_t i = 0; i < e->chain.source.n; i++)
        rank += e->raw[i] > z || (e->raw[i] == z && i < (size_t)column);
    return rank;
}

static void begin_token(struct explained *e, struct tempera_token_report *token)
{
    struct tempera_chain *chain = &e->chain;
    bool is_there = tempera_candidates_find(&chain->c, token->column) != SIZE_MAX;
    token->token = tempera_row_token(chain->row, token->column);
    token->removed_by = is_there ? TEMPERA_TOKEN_STAYED : TEMPERA_TOKEN_MASKED;
    token->missed_by = 0;
    token->raw_rank = is_there ? raw_rank(e, token->column) : 0;
    token->raw_logprob = tempera_chain_raw_logprob(chain, token->column);
    token->final_logprob = -INFINITY;
}

static bool is_ban(const struct tempera_stage *stage)
{
    return (tempera_stage_type_of(stage->kind)->info.roles & TEMPERA_ROLE_BAN) != 0;
}

// The distance to the nearest score that the stage kept.
static double missed_by(const struct explained *e, int32_t column)
{
    const struct tempera_candidates *c = &e->chain.c;
    const struct snapshot *before = &e->before;
    size_t at = 0;
    while (before->ids[at] != column)
        at++;
    double z = (double)before->scores[at], nearest = INFINITY;
    for (size_t i = 0, j = 0; j < c->n; i++) {
        if (c->ids[j] != before->ids[i])
            continue;
        double d = z - (double)before->scores[i];
        d = d < 0 ? -d : d;
        nearest = d < nearest ? d : nearest;
        j++;
    }
    return nearest / before->T;
}

static void follow_token(const struct explained *e, size_t s, struct tempera_token_report *token)
{
    const struct tempera_candidates *c = &e->chain.c;
    if (token->removed_by != TEMPERA_TOKEN_STAYED ||
        tempera_candidates_find(c, token->column) != SIZE_MAX)
        return;
    token->removed_by = (int32_t)s;
    token->missed_by =
        is_ban(&e->chain.row->sampler->stages[s]) ? INFINITY : missed_by(e, token->column);
}

static void end_token(struct explained *e, struct tempera_token_report *token)
{
    size_t index = tempera_candidates_find(&e->chain.c, token->column);
    token->final_logprob = tempera_chain_final_logprob(&e->chain, index);
}

// ------------------------------------------------------------------------------------------------
// The row

static void explain_nothing(const struct tempera_explanation *to,
                            const struct tempera_sample_row *row, enum tempera_status status)
{
    for (size_t s = 0; s < to->n_stages; s++)
        to->stages[s] = (struct tempera_stage_report){0};
    float value = -INFINITY;
    if (status == TEMPERA_NAN_INPUT)
        tempera_row_fill_nan(&value, 1);
    for (size_t i = 0; i < to->n_tokens; i++)
        to->tokens[i] =
            (struct tempera_token_report){.token = tempera_row_token(row, to->token_ids[i]),
                                          .column = to->token_ids[i],
                                          .removed_by = TEMPERA_TOKEN_MASKED,
                                          .raw_logprob = value,
                                          .final_logprob = value};
}

static void explain_stage(struct explained *e, size_t s)
{
    const struct tempera_explanation *to = e->to;
    if (e->chain.c.n == 0) {
        to->stages[s + 1] = (struct tempera_stage_report){0};
        return;
    }
    take_snapshot(e);
    tempera_chain_apply(&e->chain, s);
    to->stages[s + 1] = report_now(e);
    to->stages[s + 1].mass_removed = mass_removed(e);
    for (size_t i = 0; i < to->n_tokens; i++)
        follow_token(e, s, &to->tokens[i]);
}

static void explain_row(struct explained *e, const struct tempera_matrix *logits,
                        const struct tempera_sample_row *row, char *scratch,
                        struct tempera_sample_result *result)
{
    const struct tempera_explanation *to = e->to;
    struct tempera_chain *chain = &e->chain;
    enum tempera_status status = tempera_chain_begin(chain, logits, 0, row, scratch);
    if (status != TEMPERA_OK) {
        explain_nothing(to, row, status);
        tempera_report_without_token(row, status);
        *result = tempera_result_without_token(row, status);
        return;
    }
    const struct tempera_row_source *source = &chain->source;
    source->kernels->convert.prepare(&source->how, source->z, 0, source->n, e->raw);
    e->raw_max = (double)chain->c.max;
    e->raw_nll_max = tempera_candidates_nll_max(&chain->c);
    to->stages[0] = report_now(e);
    for (size_t i = 0; i < to->n_tokens; i++) {
        to->tokens[i].column = to->token_ids[i];
        begin_token(e, &to->tokens[i]);
    }
    for (size_t s = 0; s < row->sampler->n_stages; s++)
        explain_stage(e, s);
    if (chain->c.n == 0) {
        tempera_report_without_token(row, TEMPERA_ALL_MASKED);
        *result = tempera_result_without_token(row, TEMPERA_ALL_MASKED);
        return;
    }
    for (size_t i = 0; i < to->n_tokens; i++)
        end_token(e, &to->tokens[i]);
    *result = tempera_chain_result(chain, tempera_chain_draw(chain));
    tempera_chain_report(chain);
}

// ------------------------------------------------------------------------------------------------
// The call

static enum tempera_status check(const struct tempera_matrix *logits,
                                 const struct tempera_sample_row *row,
                                 const struct tempera_explanation *to,
                                 struct tempera_sample_result *result, void *scratch,
                                 size_t scratch_nbytes, size_t *slice_nbytes)
{
    TEMPERA_CHECK(logits != NULL && logits->rows == 1 && row != NULL, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(to != NULL && to->struct_size >= sizeof *to, TEMPERA_INVALID_ARGUMENT);
    struct tempera_call call = {.logits = logits,
                                .rows = row,
                                .scratch = scratch,
                                .scratch_nbytes = scratch_nbytes,
                                .n_slices = 1,
                                .extra_nbytes = extra_nbytes(logits->cols)};
    tempera_call_add(&call, result, 1, sizeof *result, true);
    tempera_call_add(&call, to, 1, sizeof *to, false);
    tempera_call_add(&call, to->stages, to->n_stages, sizeof *to->stages, true);
    tempera_call_add(&call, to->token_ids, to->n_tokens, sizeof *to->token_ids, false);
    tempera_call_add(&call, to->tokens, to->n_tokens, sizeof *to->tokens, true);
    TEMPERA_TRY(tempera_call_check(&call));
    TEMPERA_CHECK(to->n_stages == row->sampler->n_stages + 1, TEMPERA_INVALID_ARGUMENT);
    for (size_t i = 0; i < to->n_tokens; i++)
        TEMPERA_CHECK((size_t)to->token_ids[i] < logits->cols, TEMPERA_TOKEN_OUT_OF_RANGE);
    *slice_nbytes = call.slice_nbytes;
    return TEMPERA_OK;
}

enum tempera_status tempera_explain(const struct tempera_matrix *logits,
                                    const struct tempera_sample_row *row,
                                    const struct tempera_explanation *explanation,
                                    struct tempera_sample_result *result, void *scratch,
                                    size_t scratch_nbytes)
{
    size_t slice_nbytes;
    TEMPERA_TRY(check(logits, row, explanation, result, scratch, scratch_nbytes, &slice_nbytes));
    struct explained e = {.to = explanation};
    char *rest = (char *)scratch + slice_nbytes;
    e.before.masses = tempera_scratch_take(&rest, logits->cols, sizeof *e.before.masses);
    e.before.scores = tempera_scratch_take(&rest, logits->cols, sizeof *e.before.scores);
    e.raw = tempera_scratch_take(&rest, logits->cols, sizeof *e.raw);
    e.before.ids = tempera_scratch_take(&rest, logits->cols, sizeof *e.before.ids);
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&e);
    explain_row(&e, logits, row, scratch, result);
    tempera_fpenv_leave(env);
    return result->status;
}
