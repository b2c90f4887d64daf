// SPDX-License-Identifier: MIT
#include "sampler/calls/result.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/matrix.h"
#include "sampler/calls/logprobs.h"
#include "sampler/calls/state.h"
#include "sampler/row/columns.h"
#include "sampler/row/draw.h"
#include "sampler/row/gumbel.h"
#include "sampler/row/top_n.h"
#include "sampler/stages/stages.h"

size_t tempera_chain_draw(struct tempera_chain *chain)
{
    if (chain->row->sampler->draw == TEMPERA_DRAW_MASS) {
        struct tempera_block_sums sums = tempera_chain_block_sums(chain);
        return tempera_block_sums_draw(
            &sums, tempera_candidates_random_bits(&chain->c, TEMPERA_DRAW_TOKEN));
    }
    tempera_u128 key;
    struct tempera_top_n top = {(char *)&key, sizeof key, 1, 0};
    tempera_gumbel_top_n(&chain->c, &top);
    return tempera_candidates_find(&chain->c, tempera_id_of_key(key));
}

// ------------------------------------------------------------------------------------------------
// Results

static double next_feedback(struct tempera_chain *chain, size_t index)
{
    const struct tempera_candidates *c = &chain->c;
    const struct tempera_stage *stage = tempera_feedback_stage(chain->row->sampler);
    if (stage == NULL)
        return c->feedback;
    double gap = tempera_gap(tempera_candidates_score(c, index), c->max, 1 / c->temperature);
    const struct tempera_drawn drawn = {index, gap + tempera_chain_final(chain)->nll_max};
    return tempera_stage_type_of(stage->kind)->next_feedback(c, stage, &drawn);
}

struct tempera_sample_result tempera_chain_result(struct tempera_chain *chain, size_t index)
{
    int32_t column = chain->c.whole != NULL ? (int32_t)index : chain->c.ids[index];
    struct tempera_sample_result result = {
        .status = TEMPERA_OK,
        .token = tempera_row_token(chain->row, column),
        .logprob = tempera_chain_final_logprob(chain, index),
        .n_kept = chain->c.n,
        .level = next_feedback(chain, index),
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
