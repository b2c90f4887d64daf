// SPDX-License-Identifier: MIT
// The calls: a row's candidates run through the stages, then the draw or the distribution.
#include <math.h>
#include <string.h>

#include "base/exp.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "sampler/sampler.h"
#include "score/rows.h"

struct sample_job {
    const struct tempera_matrix *logits;
    const struct tempera_sample_row *rows;
    struct tempera_sample_result *results;
    const struct tempera_matrix *probs; // NULL: draw
    char *scratch;
    size_t scratch_per_row;
};

// ------------------------------------------------------------------------------------------------
// Scratch: each row has its own, since an executor doesn't say which thread runs it.

enum { SCRATCH_ALIGNMENT = 64 };

static size_t padded(size_t nbytes)
{
    return (nbytes + SCRATCH_ALIGNMENT - 1) / SCRATCH_ALIGNMENT * SCRATCH_ALIGNMENT;
}

static size_t scratch_per_row(size_t cols)
{
    return padded(cols * sizeof(int32_t)) + padded(cols * sizeof(float)) +
           padded(cols * sizeof(uint64_t));
}

size_t tempera_sample_scratch_nbytes(const struct tempera_matrix *logits,
                                     const struct tempera_executor *executor)
{
    // In serial, all rows share one piece.
    size_t n_pieces = executor == NULL ? logits->rows > 0 : logits->rows, nbytes;
    return tempera_size_mul(scratch_per_row(logits->cols), n_pieces, &nbytes) ? nbytes : SIZE_MAX;
}

static struct tempera_candidates carve(const struct sample_job *job, size_t r)
{
    size_t cols = job->logits->cols;
    char *piece = job->scratch + r * job->scratch_per_row;
    struct tempera_candidates c = {.temperature = 1, .max = -INFINITY};
    c.ids = (int32_t *)(void *)piece;
    piece += padded(cols * sizeof *c.ids);
    c.scores = (float *)(void *)piece;
    piece += padded(cols * sizeof *c.scores);
    c.masses = (uint64_t *)(void *)piece;
    return c;
}

// ------------------------------------------------------------------------------------------------
// A row

static bool is_allowed(const struct tempera_sample_row *row, size_t id)
{
    return row->mask == NULL || (id < row->mask_nbits && tempera_mask_allows(row->mask, id));
}

// Gathers what may be drawn. Scores of +inf leave only themselves, all equal.
static enum tempera_status gather(const struct tempera_sample_row *row, const float *z, size_t n,
                                  struct tempera_candidates *c)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_allowed(row, i))
            continue;
        float score = z[i];
        if (score != score)
            return TEMPERA_NAN_INPUT;
        if (score == -INFINITY)
            continue;
        c->ids[c->n] = (int32_t)i;
        c->scores[c->n++] = score;
        c->max = score > c->max ? score : c->max;
    }
    if (c->n == 0)
        return TEMPERA_ALL_MASKED;
    return TEMPERA_OK;
}

static void make_equal(struct tempera_candidates *c)
{
    for (size_t i = 0; i < c->n; i++)
        c->scores[i] = 0;
    c->max = 0;
    c->has_masses = false;
}

static void limit_infinite(struct tempera_candidates *c)
{
    if (c->max < INFINITY)
        return;
    tempera_candidates_keep(c, INFINITY, c->n);
    make_equal(c);
}

static void apply_temperature(struct tempera_candidates *c, float temperature)
{
    c->has_masses = c->has_masses && temperature == 1;
    if (temperature == 0)
        tempera_candidates_keep(c, c->max, 1);
    else if (temperature == INFINITY)
        make_equal(c);
    else
        c->temperature *= (double)temperature;
    if (temperature == 0 || temperature == INFINITY)
        c->temperature = 1;
}

