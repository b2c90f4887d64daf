// SPDX-License-Identifier: MIT
// Speculative verification: a chain of drafted tokens, one position after the other.
#include "sampler/calls/speculative.h"

#include <tempera/decoding.h>

#include <stddef.h>

#include "base/arguments.h"
#include "base/fpenv.h"
#include "base/half.h"
#include "base/matrix.h"
#include "sampler/calls/arguments.h"
#include "sampler/calls/chain.h"
#include "sampler/calls/logprobs.h"
#include "sampler/calls/result.h"
#include "sampler/calls/state.h"
#include "sampler/row/draw.h"
#include "sampler/row/masses.h"

// A call, as its positions see it.
struct verification {
    const struct tempera_matrix *logits;
    const struct tempera_sample_row *rows;
    struct tempera_sampler_state *state;
    const int32_t *drafted;
    size_t n_drafted;
    const struct tempera_matrix *draft_probs;
    struct tempera_sample_result *results;
    size_t *n_tokens;
    char *scratch;
};

// ------------------------------------------------------------------------------------------------
// One position, in integers

static float draft_prob(const struct tempera_draft *draft, size_t id)
{
    if (draft->dtype == TEMPERA_F32)
        return ((const float *)draft->q)[id];
    uint16_t half = ((const uint16_t *)draft->q)[id];
    return draft->dtype == TEMPERA_F16 ? tempera_f16_to_f32(half) : tempera_bf16_to_f32(half);
}

// To nearest even: q 2^51 + 2^52 is rounded to an integer.
uint64_t tempera_draft_mass(const struct tempera_draft *draft, int32_t id)
{
    if (draft->q == NULL)
        return id == draft->token ? (uint64_t)1 << 51 : 0;
    double scaled = (double)draft_prob(draft, (size_t)id) * 0x1p51;
    return (uint64_t)((scaled + 0x1p52) - 0x1p52);
}

static tempera_u128 draft_total(const struct tempera_draft *draft, size_t vocab)
{
    if (draft->q == NULL)
        return (tempera_u128)1 << 51;
    tempera_u128 total = 0;
    for (size_t id = 0; id < vocab; id++)
        total += tempera_draft_mass(draft, (int32_t)id);
    return total;
}

// The highest 60 bits of x > 0: x is about those times 2^*exponent.
static uint64_t highest_bits(tempera_u128 x, int *exponent)
{
    for (*exponent = 0; x >> 60 != 0; x >>= 1)
        ++*exponent;
    for (; x >> 59 == 0; x <<= 1)
        --*exponent;
    return (uint64_t)x;
}

struct tempera_speculation tempera_speculation_of(tempera_u128 W, tempera_u128 V)
{
    int W_exponent, V_exponent;
    struct tempera_speculation speculation = {.target_mass = highest_bits(W, &W_exponent),
                                              .draft_mass = highest_bits(V, &V_exponent)};
    if (W_exponent > V_exponent)
        speculation.target_shift = W_exponent - V_exponent;
    else
        speculation.draft_shift = V_exponent - W_exponent;
    return speculation;
}

// w V and v W, both below 2^112.
static tempera_u128 target_product(const struct tempera_speculation *speculation, uint64_t w)
{
    return (tempera_u128)w * speculation->draft_mass >> speculation->target_shift;
}

static tempera_u128 draft_product(const struct tempera_speculation *speculation, uint64_t v)
{
    return (tempera_u128)v * speculation->target_mass >> speculation->draft_shift;
}

// floor(r v W / 2^64) < w V, the product in two halves.
bool tempera_speculation_accepts(const struct tempera_speculation *speculation, uint64_t w,
                                 uint64_t v, uint64_t r)
{
    tempera_u128 product = draft_product(speculation, v);
    tempera_u128 low = (tempera_u128)r * (uint64_t)product;
    return r * (product >> 64) + (low >> 64) < target_product(speculation, w);
}

static tempera_u128 residual(const struct tempera_speculation *speculation, uint64_t w, uint64_t v)
{
    tempera_u128 a = target_product(speculation, w), b = draft_product(speculation, v);
    return a > b ? a - b : 0;
}

