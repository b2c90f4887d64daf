// SPDX-License-Identifier: MIT
// Cross-entropy over shards of the vocabulary: statistics, their merge, and the loss and gradient
// that follow from them. The contract is in include/tempera/shards.h.
#include <tempera/shards.h>

#include <math.h>
#include <string.h>

#include "base/exp.h"
#include "base/fpenv.h"
#include "kernels/scalars.h"
#include "score/loss/cross_entropy.h"
#include "parallel/row_loop.h"
#include "score/loss/row_losses.h"
#include "score/softmax/row_reduction.h"

enum { PIECE = 1024 }; // elements of a row in work at a time

struct shard_job {
    const struct tempera_kernels *kernels;
    const struct tempera_matrix *logits;
    const int32_t *classes;
    struct tempera_shard_options options;
    struct tempera_temperature_params params;
    // Of the statistics
    struct tempera_row_statistics *statistics;
    // Of the loss
    const struct tempera_row_statistics *merged;
    const struct tempera_matrix *d_logits;
    float *row_logsumexp;
    double scale; // of the gradient of a row's loss
};

struct tempera_shard_options tempera_shard_options_default(void)
{
    return (struct tempera_shard_options){.struct_size = sizeof(struct tempera_shard_options),
                                          .temperature = 1,
                                          .ignore_index = TEMPERA_IGNORE_INDEX,
                                          .reduction = TEMPERA_REDUCTION_MEAN,
                                          .gradient_scale = 1};
}

static double canonical_nan(void)
{
    const uint64_t bits = 0x7FF8000000000000u;
    double nan;
    memcpy(&nan, &bits, sizeof nan);
    return nan;
}

static bool is_ignored(const struct shard_job *job, size_t r)
{
    return job->classes[r] == job->options.ignore_index;
}

// The column of the row's class; cols where another shard has it, or where the row is ignored.
static size_t target_of(const struct shard_job *job, size_t r)
{
    size_t cols = job->logits->cols, first = job->options.first_class;
    if (is_ignored(job, r) || (size_t)job->classes[r] < first)
        return cols;
    size_t column = (size_t)job->classes[r] - first;
    return column < cols ? column : cols;
}

// ------------------------------------------------------------------------------------------------
// Statistics

static double score_at(const struct shard_job *job, size_t r, size_t column)
{
    const struct tempera_prepare how = {.dtype = job->logits->dtype, .scale = 1};
    float score;
    job->kernels->convert.prepare(&how, tempera_matrix_element(job->logits, r, column), 0, 1,
                                  &score);
    return (double)score;
}

static enum tempera_status statistics_row(const struct shard_job *job, size_t r)
{
    struct tempera_row_source source = tempera_row_source_of(job->kernels, job->logits, r);
    struct tempera_row_reduction plan = tempera_row_reduce(&source, &job->params);
    struct tempera_row_statistics *s = &job->statistics[r];
    size_t target = target_of(job, r);
    *s = (struct tempera_row_statistics){
        .max = (double)plan.max,
        .target = target < job->logits->cols ? score_at(job, r, target) : -INFINITY};
    switch (plan.kind) {
    case TEMPERA_ROW_NAN:
        s->max = s->sum = s->target = canonical_nan();
        break;
    case TEMPERA_ROW_MASKED:
        break;
    case TEMPERA_ROW_UNIFORM_MAX:
    case TEMPERA_ROW_UNIFORM_ALL:
        s->sum = (double)plan.count;
        break;
    case TEMPERA_ROW_F64:
        s->sum = plan.sum_f64;
        break;
    case TEMPERA_ROW_F32:
        s->sum = plan.sum.sum / plan.sum.e_max;
        break;
    }
    return tempera_row_reduction_status(&plan);
}

static enum tempera_status statistics_rows(const void *context, size_t first, size_t end,
                                           enum tempera_status *row_status)
{
    enum tempera_status worst = TEMPERA_OK;
    for (size_t r = first; r < end; r++) {
        enum tempera_status status = statistics_row(context, r);
        if (row_status != NULL)
            row_status[r] = status;
        worst = status > worst ? status : worst;
    }
    return worst;
}

// What a sum with maximum m counts beside a maximum M >= m.
static double rescaled(double sum, double m, double M, double T)
{
    return m == M ? sum : sum * tempera_exp((m - M) / T);
}