static void apply_stage(struct tempera_candidates *c, const struct tempera_stage *stage,
                        const struct tempera_sampler_state *state)
{
    switch (stage->kind) {
    case TEMPERA_STAGE_LOGIT_BIAS:
        tempera_apply_logit_bias(c, stage);
        break;
    case TEMPERA_STAGE_PENALTIES:
        tempera_apply_penalties(c, stage, state);
        break;
    case TEMPERA_STAGE_TEMPERATURE:
        apply_temperature(c, stage->u.temperature);
        break;
    case TEMPERA_STAGE_TOP_K:
        tempera_select_top_k(c, (size_t)stage->u.top_k);
        break;
    case TEMPERA_STAGE_TOP_P:
        tempera_select_top_p(c, stage->u.top_p);
        break;
    case TEMPERA_STAGE_MIN_P:
        tempera_select_min_p(c, stage->u.min_p);
        break;
    }
}

// ln p = (z - max) / T - ln(W / 2^51), at most 0
static float logprob_of(double z, double max, double T, tempera_u128 W)
{
    double log_p = (z - max) / T - tempera_log((double)W * 0x1p-51);
    return (float)(log_p < 0 ? log_p : 0);
}

// The raw logprobs need the total over all allowed scores at T = 1, before any stage.
static tempera_u128 raw_total(struct tempera_candidates *c)
{
    tempera_candidates_weigh(c);
    return tempera_candidates_total(c);
}

static void write_probs(const struct sample_job *job, size_t r, const struct tempera_candidates *c,
                        tempera_u128 W)
{
    float *p = tempera_matrix_row(job->probs, r);
    memset(p, 0, job->logits->cols * sizeof *p);
    for (size_t i = 0; i < c->n; i++)
        p[c->ids[i]] = (float)((double)c->masses[i] / (double)W);
}

static void finish_row(const struct sample_job *job, size_t r, struct tempera_candidates *c,
                       float raw_max, tempera_u128 raw_W, struct tempera_sample_result *result)
{
    const struct tempera_sample_row *row = &job->rows[r];
    uint64_t step = row->state != NULL ? row->state->step : 0;
    tempera_candidates_weigh(c);
    tempera_u128 W = tempera_candidates_total(c);
    size_t at = tempera_draw_index(c->masses, c->n,
                                   tempera_draw_bits(row->seed, row->stream, step, 0));
    float z = tempera_matrix_row(job->logits, r)[c->ids[at]];
    result->token = c->ids[at];
    result->n_kept = c->n;
    result->logprob = logprob_of((double)c->scores[at], (double)c->max, c->temperature, W);
    if (raw_max == INFINITY) // the limit: all on the scores of +inf
        result->raw_logprob = z == INFINITY ? logprob_of(0, 0, 1, raw_W) : -INFINITY;
    else
        result->raw_logprob = logprob_of((double)z, (double)raw_max, 1, raw_W);
    if (job->probs != NULL)
        write_probs(job, r, c, W);
}

static enum tempera_status sample_row(const void *context, size_t r)
{
    const struct sample_job *job = context;
    const struct tempera_sample_row *row = &job->rows[r];
    const float *z = tempera_matrix_row(job->logits, r);
    struct tempera_sample_result result = {.token = -1, .raw_logprob = -INFINITY,
                                           .logprob = -INFINITY};
    struct tempera_candidates c = carve(job, r);
    result.status = gather(row, z, job->logits->cols, &c);
    if (result.status == TEMPERA_OK) {
        float raw_max = c.max;
        limit_infinite(&c);
        tempera_u128 raw_W = raw_total(&c);
        for (size_t i = 0; i < row->sampler->n_stages && c.n > 0; i++)
            apply_stage(&c, &row->sampler->stages[i], row->state);
        if (c.n > 0)
            finish_row(job, r, &c, raw_max, raw_W, &result);
        else
            result.status = TEMPERA_ALL_MASKED; // every token was banned by a bias
    }
    if (result.status == TEMPERA_NAN_INPUT) {
        tempera_row_fill_nan(&result.raw_logprob, 1);
        tempera_row_fill_nan(&result.logprob, 1);
        if (job->probs != NULL)
            tempera_row_fill_nan(tempera_matrix_row(job->probs, r), job->logits->cols);
    } else if (result.status == TEMPERA_ALL_MASKED && job->probs != NULL) {
        memset(tempera_matrix_row(job->probs, r), 0, job->logits->cols * sizeof(float));
    }
    job->results[r] = result;
    return result.status;
}

