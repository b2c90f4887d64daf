// SPDX-License-Identifier: MIT
// One row through its stages: what all calls do, whatever they then draw or report.
#include <math.h>

#include "kernels/kernels.h"
#include "sampler/best.h"
#include "sampler/calls.h"
#include "score/rows.h"

// ------------------------------------------------------------------------------------------------
// Scratch

size_t tempera_chain_nbytes(const struct tempera_matrix *logits)
{
    size_t cols = logits->cols, n_floats = logits->dtype == TEMPERA_F32 ? 1 : 2;
    return tempera_scratch_aligned(cols * sizeof(uint64_t)) +
           n_floats * tempera_scratch_aligned(cols * sizeof(float)) +
           tempera_scratch_aligned(cols * sizeof(int32_t));
}

// ------------------------------------------------------------------------------------------------
// Stages

// A row of 16 bits becomes one of f32; there, what is masked is -inf.
static struct tempera_allowed allowed_in(const struct tempera_matrix *logits, size_t r,
                                         const struct tempera_sample_row *row, char **scratch)
{
    const void *z = tempera_matrix_element(logits, r, 0);
    size_t n = logits->cols;
    if (row->mask != NULL && row->mask_nbits < n)
        n = row->mask_nbits;
    if (logits->dtype == TEMPERA_F32)
        return (struct tempera_allowed){z, row->mask, n};
    const struct tempera_prepare how = {.dtype = logits->dtype, .mask = row->mask, .scale = 1};
    float *wide = tempera_scratch_take(scratch, logits->cols, sizeof *wide);
    tempera_kernels()->prepare(&how, z, 0, n, wide);
    return (struct tempera_allowed){wide, NULL, n};
}

enum tempera_status tempera_chain_begin(struct tempera_chain *chain,
                                        const struct tempera_matrix *logits, size_t r,
                                        const struct tempera_sample_row *row, char *scratch)
{
    size_t cols = logits->cols;
    struct tempera_candidates *c = &chain->c;
    *chain = (struct tempera_chain){.row = row, .c.row = row, .first_maximum = -1};
    c->step = row->state == NULL ? 0 : row->state->step;
    c->masses = tempera_scratch_take(&scratch, cols, sizeof *c->masses);
    c->scores = tempera_scratch_take(&scratch, cols, sizeof *c->scores);
    c->ids = tempera_scratch_take(&scratch, cols, sizeof *c->ids);
    chain->allowed = allowed_in(logits, r, row, &scratch);
    return tempera_candidates_gather(c, chain->allowed.z, chain->allowed.mask, chain->allowed.n);
}

void tempera_chain_apply(struct tempera_chain *chain, size_t i)
{
    const struct tempera_stage *stage = &chain->row->sampler->stages[i];
    tempera_stage_type_of(stage->kind)->apply(&chain->c, stage);
}

enum tempera_status tempera_chain_run(struct tempera_chain *chain)
{
    for (size_t i = 0; i < chain->row->sampler->n_stages && chain->c.n > 0; i++)
        tempera_chain_apply(chain, i);
    return chain->c.n > 0 ? TEMPERA_OK : TEMPERA_ALL_MASKED; // everything was banned
}

size_t tempera_chain_draw(struct tempera_chain *chain, uint32_t draw)
{
    struct tempera_candidates *c = &chain->c;
    tempera_candidates_weigh(c);
    return tempera_draw_index(c->masses, c->n, tempera_candidates_luck(c, draw));
}

size_t tempera_chain_token(struct tempera_chain *chain)
{
    if (chain->row->sampler->draw == TEMPERA_DRAW_MASS)
        return tempera_chain_draw(chain, TEMPERA_DRAW_TOKEN);
    tempera_u128 key;
    struct tempera_best best = {(char *)&key, sizeof key, 1, 0};
    tempera_race(&chain->c, &best);
    return tempera_candidates_find(&chain->c, tempera_id_of_key(key));
}

// ------------------------------------------------------------------------------------------------
// Results

struct tempera_sample_result tempera_chain_result(struct tempera_chain *chain, size_t at)
{
    int32_t token = chain->c.ids[at];
    struct tempera_sample_result result = {
        .status = TEMPERA_OK,
        .token = token,
        .logprob = tempera_chain_logprob(chain, at),
        .n_kept = chain->c.n,
    };
    tempera_row_fill_nan(&result.raw_logprob, 1);
    tempera_row_fill_nan(&result.tempered_logprob, 1);
    if (chain->row->want & TEMPERA_WANT_RAW_LOGPROB)
        result.raw_logprob = tempera_chain_raw_logprob(chain, token);
    if (chain->row->want & TEMPERA_WANT_TEMPERED_LOGPROB)
        result.tempered_logprob = tempera_chain_tempered_logprob(chain, token);
    return result;
}

struct tempera_sample_result tempera_result_without_token(const struct tempera_sample_row *row,
                                                          enum tempera_status status)
{
    struct tempera_sample_result result = {
        .status = status,
        .token = -1,
        .raw_logprob = -INFINITY,
        .logprob = -INFINITY,
        .tempered_logprob = -INFINITY,
    };
    bool has_nan = status == TEMPERA_NAN_INPUT;
    if (has_nan || !(row->want & TEMPERA_WANT_RAW_LOGPROB))
        tempera_row_fill_nan(&result.raw_logprob, 1);
    if (has_nan || !(row->want & TEMPERA_WANT_TEMPERED_LOGPROB))
        tempera_row_fill_nan(&result.tempered_logprob, 1);
    if (has_nan)
        tempera_row_fill_nan(&result.logprob, 1);
    return result;
}
