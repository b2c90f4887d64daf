// SPDX-License-Identifier: MIT
#include "sampler/calls/chain.h"

#include "kernels/kernels.h"
#include "sampler/calls/state.h"
#include "sampler/row/scratch.h"
#include "sampler/stages/stages.h"

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

// A row of 16 bits is converted to f32 first, with -inf for what is masked.
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
    c->feedback = tempera_row_feedback(row);
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
// After the stages

static void set_final(struct tempera_chain *chain, tempera_u128 mass)
{
    struct tempera_final_masses *final = &chain->final;
    final->is_there = true;
    final->mass = mass;
    final->scale = tempera_mass_scale_of(&chain->c);
    final->inverse_T = 1 / chain->c.temperature;
    final->nll_max = tempera_nll_max_of(mass, &final->scale);
}

const struct tempera_final_masses *tempera_chain_final(struct tempera_chain *chain)
{
    if (!chain->final.is_there)
        set_final(chain, tempera_candidates_total_mass(&chain->c));
    return &chain->final;
}

struct tempera_block_sums tempera_chain_block_sums(struct tempera_chain *chain)
{
    struct tempera_block_sums sums = tempera_candidates_block_sums(&chain->c);
    if (!chain->final.is_there)
        set_final(chain, sums.mass);
    return sums;
}
