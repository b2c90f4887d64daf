// SPDX-License-Identifier: MIT
// The calls: checks, then each row through its stages to a token or a distribution. Read next:
// candidates.c.
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/exp.h"
#include "base/fpenv.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "sampler/sampler.h"
#include "score/row_plan.h"
#include "score/rows.h"

// A call, as its rows see it.
struct sample_job {
    const struct tempera_matrix *logits;
    const struct tempera_sample_row *rows;
    struct tempera_sample_result *results;
    const struct tempera_matrix *probs; // NULL: tokens only
    char *scratch;
    size_t slice_nbytes;
    atomic_size_t next_row;
    atomic_int worst;
};

// A row's scores, the mask and how many of them it speaks of.
struct allowed_scores {
    const float *z;
    const uint32_t *mask;
    size_t n;
};

// ------------------------------------------------------------------------------------------------
// Scratch: one slice for each row that may be in work at a time, that is, for each thread.

enum { ALIGNMENT = 64 };

static size_t n_slices(size_t n_rows, const struct tempera_executor *executor)
{
    size_t n_threads = executor == NULL || executor->n_threads == 0 ? 1 : executor->n_threads;
    return n_rows < n_threads ? n_rows : n_threads;
}

static size_t aligned(size_t nbytes)
{
    return (nbytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t n_maxima(size_t cols)
{
    return (cols + TEMPERA_SURVEY_BLOCK - 1) / TEMPERA_SURVEY_BLOCK;
}

// Can't overflow: cols is below 2^31, and room not much more than that many floats.
static size_t slice_nbytes(size_t cols, size_t room_nbytes)
{
    return 5 * TEMPERA_ROOM(cols) * sizeof(float) + aligned(n_maxima(cols) * sizeof(float)) +
           aligned(TEMPERA_PATCHES * sizeof(struct tempera_patch)) + aligned(room_nbytes);
}

static struct tempera_candidates candidates_in(char *slice, size_t cols)
{
    size_t row = TEMPERA_ROOM(cols) * sizeof(float); // a multiple of ALIGNMENT
    char *maxima = slice + 5 * row, *patches = maxima + aligned(n_maxima(cols) * sizeof(float));
    return (struct tempera_candidates){
        .masses = (uint64_t *)(void *)slice,
        .scores = (float *)(void *)(slice + 2 * row),
        .own = (float *)(void *)(slice + 3 * row),
        .ids = (int32_t *)(void *)(slice + 4 * row),
        .maxima = (float *)(void *)maxima,
        .patches = (struct tempera_patch *)(void *)patches,
        .room = patches + aligned(TEMPERA_PATCHES * sizeof(struct tempera_patch)),
    };
}

size_t tempera_sample_scratch_nbytes(const struct tempera_matrix *logits,
                                     const struct tempera_sampler *sampler,
                                     const struct tempera_executor *executor)
{
    size_t nbytes;
    if (logits == NULL || logits->cols > INT32_MAX ||
        tempera_sampler_check(sampler, NULL) != TEMPERA_OK)
        return 0;
    size_t slice = slice_nbytes(logits->cols, tempera_sampler_room(sampler, logits->cols));
    return tempera_size_mul(slice, n_slices(logits->rows, executor), &nbytes) ? nbytes : 0;
}

// ------------------------------------------------------------------------------------------------
// A row

static struct allowed_scores allowed_in(const struct sample_job *job, size_t r)
{
    const struct tempera_sample_row *row = &job->rows[r];
    struct allowed_scores a = {tempera_matrix_row(job->logits, r), row->mask, job->logits->cols};
    if (row->mask != NULL && row->mask_nbits < a.n)
        a.n = row->mask_nbits;
    return a;
}

// The bits that tempera_log_softmax gives for this score at T = 1.
static float raw_logprob_of(struct allowed_scores a, int32_t token)
{
    struct tempera_row_source source = {
        .kernels = tempera_kernels(),
        .how = {.dtype = TEMPERA_F32, .mask = a.mask, .scale = 1},
        .z = a.z,
        .n = a.n,
        .is_plain = a.mask == NULL,
    };
    struct tempera_heat heat = tempera_heat_of(1);
    struct tempera_row_plan plan = tempera_row_plan_of(&source, &heat);
    float logprob;
    tempera_row_plan_log_softmax(&plan, source.kernels, &a.z[token], 1, &logprob);
    return logprob;
}

// -ln p = x + lambda
static double surprise_of(const struct tempera_candidates *c, size_t place, tempera_u128 W)
{
    struct tempera_scale scale = tempera_scale_of(c);
    float score = tempera_candidates_score(c, place);
    return tempera_depth(score, c->max, 1 / c->temperature) + tempera_lambda_of(W, &scale);
}

static void write_probs(struct tempera_candidates *c, float *probs)
{
    tempera_candidates_gather(c);
    tempera_u128 W = tempera_candidates_fill_masses(c);
    for (size_t i = 0; i < c->n; i++)
        probs[c->ids[i]] = (float)((double)c->masses[i] / (double)W);
}

// probs: NULL, or the row to write, which is all 0.
static struct tempera_sample_result sample_row(const struct sample_job *job, size_t r, char *slice,
                                               float *probs)
{
    const struct tempera_sample_row *row = &job->rows[r];
    struct allowed_scores allowed = allowed_in(job, r);
    struct tempera_candidates c = candidates_in(slice, job->logits->cols);
    c.row = row;
    struct tempera_sample_result result = {
        .status = tempera_candidates_begin(&c, allowed.z, allowed.mask, allowed.n),
        .token = -1,
        .raw_logprob = -INFINITY,
        .logprob = -INFINITY,
        .level = tempera_row_level(row),
    };
    if (result.status != TEMPERA_OK)
        return result;
    for (size_t i = 0; i < row->sampler->n_stages && c.n > 0; i++) {
        const struct tempera_stage *stage = &row->sampler->stages[i];
        const struct tempera_stage_type *type = tempera_stage_type_of(stage->kind);
        if (!type->takes_whole)
            tempera_candidates_gather(&c);
        type->apply(&c, stage);
    }
    if (c.n == 0) { // everything was banned
        result.status = TEMPERA_ALL_MASKED;
        return result;
    }
    tempera_u128 W, bits = tempera_candidates_luck(&c, TEMPERA_DRAW_TOKEN);
    struct tempera_drawn drawn = {.place = tempera_candidates_draw(&c, bits, &W)};
    drawn.surprise = surprise_of(&c, drawn.place, W);
    result.token = c.whole != NULL ? (int32_t)drawn.place : c.ids[drawn.place];
    result.raw_logprob = raw_logprob_of(allowed, result.token);
    result.logprob = (float)-drawn.surprise;
    result.n_kept = c.n;
    const struct tempera_stage *learner = tempera_learning_stage(row->sampler);
    if (learner != NULL)
        result.level = tempera_stage_type_of(learner->kind)->learn(&c, learner, &drawn);
    if (probs != NULL)
        write_probs(&c, probs);
    return result;
}

static enum tempera_status do_row(const struct sample_job *job, size_t r, char *slice)
{
    size_t cols = job->logits->cols;
    float *probs = NULL;
    if (job->probs != NULL) {
        probs = tempera_matrix_row(job->probs, r);
        memset(probs, 0, cols * sizeof *probs);
    }
    struct tempera_sample_result *result = &job->results[r];
    *result = sample_row(job, r, slice, probs);
    if (result->status == TEMPERA_NAN_INPUT) {
        tempera_row_fill_nan(&result->raw_logprob, 1);
        tempera_row_fill_nan(&result->logprob, 1);
        if (probs != NULL)
            tempera_row_fill_nan(probs, cols);
    }
    return result->status;
}

// A task owns a slice and takes rows until there are none left. Which task does a row can't be
// seen in its result.
static void run_task(void *context, size_t slice)
{
    struct sample_job *job = context;
    int worst = TEMPERA_OK;
    struct tempera_fpenv env = tempera_fpenv_enter();
    for (;;) {
        size_t r = atomic_fetch_add(&job->next_row, 1);
        if (r >= job->logits->rows)
            break;
        int status = (int)do_row(job, r, job->scratch + slice * job->slice_nbytes);
        worst = status > worst ? status : worst;
    }
    tempera_fpenv_leave(env);
    int seen = atomic_load(&job->worst);
    while (worst > seen && !atomic_compare_exchange_weak(&job->worst, &seen, worst))
        continue;
}

// ------------------------------------------------------------------------------------------------
// Checks

static enum tempera_status check_tokens(const struct tempera_sampler *sampler, size_t cols)
{
    for (size_t s = 0; s < sampler->n_stages; s++) {
        const struct tempera_stage *stage = &sampler->stages[s];
        const struct tempera_stage_type *type = tempera_stage_type_of(stage->kind);
        int32_t highest = type->highest_token == NULL ? -1 : type->highest_token(stage);
        TEMPERA_CHECK(highest < 0 || (size_t)highest < cols, TEMPERA_TOKEN_OUT_OF_RANGE);
    }
    return TEMPERA_OK;
}

static enum tempera_status check_row(const struct tempera_sample_row *row, size_t cols)
{
    enum tempera_status status = tempera_sampler_check(row->sampler, NULL);
    if (status == TEMPERA_OK)
        status = tempera_state_check(row->state, row->sampler);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    TEMPERA_CHECK(row->reserved[0] == 0 && row->reserved[1] == 0, TEMPERA_INVALID_ARGUMENT);
    return check_tokens(row->sampler, cols);
}

static enum tempera_status check_probs(const struct sample_job *job)
{
    enum tempera_status status = tempera_matrix_check_f32(job->probs);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    TEMPERA_CHECK(tempera_matrix_same_shape(job->logits, job->probs) &&
                      (job->logits->rows == 0 || job->probs->data != job->logits->data) &&
                      tempera_matrix_may_write(job->probs, job->logits),
                  TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

// No output may lie in an input, or in another output.
static bool are_apart(const struct sample_job *job, size_t scratch_nbytes)
{
    const size_t n = job->logits->rows;
    const struct {
        const void *data;
        size_t count, nbytes;
    } arrays[] = {
        {job->rows, n, sizeof *job->rows},
        {job->results, n, sizeof *job->results},
        {job->scratch, scratch_nbytes, 1},
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        size_t nbytes;
        if (!tempera_size_mul(arrays[i].count, arrays[i].nbytes, &nbytes))
            return false;
        if (i > 0 && !tempera_matrix_is_apart(job->logits, arrays[i].data, nbytes, 1))
            return false;
        if (job->probs != NULL && !tempera_matrix_is_apart(job->probs, arrays[i].data, nbytes, 1))
            return false;
        for (size_t j = 0; j < i; j++)
            if (!tempera_ranges_are_apart(arrays[i].data, nbytes, arrays[j].data,
                                          arrays[j].count * arrays[j].nbytes))
                return false;
    }
    return true;
}

// Finds the size of a slice, too.
static enum tempera_status check_call(struct sample_job *job, size_t scratch_nbytes,
                                      const struct tempera_executor *executor)
{
    enum tempera_status status = tempera_matrix_check_f32(job->logits);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    TEMPERA_CHECK(job->logits->cols <= INT32_MAX, TEMPERA_INVALID_ARGUMENT);
    if (job->probs != NULL)
        status = check_probs(job);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    TEMPERA_CHECK(job->logits->rows == 0 ||
                      (job->rows != NULL && job->results != NULL && job->scratch != NULL),
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK((uintptr_t)job->scratch % ALIGNMENT == 0, TEMPERA_INVALID_ARGUMENT);
    size_t room = 0, needed;
    for (size_t r = 0; r < job->logits->rows; r++) {
        status = check_row(&job->rows[r], job->logits->cols);
        TEMPERA_CHECK(status == TEMPERA_OK, status);
        size_t own = tempera_sampler_room(job->rows[r].sampler, job->logits->cols);
        room = own > room ? own : room;
    }
    job->slice_nbytes = slice_nbytes(job->logits->cols, room);
    TEMPERA_CHECK(
        tempera_size_mul(job->slice_nbytes, n_slices(job->logits->rows, executor), &needed),
        TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(scratch_nbytes >= needed, TEMPERA_BUFFER_TOO_SMALL);
    TEMPERA_CHECK(are_apart(job, needed), TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Calls

static enum tempera_status run(struct sample_job *job, size_t scratch_nbytes,
                               const struct tempera_executor *executor)
{
    enum tempera_status status = check_call(job, scratch_nbytes, executor);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    atomic_init(&job->next_row, 0);
    atomic_init(&job->worst, TEMPERA_OK);
    tempera_parallel_for(executor, n_slices(job->logits->rows, executor), run_task, job);
    return (enum tempera_status)atomic_load(&job->worst);
}

enum tempera_status tempera_sample(const struct tempera_matrix *logits,
                                   const struct tempera_sample_row *rows,
                                   struct tempera_sample_result *results, void *scratch,
                                   size_t scratch_nbytes, const struct tempera_executor *executor)
{
    struct sample_job job = {
        .logits = logits, .rows = rows, .results = results, .scratch = scratch};
    return run(&job, scratch_nbytes, executor);
}

enum tempera_status
tempera_sampler_probs(const struct tempera_matrix *logits, const struct tempera_sample_row *rows,
                      const struct tempera_matrix *probs, struct tempera_sample_result *results,
                      void *scratch, size_t scratch_nbytes, const struct tempera_executor *executor)
{
    TEMPERA_CHECK(probs != NULL, TEMPERA_INVALID_ARGUMENT);
    struct sample_job job = {
        .logits = logits, .rows = rows, .results = results, .probs = probs, .scratch = scratch};
    return run(&job, scratch_nbytes, executor);
}