static struct tempera_row_statistics merge(const struct tempera_row_statistics *a,
                                           const struct tempera_row_statistics *b, double T)
{
    if (a->max != a->max || b->max != b->max)
        return (struct tempera_row_statistics){canonical_nan(), canonical_nan(), canonical_nan()};
    double max = a->max > b->max ? a->max : b->max;
    return (struct tempera_row_statistics){.max = max,
                                           .sum = rescaled(a->sum, a->max, max, T) +
                                                  rescaled(b->sum, b->max, max, T),
                                           .target = a->target > b->target ? a->target : b->target};
}

__attribute__((noinline)) static void merge_rows(struct tempera_row_statistics *statistics,
                                                 const struct tempera_row_statistics *others,
                                                 size_t rows, float temperature)
{
    for (size_t r = 0; r < rows; r++)
        statistics[r] = merge(&statistics[r], &others[r], (double)temperature);
}

// ------------------------------------------------------------------------------------------------
// Loss and gradient

static void fill_gradient(const struct shard_job *job, size_t r, bool with_nan)
{
    const struct tempera_matrix *d = job->d_logits;
    if (d != NULL)
        tempera_row_fill(tempera_matrix_element(d, r, 0), d->dtype, d->cols, with_nan);
}

// How a row's p come from its scores.
struct share {
    const struct tempera_row_statistics *row;
    bool fits_f32;
    struct tempera_exponent exponent;
    double sum;     // of the kernel's exponentials
    double nothing; // the one of -inf, which counts 0
    bool is_held;   // f32 holds scale / sum well:
    float high, low;
};

static struct share share_of(const struct shard_job *job, const struct tempera_row_statistics *row)
{
    float max = (float)row->max;
    struct share share = {.row = row,
                          .fits_f32 = job->params.fits_f32 && tempera_max_fits_f32(max)};
    if (share.fits_f32) {
        share.exponent = tempera_exponent_of(max, &job->params);
        share.sum = row->sum * job->kernels->pieces.exp_one(max, &share.exponent);
        share.nothing = job->kernels->pieces.exp_one(-INFINITY, &share.exponent);
        share.is_held = tempera_loss_is_held_by_f32(job->scale / share.sum);
        if (share.is_held)
            tempera_split_inverse(job->scale, share.sum, &share.high, &share.low);
    }
    return share;
}

static double share_at(const struct shard_job *job, const struct share *share, float score)
{
    const struct tempera_row_statistics *row = share->row;
    if (row->max == INFINITY)
        return score == INFINITY ? 1 / row->sum : 0;
    if (!share->fits_f32)
        return tempera_exp(((double)score - row->max) / job->params.T) / row->sum;
    double e = job->kernels->pieces.exp_one(score, &share->exponent);
    return e > share->nothing ? e / share->sum : 0;
}

