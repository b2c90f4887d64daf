// SPDX-License-Identifier: MIT
// One row through its stages: what all calls do, whatever they then draw or report.
#include <math.h>

#include "sampler/row/top_n.h"
#include "sampler/row/chain.h"
#include "base/matrix.h"

// ------------------------------------------------------------------------------------------------
// Scratch

static size_t n_maxima(size_t cols)
{
    return (cols + TEMPERA_MAXIMA_BLOCK - 1) / TEMPERA_MAXIMA_BLOCK;
}

size_t tempera_chain_nbytes(size_t cols, size_t stage_nbytes)
{
    return 5 * tempera_scratch_aligned(TEMPERA_PADDED(cols) * sizeof(float)) +
           tempera_scratch_aligned(n_maxima(cols) * sizeof(float)) +
           tempera_scratch_aligned(TEMPERA_PATCHES * sizeof(struct tempera_patch)) +
           tempera_scratch_aligned(n_maxima(cols) * sizeof(uint16_t)) +
           tempera_scratch_aligned(stage_nbytes);
}

static struct tempera_candidates candidates_in(char *scratch, size_t cols)
{
    size_t n = TEMPERA_PADDED(cols);
    struct tempera_candidates c = {.n = 0};
    c.masses = tempera_scratch_take(&scratch, n, sizeof *c.masses);
    c.scores = tempera_scratch_take(&scratch, n, sizeof *c.scores);
    c.own = tempera_scratch_take(&scratch, n, sizeof *c.own);
    c.ids = tempera_scratch_take(&scratch, n, sizeof *c.ids);
    c.maxima = tempera_scratch_take(&scratch, n_maxima(cols), sizeof *c.maxima);
    c.patches = tempera_scratch_take(&scratch, TEMPERA_PATCHES, sizeof *c.patches);
    c.first_patch = tempera_scratch_take(&scratch, n_maxima(cols), sizeof *c.first_patch);
    c.stage_scratch = scratch;
    return c;
}

// ------------------------------------------------------------------------------------------------
// Stages

static struct tempera_row_source source_of(const struct tempera_matrix *logits, size_t r,
                                           const struct tempera_sample_row *row)
{
    struct tempera_row_source source = tempera_row_source_of(tempera_kernels_active(), logits, r);
    source.how.mask = row->mask;
    source.is_plain &= row->mask == NULL;
    if (row->mask != NULL && row->mask_nbits < source.n)
        source.n = row->mask_nbits;
    return source;
}

// A row of 16 bits becomes one of f32 first; there, what is masked is -inf.
enum tempera_status tempera_chain_begin(struct tempera_chain *chain,
                                        const struct tempera_matrix *logits, size_t r,
                                        const struct tempera_sample_row *row, char *scratch)
{
    *chain = (struct tempera_chain){
        .row = row,
        .source = source_of(logits, r, row),
        .c = candidates_in(scratch, logits->cols),
        .first_maximum = -1,
    };
    const struct tempera_row_source *source = &chain->source;
    struct tempera_candidates *c = &chain->c;
    c->row = row;
    c->n_columns = source->n;
    c->step = row->state == NULL ? 0 : row->state->step;
    if (logits->dtype == TEMPERA_F32)
        return tempera_candidates_begin(c, source->z, row->mask, source->n);
    source->kernels->convert.prepare(&source->how, source->z, 0, source->n, c->own);
    return tempera_candidates_begin(c, c->own, NULL, source->n);
}

void tempera_chain_apply(struct tempera_chain *chain, size_t i)
{
    const struct tempera_stage *stage = &chain->row->sampler->stages[i];
    const struct tempera_stage_type *type = tempera_stage_type_of(stage->kind);
    if (!type->takes_whole)
        tempera_candidates_gather(&chain->c);
    type->apply(&chain->c, stage);
}

enum tempera_status tempera_chain_run(struct tempera_chain *chain)
{
    for (size_t i = 0; i < chain->row->sampler->n_stages && chain->c.n > 0; i++)
        tempera_chain_apply(chain, i);
    return chain->c.n > 0 ? TEMPERA_OK : TEMPERA_ALL_MASKED; // everything was banned
}

// ------------------------------------------------------------------------------------------------
// Draws

static void set_final(struct tempera_chain *chain, tempera_u128 W)
{
    struct tempera_final *final = &chain->final;
    final->is_there = true;
    final->W = W;
    final->scale = tempera_scale_of(&chain->c);
    final->inverse_T = 1 / chain->c.temperature;
    final->nll_max = tempera_nll_max_of(W, &final->scale);
}

const struct tempera_final *tempera_chain_final(struct tempera_chain *chain)
{
    if (!chain->final.is_there)
        set_final(chain, tempera_candidates_weigh(&chain->c));
    return &chain->final;
}

struct tempera_sums tempera_chain_sums(struct tempera_chain *chain)
{
    struct tempera_sums sums = tempera_candidates_sums(&chain->c);
    if (!chain->final.is_there)
        set_final(chain, sums.W);
    return sums;
}

size_t tempera_chain_token(struct tempera_chain *chain)
{
    if (chain->row->sampler->draw == TEMPERA_DRAW_MASS) {
        struct tempera_sums sums = tempera_chain_sums(chain);
        return tempera_sums_draw(&sums,
                                 tempera_candidates_random_bits(&chain->c, TEMPERA_DRAW_TOKEN));
    }
    tempera_u128 key;
    struct tempera_top_n best = {(char *)&key, sizeof key, 1, 0};
    tempera_gumbel_top_n(&chain->c, &best);
    return tempera_candidates_find(&chain->c, tempera_id_of_key(key));
}

// ------------------------------------------------------------------------------------------------
// Results

static double next_level(struct tempera_chain *chain, size_t place)
{
    const struct tempera_stage *learner = tempera_feedback_stage(chain->row->sampler);
    if (learner == NULL)
        return tempera_row_feedback(chain->row);
    const struct tempera_candidates *c = &chain->c;
    double depth = tempera_gap(tempera_candidates_score(c, place), c->max, 1 / c->temperature);
    const struct tempera_drawn drawn = {place, depth + tempera_chain_final(chain)->nll_max};
    return tempera_stage_type_of(learner->kind)->next_feedback(c, learner, &drawn);
}

struct tempera_sample_result tempera_chain_result(struct tempera_chain *chain, size_t place)
{
    int32_t column = chain->c.whole != NULL ? (int32_t)place : chain->c.ids[place];
    struct tempera_sample_result result = {
        .status = TEMPERA_OK,
        .token = tempera_row_token(chain->row, column),
        .logprob = tempera_chain_logprob(chain, place),
        .n_kept = chain->c.n,
        .level = next_level(chain, place),
        .column = column,
    };
    tempera_row_fill_nan(&result.raw_logprob, 1);
    tempera_row_fill_nan(&result.tempered_logprob, 1);
    if (chain->row->want & TEMPERA_WANT_RAW_LOGPROB)
        result.raw_logprob = tempera_chain_raw_logprob(chain, column);
    if (chain->row->want & TEMPERA_WANT_TEMPERED_LOGPROB)
        result.tempered_logprob = tempera_chain_tempered_logprob(chain, column);
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
        .level = tempera_row_feedback(row),
        .tempered_logprob = -INFINITY,
        .column = -1,
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