// ------------------------------------------------------------------------------------------------
// Calls

static enum tempera_status check_bias_tokens(const struct tempera_sampler *sampler, size_t cols)
{
    for (size_t s = 0; s < sampler->n_stages; s++) {
        const struct tempera_stage *stage = &sampler->stages[s];
        if (stage->kind != TEMPERA_STAGE_LOGIT_BIAS)
            continue;
        for (size_t i = 0; i < stage->u.logit_bias.count; i++) {
            int32_t token = stage->u.logit_bias.entries[i].token;
            TEMPERA_CHECK(token >= 0 && (size_t)token < cols, TEMPERA_TOKEN_OUT_OF_RANGE);
        }
    }
    return TEMPERA_OK;
}

static enum tempera_status check_call(const struct sample_job *job, size_t scratch_nbytes,
                                      const struct tempera_executor *executor)
{
    enum tempera_status status = tempera_matrix_check(job->logits);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    TEMPERA_CHECK(job->logits->cols <= INT32_MAX, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(job->logits->rows == 0 || (job->rows != NULL && job->results != NULL),
                  TEMPERA_INVALID_ARGUMENT);
    if (job->probs != NULL) {
        status = tempera_matrix_check(job->probs);
        TEMPERA_CHECK(status == TEMPERA_OK, status);
        TEMPERA_CHECK(tempera_matrix_same_shape(job->logits, job->probs) &&
                          job->probs->data != job->logits->data &&
                          tempera_matrix_may_write(job->probs, job->logits),
                      TEMPERA_INVALID_ARGUMENT);
    }
    for (size_t r = 0; r < job->logits->rows; r++) {
        status = tempera_sampler_check(job->rows[r].sampler, NULL);
        if (status == TEMPERA_OK)
            status = tempera_state_check(job->rows[r].state, job->rows[r].sampler);
        if (status == TEMPERA_OK)
            status = check_bias_tokens(job->rows[r].sampler, job->logits->cols);
        TEMPERA_CHECK(status == TEMPERA_OK, status);
    }
    TEMPERA_CHECK(job->logits->rows == 0 ||
                      (job->scratch != NULL && (uintptr_t)job->scratch % SCRATCH_ALIGNMENT == 0),
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(scratch_nbytes >= tempera_sample_scratch_nbytes(job->logits, executor),
                  TEMPERA_BUFFER_TOO_SMALL);
    return TEMPERA_OK;
}

static enum tempera_status sample(struct sample_job *job, size_t scratch_nbytes,
                                  const struct tempera_executor *executor)
{
    enum tempera_status status = check_call(job, scratch_nbytes, executor);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    job->scratch_per_row = executor == NULL ? 0 : scratch_per_row(job->logits->cols);
    return tempera_rows_run(job->logits->rows, job->logits->cols, sample_row, job, NULL, executor);
}

enum tempera_status tempera_sample(const struct tempera_matrix *logits,
                                   const struct tempera_sample_row *rows,
                                   struct tempera_sample_result *results, void *scratch,
                                   size_t scratch_nbytes, const struct tempera_executor *executor)
{
    struct sample_job job = {.logits = logits, .rows = rows, .results = results,
                             .scratch = scratch};
    return sample(&job, scratch_nbytes, executor);
}

enum tempera_status tempera_sampler_probs(const struct tempera_matrix *logits,
                                          const struct tempera_sample_row *rows,
                                          const struct tempera_matrix *probs,
                                          struct tempera_sample_result *results, void *scratch,
                                          size_t scratch_nbytes,
                                          const struct tempera_executor *executor)
{
    TEMPERA_CHECK(probs != NULL, TEMPERA_INVALID_ARGUMENT);
    struct sample_job job = {.logits = logits, .rows = rows, .results = results, .probs = probs, .scratch = scratch};
    return sample(&job, scratch_nbytes, executor);
}