// out[n] = scale p of scores z[n]; may be z.
static void map_piece(const struct shard_job *job, const struct share *share, const float *z,
                      size_t n, float *out)
{
    double unused[16] = {0};
    if (share->is_held) {
        const struct tempera_loss_map map = {
            .high = share->high, .low = share->low, .e_masked = (float)share->nothing};
        job->kernels->pieces.exp_sum(z, n, &share->exponent, out, unused);
        job->kernels->loss.gradient(&map, out, NULL, n, out);
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(job->scale * share_at(job, share, z[i]));
}

static void gradient_row(const struct shard_job *job, size_t r,
                         const struct tempera_row_statistics *row)
{
    const struct tempera_matrix *d = job->d_logits;
    struct tempera_row_source source = tempera_row_source_of(job->kernels, job->logits, r);
    struct share share = share_of(job, row);
    size_t target = target_of(job, r), cols = d->cols;
    float buffers[2][PIECE];
    for (size_t at = 0; at < cols; at += PIECE) {
        size_t n = cols - at < PIECE ? cols - at : PIECE;
        const float *z = tempera_row_piece(&source, at, n, buffers[0]);
        float *out = d->dtype == TEMPERA_F32 ? tempera_matrix_element(d, r, at) : buffers[1];
        bool has_target = target >= at && target - at < n;
        double p_y = has_target ? share_at(job, &share, z[target - at]) : 0;
        map_piece(job, &share, z, n, out);
        if (has_target)
            out[target - at] = (float)(job->scale * (p_y - 1));
        if (d->dtype != TEMPERA_F32)
            job->kernels->convert.narrow(out, n, d->dtype, tempera_matrix_element(d, r, at));
    }
}

// Whether a row can have these: they may come from another machine.
static bool is_sound(const struct tempera_row_statistics *row)
{
    bool may_be_max =
        row->max == INFINITY || row->max == -INFINITY || fabs(row->max) <= (double)FLT_MAX;
    bool may_be_sum = row->max == -INFINITY || (row->sum >= 0.5 && row->sum < INFINITY);
    return may_be_max && may_be_sum && row->target <= row->max;
}

static enum tempera_status status_of(const struct tempera_row_statistics *row)
{
    bool target_is_masked =
        row->target == -INFINITY || (row->max == INFINITY && row->target != INFINITY);
    return !is_sound(row)          ? TEMPERA_NAN_INPUT // of NaNs, too
           : row->max == -INFINITY ? TEMPERA_ALL_MASKED
           : target_is_masked      ? TEMPERA_TARGET_MASKED
                                   : TEMPERA_OK;
}

static double logsumexp_of(const struct tempera_row_statistics *row, double T)
{
    if (!is_sound(row))
        return (double)NAN;
    return row->max - row->max != 0 ? row->max : row->max / T + tempera_log(row->sum);
}

static struct tempera_row_loss loss_row(const void *context, size_t r)
{
    const struct shard_job *job = context;
    const struct tempera_row_statistics *row = &job->merged[r];
    if (is_ignored(job, r)) {
        fill_gradient(job, r, false);
        if (job->row_logsumexp != NULL)
            job->row_logsumexp[r] = 0;
        return (struct tempera_row_loss){.status = TEMPERA_OK, .loss = 0};
    }
    enum tempera_status status = status_of(row);
    double T = job->params.T;
    if (job->row_logsumexp != NULL)
        tempera_store_float(&job->row_logsumexp[r], logsumexp_of(row, T));
    if (status != TEMPERA_OK) {
        fill_gradient(job, r, status == TEMPERA_NAN_INPUT);
        double loss = status == TEMPERA_NAN_INPUT ? (double)NAN : (double)INFINITY;
        return (struct tempera_row_loss){.status = status, .loss = loss};
    }
    if (job->d_logits != NULL)
        gradient_row(job, r, row);
    double below = row->max == INFINITY ? 0 : (row->max - row->target) / T;
    double loss = tempera_log(row->sum) + below;
    return (struct tempera_row_loss){.status = TEMPERA_OK, .loss = loss > 0 ? loss : 0};
}

// ------------------------------------------------------------------------------------------------
// Calls

// Runs with the default floating-point modes.
__attribute__((noinline)) static enum tempera_status
prepare(struct shard_job *job, const struct tempera_shard_options *options, size_t *count)
{
    TEMPERA_CHECK(options != NULL && options->struct_size >= sizeof *options,
                  TEMPERA_INVALID_ARGUMENT);
    job->options = *options;
    TEMPERA_CHECK(options->temperature > 0 && options->temperature < INFINITY,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(options->gradient_scale - options->gradient_scale == 0, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK((unsigned)options->reduction <= TEMPERA_REDUCTION_NONE, TEMPERA_INVALID_ARGUMENT);
    enum tempera_status status = tempera_matrix_check(job->logits);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    size_t rows = job->logits->rows;
    TEMPERA_CHECK(options->first_class <= options->n_classes &&
                      job->logits->cols <= options->n_classes - options->first_class,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(rows == 0 || job->classes != NULL, TEMPERA_INVALID_ARGUMENT);
    *count = 0;
    for (size_t r = 0; r < rows; r++) {
        TEMPERA_CHECK(is_ignored(job, r) ||
                          (job->classes[r] >= 0 && (size_t)job->classes[r] < options->n_classes),
                      TEMPERA_TARGET_OUT_OF_RANGE);
        *count += !is_ignored(job, r);
    }
    job->params = tempera_temperature_params_of((double)options->temperature);
    job->scale = (double)options->gradient_scale / job->params.T;
    if (options->reduction == TEMPERA_REDUCTION_MEAN && *count > 0)
        job->scale /= (double)*count;
    return TEMPERA_OK;
}

enum tempera_status tempera_shard_statistics(const struct tempera_matrix *logits,
                                             const int32_t *classes,
                                             const struct tempera_shard_options *options,
                                             struct tempera_row_statistics *statistics,
                                             const struct tempera_executor *executor)
{
    struct shard_job job = {.kernels = tempera_kernels_active(),
                            .logits = logits,
                            .classes = classes,
                            .statistics = statistics};
    size_t count;
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = prepare(&job, options, &count);
    tempera_fpenv_leave(env);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    size_t rows = logits->rows;
    TEMPERA_CHECK(rows == 0 || statistics != NULL, TEMPERA_INVALID_ARGUMENT);
    const struct tempera_vector vectors[] = {{statistics, rows * sizeof *statistics},
                                             {classes, rows * sizeof *classes}};
    TEMPERA_CHECK(tempera_vectors_are_apart(vectors, 2, &logits, 1), TEMPERA_INVALID_ARGUMENT);
    return tempera_rows_run(rows, logits->cols, statistics_rows, &job, NULL, executor);
}

enum tempera_status tempera_shard_merge(struct tempera_row_statistics *statistics,
                                        const struct tempera_row_statistics *others, size_t rows,
                                        float temperature)
{
    TEMPERA_CHECK(rows == 0 || (statistics != NULL && others != NULL), TEMPERA_INVALID_ARGUMENT);
    // By its bits, from the least float above 0 to the largest: the caller's modes have no say.
    TEMPERA_CHECK(tempera_float_bits(temperature) - 1 < 0x7F7FFFFFu, TEMPERA_INVALID_ARGUMENT);
    struct tempera_fpenv env = tempera_fpenv_enter();
    merge_rows(statistics, others, rows, temperature);
    tempera_fpenv_leave(env);
    return TEMPERA_OK;
}

static enum tempera_status check_outputs(const struct shard_job *job,
                                         const struct tempera_shard_outputs *out)
{
    const struct tempera_matrix *d = out->d_logits;
    if (d != NULL) {
        enum tempera_status status = tempera_matrix_check(d);
        TEMPERA_CHECK(status == TEMPERA_OK, status);
        TEMPERA_CHECK(tempera_matrix_same_shape(job->logits, d) &&
                          tempera_matrix_may_write(d, job->logits),
                      TEMPERA_INVALID_ARGUMENT);
    }
    size_t rows = job->logits->rows;
    TEMPERA_CHECK(rows == 0 || job->merged != NULL, TEMPERA_INVALID_ARGUMENT);
    const struct tempera_vector vectors[] = {{out->row_loss, rows * sizeof *out->row_loss},
                                             {out->row_logsumexp, rows * sizeof(float)},
                                             {out->row_status, rows * sizeof *out->row_status},
                                             {job->classes, rows * sizeof *job->classes},
                                             {job->merged, rows * sizeof *job->merged}};
    const struct tempera_matrix *const matrices[] = {job->logits, d};
    TEMPERA_CHECK(tempera_vectors_are_apart(vectors, 5, matrices, 2), TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

enum tempera_status tempera_shard_cross_entropy(const struct tempera_matrix *logits,
                                                const int32_t *classes,
                                                const struct tempera_row_statistics *statistics,
                                                const struct tempera_shard_options *options,
                                                const struct tempera_shard_outputs *outputs,
                                                const struct tempera_executor *executor)
{
    TEMPERA_CHECK(outputs != NULL && outputs->struct_size >= sizeof *outputs,
                  TEMPERA_INVALID_ARGUMENT);
    struct shard_job job = {.kernels = tempera_kernels_active(),
                            .logits = logits,
                            .classes = classes,
                            .merged = statistics,
                            .d_logits = outputs->d_logits,
                            .row_logsumexp = outputs->row_logsumexp};
    size_t count;
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = prepare(&job, options, &count);
    tempera_fpenv_leave(env);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    status = check_outputs(&job, outputs);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    const struct tempera_row_outputs rows = {outputs->row_loss, outputs->row_status};
    size_t divisor = job.options.reduction == TEMPERA_REDUCTION_MEAN ? count : 1;
    if (outputs->count != NULL)
        *outputs->count = count;
    return tempera_row_losses_reduce(logits->rows, loss_row, &job, &rows, divisor, outputs->loss,
                                     executor);
}