bool tempera_speculation_take_residuals(const struct tempera_speculation *speculation,
                                        const struct tempera_draft *draft,
                                        struct tempera_candidates *c)
{
    tempera_u128 largest = 0;
    for (size_t i = 0; i < c->n; i++) {
        tempera_u128 u = residual(speculation, c->masses[i], tempera_draft_mass(draft, c->ids[i]));
        largest = u > largest ? u : largest;
    }
    if (largest == 0)
        return false;
    int shift = 0;
    while (largest >> shift >> 52 != 0)
        shift++;
    for (size_t i = 0; i < c->n; i++) {
        tempera_u128 u = residual(speculation, c->masses[i], tempera_draft_mass(draft, c->ids[i]));
        c->masses[i] = (uint64_t)(u >> shift);
    }
    return true;
}

// ------------------------------------------------------------------------------------------------
// Positions

static struct tempera_draft draft_at(const struct verification *v, size_t i)
{
    struct tempera_draft draft = {.token = v->drafted[i]};
    if (v->draft_probs != NULL) {
        draft.q = tempera_matrix_element(v->draft_probs, i, 0);
        draft.dtype = v->draft_probs->dtype;
    }
    return draft;
}

static bool accepts(struct tempera_chain *chain, const struct tempera_speculation *speculation,
                    const struct tempera_draft *draft, size_t index)
{
    struct tempera_candidates *c = &chain->c;
    uint64_t r = (uint64_t)tempera_candidates_random_bits(c, TEMPERA_DRAW_ACCEPT);
    return index != SIZE_MAX &&
           tempera_speculation_accepts(speculation, c->masses[index],
                                       tempera_draft_mass(draft, draft->token), r);
}

// The index of the token at a position with a draft; *accepted: it is the drafted one. If p - q is
// 0 everywhere, or there was no draft, the token is drawn from p.
static size_t verify(const struct verification *v, size_t i, struct tempera_chain *chain,
                     bool *accepted)
{
    struct tempera_candidates *c = &chain->c;
    struct tempera_draft draft = draft_at(v, i);
    tempera_candidates_gather(c);
    tempera_u128 W = tempera_candidates_fill_masses(c);
    tempera_u128 V = draft_total(&draft, v->logits->cols);
    if (V > 0) {
        struct tempera_speculation speculation = tempera_speculation_of(W, V);
        size_t index = tempera_candidates_find(c, draft.token);
        *accepted = accepts(chain, &speculation, &draft, index);
        if (*accepted)
            return index;
        tempera_speculation_take_residuals(&speculation, &draft, c);
    }
    tempera_u128 bits = tempera_candidates_random_bits(c, TEMPERA_DRAW_RESIDUAL);
    return tempera_draw_index(c->masses, c->n, bits);
}

static enum tempera_status do_position(const struct verification *v, size_t i, bool *goes_on)
{
    struct tempera_sample_row row = v->rows[i];
    row.state = v->state;
    struct tempera_chain chain;
    enum tempera_status status = tempera_chain_begin(&chain, v->logits, i, &row, v->scratch);
    if (v->state == NULL)
        chain.c.step = i;
    if (status == TEMPERA_OK)
        status = tempera_chain_run(&chain);
    if (status != TEMPERA_OK) {
        tempera_report_without_token(&row, status);
        return status;
    }
    *goes_on = false;
    size_t index = i < v->n_drafted ? verify(v, i, &chain, goes_on) : tempera_chain_draw(&chain);
    v->results[i] = tempera_chain_result(&chain, index);
    tempera_chain_report(&chain);
    return v->state == NULL ? TEMPERA_OK
                            : tempera_sampler_accept(v->state, v->results[i].token, &v->results[i]);
}

