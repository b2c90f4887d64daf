// SPDX-License-Identifier: MIT
// Several draws from one row, with replacement and without.
#include <tempera/decoding.h>

#include <stddef.h>
#include <stdint.h>

#include "base/arguments.h"
#include "base/fpenv.h"
#include "sampler/calls/arguments.h"
#include "sampler/calls/chain.h"
#include "sampler/calls/logprobs.h"
#include "sampler/calls/result.h"
#include "sampler/row/draw.h"
#include "sampler/row/gumbel.h"
#include "sampler/row/top_n.h"

// What both calls check. n: the number of results.
static enum tempera_status check(const struct tempera_matrix *logits,
                                 const struct tempera_sample_row *row,
                                 const struct tempera_sample_result *results, size_t n,
                                 const size_t *n_drawn, void *scratch, size_t scratch_nbytes)
{
    TEMPERA_CHECK(logits != NULL && logits->rows == 1, TEMPERA_INVALID_ARGUMENT);
    struct tempera_call call = {.logits = logits,
                                .rows = row,
                                .scratch = scratch,
                                .scratch_nbytes = scratch_nbytes,
                                .n_slices = 1};
    tempera_call_add(&call, results, n, sizeof *results, true);
    if (n_drawn != NULL)
        tempera_call_add(&call, n_drawn, 1, sizeof *n_drawn, true);
    return tempera_call_check(&call);
}

// Runs the stages. Returns OK, or the status of a row that no token can be drawn from.
static enum tempera_status begin(struct tempera_chain *chain, const struct tempera_matrix *logits,
                                 const struct tempera_sample_row *row, void *scratch)
{
    enum tempera_status status = tempera_chain_begin(chain, logits, 0, row, scratch);
    if (status == TEMPERA_OK)
        status = tempera_chain_run(chain);
    if (status != TEMPERA_OK)
        tempera_report_without_token(row, status);
    return status;
}

// ------------------------------------------------------------------------------------------------
// With replacement

static enum tempera_status draw_many(const struct tempera_matrix *logits,
                                     const struct tempera_sample_row *row, size_t n_draws,
                                     struct tempera_sample_result *results, void *scratch)
{
    struct tempera_chain chain;
    enum tempera_status status = begin(&chain, logits, row, scratch);
    if (status != TEMPERA_OK) {
        for (size_t i = 0; i < n_draws; i++)
            results[i] = tempera_result_without_token(row, status);
        return status;
    }
    struct tempera_block_sums sums = tempera_chain_block_sums(&chain);
    for (size_t i = 0; i < n_draws; i++) {
        uint32_t draw = TEMPERA_DRAW_TOKEN + (uint32_t)i;
        size_t index =
            tempera_block_sums_draw(&sums, tempera_candidates_random_bits(&chain.c, draw));
        results[i] = tempera_chain_result(&chain, index);
    }
    tempera_chain_report(&chain);
    return status;
}

enum tempera_status tempera_sample_many(const struct tempera_matrix *logits,
                                        const struct tempera_sample_row *row, size_t n_draws,
                                        struct tempera_sample_result *results, void *scratch,
                                        size_t scratch_nbytes)
{
    const size_t most_draws = (size_t)1 << 30;
    TEMPERA_CHECK(n_draws < most_draws, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_TRY(check(logits, row, results, n_draws, NULL, scratch, scratch_nbytes));
    TEMPERA_CHECK(row->sampler->draw == TEMPERA_DRAW_MASS, TEMPERA_INVALID_ARGUMENT);
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = draw_many(logits, row, n_draws, results, scratch);
    tempera_fpenv_carry(&status);
    tempera_fpenv_leave(env);
    return status;
}

// ------------------------------------------------------------------------------------------------
// Without replacement

// The results hold the keys of the first k until all candidates were offered.
static enum tempera_status draw_distinct(const struct tempera_matrix *logits,
                                         const struct tempera_sample_row *row, size_t k,
                                         struct tempera_sample_result *results, size_t *n_drawn,
                                         void *scratch)
{
    struct tempera_chain chain;
    struct tempera_top_n top = {(char *)results, sizeof *results, k, 0};
    enum tempera_status status = begin(&chain, logits, row, scratch);
    if (status == TEMPERA_OK)
        tempera_gumbel_top_n(&chain.c, &top);
    for (size_t i = 0; i < top.count; i++) {
        int32_t id = tempera_id_of_key(tempera_top_n_key(&top, i));
        results[i] = tempera_chain_result(&chain, tempera_candidates_find(&chain.c, id));
    }
    if (status == TEMPERA_OK)
        tempera_chain_report(&chain);
    *n_drawn = top.count;
    return status;
}

enum tempera_status tempera_sample_distinct(const struct tempera_matrix *logits,
                                            const struct tempera_sample_row *row, size_t k,
                                            struct tempera_sample_result *results, size_t *n_drawn,
                                            void *scratch, size_t scratch_nbytes)
{
    TEMPERA_CHECK(n_drawn != NULL, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_TRY(check(logits, row, results, k, n_drawn, scratch, scratch_nbytes));
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = draw_distinct(logits, row, k, results, n_drawn, scratch);
    tempera_fpenv_carry(&status);
    tempera_fpenv_leave(env);
    return status;
}
