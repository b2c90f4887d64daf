// SPDX-License-Identifier: MIT
// A step of beam search. The best continuations so far are kept in the caller's output as keys of
// 128 bits: logprob, then parent, then token.
#include <tempera/decoding.h>

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arguments.h"
#include "base/exp.h"
#include "base/fpenv.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/size.h"
#include "kernels/kernels.h"
#include "kernels/scalars.h"
#include "sampler/row/top_n.h"
#include "sampler/row/u128.h"
#include "score/softmax/row_reduction.h"

_Static_assert(sizeof(struct tempera_beam) == sizeof(tempera_u128), "a beam has room for its key");

// A call, as its rows see it.
struct beam_step {
    const struct tempera_matrix *logits;
    const double *logprobs;
    const uint32_t *const *masks;
    struct tempera_top_n top;
    double least; // a logprob has to exceed it to be inserted
};

// ------------------------------------------------------------------------------------------------
// Keys

static tempera_u128 key_of(struct tempera_beam beam)
{
    uint64_t bits;
    double logprob = beam.logprob + 0.0; // the zeros are equal
    memcpy(&bits, &logprob, sizeof bits);
    bits = bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
    return (tempera_u128)bits << 64 | (uint64_t)~beam.parent << 32 | (uint32_t)~beam.token;
}

static struct tempera_beam beam_of(tempera_u128 key)
{
    struct tempera_beam beam = {.parent = ~(uint32_t)(key >> 32),
                                .token = (int32_t) ~(uint32_t)key};
    uint64_t bits = (uint64_t)(key >> 64);
    bits = bits >> 63 ? bits & ~((uint64_t)1 << 63) : ~bits;
    memcpy(&beam.logprob, &bits, sizeof bits);
    return beam;
}

// ------------------------------------------------------------------------------------------------
// Rows

// Parents and tokens come in order, so a tie with the last of the best comes after it.
static void offer(struct beam_step *step, size_t parent, size_t token, double logprob)
{
    if (!(logprob > step->least))
        return;
    struct tempera_top_n *top = &step->top;
    struct tempera_beam beam = {logprob, (int32_t)token, (uint32_t)parent};
    tempera_top_n_offer(top, key_of(beam));
    if (top->count == top->capacity)
        step->least = beam_of(tempera_top_n_key(top, 0)).logprob;
}

static enum tempera_status offer_row(struct beam_step *step, size_t r)
{
    struct tempera_row_source source =
        tempera_row_source_of(tempera_kernels_active(), step->logits, r);
    if (step->masks != NULL && step->masks[r] != NULL) {
        source.how.mask = step->masks[r];
        source.is_plain = false;
    }
    struct tempera_temperature_params params = tempera_temperature_params_of(1);
    struct tempera_row_reduction plan = tempera_row_reduce(&source, &params);
    enum tempera_status status = tempera_row_reduction_status(&plan);
    float buffer[TEMPERA_PIECE], raw[TEMPERA_PIECE];
    for (size_t at = 0; at < source.n && status == TEMPERA_OK; at += TEMPERA_PIECE) {
        size_t n = tempera_min(source.n - at, TEMPERA_PIECE);
        const float *x = tempera_row_piece(&source, at, n, buffer);
        tempera_row_reduction_log_softmax(&plan, source.kernels, x, n, raw);
        for (size_t i = 0; i < n; i++)
            offer(step, r, at + i, step->logprobs[r] + (double)raw[i]);
    }
    return status;
}

static enum tempera_status do_step(struct beam_step *step, struct tempera_beam *beams)
{
    enum tempera_status worst = TEMPERA_OK;
    for (size_t r = 0; r < step->logits->rows; r++) {
        if (!(step->logprobs[r] > -INFINITY)) // has ended
            continue;
        enum tempera_status status = offer_row(step, r);
        worst = status > worst ? status : worst;
    }
    tempera_top_n_sort(&step->top);
    for (size_t i = 0; i < step->top.count; i++)
        beams[i] = beam_of(tempera_top_n_key(&step->top, i));
    return worst;
}

// ------------------------------------------------------------------------------------------------
// Calls

static bool are_apart(const struct beam_step *step, const struct tempera_beam *beams, size_t width,
                      const size_t *n_found)
{
    const struct tempera_span spans[] = {
        tempera_span_of(beams, width, sizeof *beams, true),
        tempera_span_of(n_found, 1, sizeof *n_found, true),
        tempera_span_of(step->logprobs, step->logits->rows, sizeof *step->logprobs, false),
        tempera_matrix_span(step->logits, false),
    };
    return tempera_spans_are_apart(spans, 4, NULL, 0);
}

// Below +inf, by their bits: the caller's floating-point modes hold here.
static bool are_logprobs(const double *logprobs, size_t n)
{
    const uint64_t infinity = (uint64_t)0x7FF << 52, sign = (uint64_t)1 << 63;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &logprobs[i], sizeof bits);
        if ((bits & ~sign) >= infinity && bits != (infinity | sign))
            return false;
    }
    return true;
}

static enum tempera_status check(const struct beam_step *step, const struct tempera_beam *beams,
                                 size_t width, const size_t *n_found)
{
    TEMPERA_TRY(tempera_matrix_check(step->logits));
    const size_t n = step->logits->rows;
    size_t nbytes;
    TEMPERA_CHECK(step->logits->cols <= INT32_MAX && n <= UINT32_MAX, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK((n == 0 || step->logprobs != NULL) && (width == 0 || beams != NULL) &&
                      n_found != NULL && tempera_size_mul(width, sizeof *beams, &nbytes),
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(are_apart(step, beams, width, n_found), TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(are_logprobs(step->logprobs, n), TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

enum tempera_status tempera_beam_step(const struct tempera_matrix *logits, const double *logprobs,
                                      const uint32_t *const *masks, struct tempera_beam *beams,
                                      size_t width, size_t *n_found)
{
    struct beam_step step = {.logits = logits,
                             .logprobs = logprobs,
                             .masks = masks,
                             .top = {(char *)beams, sizeof *beams, width, 0},
                             .least = width > 0 ? -INFINITY : INFINITY};
    TEMPERA_TRY(check(&step, beams, width, n_found));
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&step);
    enum tempera_status status = do_step(&step, beams);
    tempera_fpenv_carry(&status);
    tempera_fpenv_leave(env);
    *n_found = step.top.count;
    return status;
}

static double score_of(double logprob, size_t length, double penalty)
{
    if (length == 0 || !(penalty >= -8 && penalty <= 8))
        return NAN;
    double y = penalty * tempera_log((double)length);
    return y > 0 ? logprob * tempera_exp(-y) : logprob / tempera_exp(y);
}

double tempera_beam_score(double logprob, size_t length, double penalty)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&logprob);
    tempera_fpenv_carry(&length);
    tempera_fpenv_carry(&penalty);
    double score = score_of(logprob, length, penalty);
    tempera_fpenv_carry(&score);
    tempera_fpenv_leave(env);
    return score;
}