static enum tempera_status do_chain(const struct verification *v)
{
    bool goes_on = true;
    *v->n_tokens = 0;
    for (size_t i = 0; i <= v->n_drafted && goes_on; i++) {
        TEMPERA_TRY(do_position(v, i, &goes_on));
        ++*v->n_tokens;
    }
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// The call

// In [0, 1], by their bits: the caller's floating-point modes hold here.
static bool are_probabilities(const struct tempera_matrix *probs)
{
    const uint32_t one = 0x3F800000u, minus_zero = 0x80000000u;
    for (size_t r = 0; r < probs->rows; r++) {
        struct tempera_draft draft = {tempera_matrix_element(probs, r, 0), probs->dtype, 0};
        for (size_t id = 0; id < probs->cols; id++) {
            uint32_t bits = tempera_float_bits(draft_prob(&draft, id));
            if (bits > one && bits != minus_zero)
                return false;
        }
    }
    return true;
}

static enum tempera_status check_draft(const struct verification *v)
{
    for (size_t i = 0; i < v->n_drafted; i++)
        TEMPERA_CHECK((size_t)v->drafted[i] < v->logits->cols, TEMPERA_TOKEN_OUT_OF_RANGE);
    TEMPERA_CHECK(v->draft_probs == NULL || are_probabilities(v->draft_probs),
                  TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

static enum tempera_status check_draft_matrix(const struct verification *v)
{
    const struct tempera_matrix *probs = v->draft_probs;
    if (probs == NULL)
        return TEMPERA_OK;
    TEMPERA_TRY(tempera_matrix_check(probs));
    TEMPERA_CHECK(probs->rows == v->n_drafted && probs->cols == v->logits->cols,
                  TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

// The rows are those of one sequence.
static enum tempera_status check_rows(const struct verification *v)
{
    const struct tempera_sample_row *first = &v->rows[0];
    for (size_t i = 0; i <= v->n_drafted; i++) {
        const struct tempera_sample_row *row = &v->rows[i];
        TEMPERA_CHECK(row->state == NULL && row->tokens == NULL && row->sampler == first->sampler &&
                          row->seed == first->seed && row->stream == first->stream,
                      TEMPERA_INVALID_ARGUMENT);
    }
    TEMPERA_TRY(tempera_sampler_check(first->sampler, NULL));
    return tempera_state_fits_sampler(v->state, first->sampler);
}

static enum tempera_status check(const struct verification *v, size_t scratch_nbytes)
{
    TEMPERA_CHECK(v->logits != NULL && v->rows != NULL && v->n_tokens != NULL &&
                      v->n_drafted < SIZE_MAX && v->logits->rows == v->n_drafted + 1,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_TRY(check_rows(v));
    TEMPERA_TRY(check_draft_matrix(v));
    struct tempera_call call = {.logits = v->logits,
                                .rows = v->rows,
                                .other = v->draft_probs,
                                .scratch = v->scratch,
                                .scratch_nbytes = scratch_nbytes,
                                .n_slices = 1};
    tempera_call_add(&call, v->results, v->n_drafted + 1, sizeof *v->results, true);
    tempera_call_add(&call, v->n_tokens, 1, sizeof *v->n_tokens, true);
    tempera_call_add(&call, v->drafted, v->n_drafted, sizeof *v->drafted, false);
    if (v->state != NULL)
        tempera_call_add(&call, v->state, v->state->nbytes, 1, true);
    TEMPERA_TRY(tempera_call_check(&call));
    return check_draft(v);
}

enum tempera_status tempera_speculative_verify(
    const struct tempera_matrix *logits, const struct tempera_sample_row *rows,
    struct tempera_sampler_state *state, const int32_t *drafted, size_t n_drafted,
    const struct tempera_matrix *draft_probs, struct tempera_sample_result *results,
    size_t *n_tokens, void *scratch, size_t scratch_nbytes)
{
    const struct verification v = {logits,      rows,    state,    drafted, n_drafted,
                                   draft_probs, results, n_tokens, scratch};
    TEMPERA_TRY(check(&v, scratch_nbytes));
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = do_chain(&v);
    tempera_fpenv_carry(&status);
    tempera_fpenv_leave(env);
    return status;
}
