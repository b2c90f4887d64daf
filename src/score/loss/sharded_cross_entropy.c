// SPDX-License-Identifier: MIT
// Cross-entropy over shards of the vocabulary: statistics, their merge, and the loss and gradient
// that follow from them. The contract is in include/tempera/shards.h.
#include <tempera/shards.h>

#include <math.h>
#include <string.h>

#include "base/exp.h"
#include "base/fpenv.h"
#include "base/matrix.h"
#include "base/size.h"
#include "kernels/scalars.h"
#include "parallel/row_loop.h"
#include "score/loss/cross_entropy_terms.h"
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

static enum tempera_status statistics_row(const void *context, size_t r)
{
    const struct shard_job *job = context;
    struct tempera_row_source source = tempera_row_source_of(job->kernels, job->logits, r);
    struct tempera_row_reduction reduction = tempera_row_reduce(&source, &job->params);
    struct tempera_row_statistics *s = &job->statistics[r];
    size_t target = target_of(job, r);
    *s = (struct tempera_row_statistics){
        .max = (double)reduction.max,
        .target = target < job->logits->cols ? score_at(job, r, target) : -INFINITY};
    switch (reduction.kind) {
    case TEMPERA_ROW_NAN:
        s->max = s->sum = s->target = canonical_nan();
        break;
    case TEMPERA_ROW_MASKED:
        break;
    case TEMPERA_ROW_UNIFORM_MAX:
    case TEMPERA_ROW_UNIFORM_ALL:
        s->sum = (double)reduction.count;
        break;
    case TEMPERA_ROW_F64:
        s->sum = reduction.sum_f64;
        break;
    case TEMPERA_ROW_F32:
        s->sum = reduction.sum.sum / reduction.sum.e_max;
        break;
    }
    return tempera_row_reduction_status(&reduction);
}

// A sum relative to maximum m, relative to a maximum M >= m.
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

static void merge_rows(struct tempera_row_statistics *statistics,
                       const struct tempera_row_statistics *others, size_t rows, float temperature)
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

// How a row's probabilities come from its scores.
struct row_probs {
    const struct tempera_row_statistics *row;
    bool fits_f32;
    struct tempera_exponent exponent;
    double sum;     // of the kernel's exponentials
    double nothing; // the one of -inf, which counts 0
    bool fits_factor; // f32 holds scale / sum well:
    float high, low;
};

static struct row_probs row_probs_of(const struct shard_job *job,
                                     const struct tempera_row_statistics *row)
{
    float max = (float)row->max;
    struct row_probs probs = {.row = row,
                              .fits_f32 = job->params.fits_f32 && tempera_max_fits_f32(max)};
    if (probs.fits_f32) {
        probs.exponent = tempera_exponent_of(max, &job->params);
        probs.sum = row->sum * job->kernels->pieces.exp_one(max, &probs.exponent);
        probs.nothing = job->kernels->pieces.exp_one(-INFINITY, &probs.exponent);
        probs.fits_factor = tempera_loss_factor_fits_f32(job->scale / probs.sum);
        if (probs.fits_factor)
            tempera_split_inverse(job->scale, probs.sum, &probs.high, &probs.low);
    }
    return probs;
}

static double prob_at(const struct shard_job *job, const struct row_probs *probs, float score)
{
    const struct tempera_row_statistics *row = probs->row;
    if (row->max == INFINITY)
        return score == INFINITY ? 1 / row->sum : 0;
    if (!probs->fits_f32)
        return tempera_exp(((double)score - row->max) / job->params.T) / row->sum;
    double e = job->kernels->pieces.exp_one(score, &probs->exponent);
    return e > probs->nothing ? e / probs->sum : 0;
}

// out[n] = scale p of scores z[n]; may be z.
static void map_piece(const struct shard_job *job, const struct row_probs *probs, const float *z,
                      size_t n, float *out)
{
    double unused[16] = {0};
    if (probs->fits_factor) {
        const struct tempera_loss_map map = {
            .high = probs->high, .low = probs->low, .e_masked = (float)probs->nothing};
        job->kernels->pieces.exp_sum(z, n, &probs->exponent, out, unused);
        job->kernels->loss.gradient(&map, out, NULL, n, out);
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(job->scale * prob_at(job, probs, z[i]));
}

static void gradient_row(const struct shard_job *job, size_t r,
                         const struct tempera_row_statistics *row)
{
    const struct tempera_matrix *d = job->d_logits;
    struct tempera_row_source source = tempera_row_source_of(job->kernels, job->logits, r);
    struct row_probs probs = row_probs_of(job, row);
    size_t target = target_of(job, r), cols = d->cols;
    float buffers[2][PIECE];
    for (size_t at = 0; at < cols; at += PIECE) {
        size_t n = tempera_min(cols - at, PIECE);
        const float *z = tempera_row_piece(&source, at, n, buffers[0]);
        float *out = d->dtype == TEMPERA_F32 ? tempera_matrix_element(d, r, at) : buffers[1];
        bool has_target = target >= at && target - at < n;
        double p_y = has_target ? prob_at(job, &probs, z[target - at]) : 0;
        map_piece(job, &probs, z, n, out);
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

static enum tempera_status loss_row(const void *context, size_t r, double *loss)
{
    const struct shard_job *job = context;
    const struct tempera_row_statistics *row = &job->merged[r];
    *loss = 0;
    if (is_ignored(job, r)) {
        fill_gradient(job, r, false);
        if (job->row_logsumexp != NULL)
            job->row_logsumexp[r] = 0;
        return TEMPERA_OK;
    }
    enum tempera_status status = status_of(row);
    double T = job->params.T;
    if (job->row_logsumexp != NULL)
        tempera_store_float(&job->row_logsumexp[r], logsumexp_of(row, T));
    if (status != TEMPERA_OK) {
        fill_gradient(job, r, status == TEMPERA_NAN_INPUT);
        *loss = status == TEMPERA_NAN_INPUT ? (double)NAN : (double)INFINITY;
        return status;
    }
    if (job->d_logits != NULL)
        gradient_row(job, r, row);
    double gap = row->max == INFINITY ? 0 : (row->max - row->target) / T;
    double computed = tempera_log(row->sum) + gap;
    *loss = computed > 0 ? computed : 0;
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Calls

// Runs with the default floating-point modes.
static enum tempera_status prepare(struct shard_job *job,
                                   const struct tempera_shard_options *options, size_t *count)
{
    TEMPERA_TRY(tempera_struct_read(options, sizeof *options, &job->options, sizeof *options));
    TEMPERA_CHECK(options->temperature > 0 && options->temperature < INFINITY,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(options->gradient_scale - options->gradient_scale == 0, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK((unsigned)options->reduction <= TEMPERA_REDUCTION_NONE, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_TRY(tempera_matrix_check(job->logits));
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
    size_t count = 0;
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&job);
    enum tempera_status status = prepare(&job, options, &count);
    tempera_fpenv_carry(&status);
    tempera_fpenv_leave(env);
    TEMPERA_TRY(status);
    size_t rows = logits->rows;
    TEMPERA_CHECK(rows == 0 || statistics != NULL, TEMPERA_INVALID_ARGUMENT);
    const struct tempera_span spans[] = {
        tempera_span_of(statistics, rows, sizeof *statistics, true),
        tempera_span_of(classes, rows, sizeof *classes, false),
        tempera_matrix_span(logits, false),
    };
    TEMPERA_CHECK(tempera_spans_are_apart(spans, 3, NULL, 0), TEMPERA_INVALID_ARGUMENT);
    return tempera_for_each_row(rows, logits->cols, statistics_row, &job, NULL, executor);
}

enum tempera_status tempera_shard_merge(struct tempera_row_statistics *statistics,
                                        const struct tempera_row_statistics *others, size_t rows,
                                        float temperature)
{
    TEMPERA_CHECK(rows == 0 || (statistics != NULL && others != NULL), TEMPERA_INVALID_ARGUMENT);
    // By its bits, from the least float above 0 to the largest: the caller's modes don't matter.
    TEMPERA_CHECK(tempera_float_bits(temperature) - 1 < 0x7F7FFFFFu, TEMPERA_INVALID_ARGUMENT);
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&temperature);
    merge_rows(statistics, others, rows, temperature);
    tempera_fpenv_leave(env);
    return TEMPERA_OK;
}

static enum tempera_status check_outputs(const struct shard_job *job,
                                         const struct tempera_shard_outputs *out)
{
    const struct tempera_matrix *d = out->d_logits;
    if (d != NULL) {
        TEMPERA_TRY(tempera_matrix_check(d));
        TEMPERA_CHECK(tempera_matrix_same_shape(job->logits, d) &&
                          tempera_matrix_may_write(d, job->logits),
                      TEMPERA_INVALID_ARGUMENT);
    }
    size_t rows = job->logits->rows;
    TEMPERA_CHECK(rows == 0 || job->merged != NULL, TEMPERA_INVALID_ARGUMENT);
    const struct tempera_span vectors[] = {
        tempera_span_of(out->row_loss, rows, sizeof *out->row_loss, true),
        tempera_span_of(out->row_logsumexp, rows, sizeof *out->row_logsumexp, true),
        tempera_span_of(out->row_status, rows, sizeof *out->row_status, true),
        tempera_span_of(job->classes, rows, sizeof *job->classes, false),
        tempera_span_of(job->merged, rows, sizeof *job->merged, false),
    };
    const struct tempera_span matrices[] = {tempera_matrix_span(job->logits, false),
                                            tempera_matrix_span(d, true)};
    TEMPERA_CHECK(tempera_spans_are_apart(vectors, 5, matrices, 2), TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

enum tempera_status tempera_shard_cross_entropy(const struct tempera_matrix *logits,
                                                const int32_t *classes,
                                                const struct tempera_row_statistics *statistics,
                                                const struct tempera_shard_options *options,
                                                const struct tempera_shard_outputs *outputs,
                                                const struct tempera_executor *executor)
{
    struct tempera_shard_outputs out;
    TEMPERA_TRY(tempera_struct_read(outputs, sizeof out, &out, sizeof out));
    struct shard_job job = {.kernels = tempera_kernels_active(),
                            .logits = logits,
                            .classes = classes,
                            .merged = statistics,
                            .d_logits = out.d_logits,
                            .row_logsumexp = out.row_logsumexp};
    size_t count = 0;
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&job);
    enum tempera_status status = prepare(&job, options, &count);
    tempera_fpenv_carry(&status);
    tempera_fpenv_leave(env);
    TEMPERA_TRY(status);
    TEMPERA_TRY(check_outputs(&job, &out));
    if (out.count != NULL)
        *out.count = count;
    const struct tempera_row_loss_outputs losses = {
        .row_loss = out.row_loss,
        .row_status = out.row_status,
        .loss = out.loss,
        .divisor = job.options.reduction == TEMPERA_REDUCTION_MEAN ? count : 1,
    };
    return tempera_row_losses(logits->rows, loss_row, &job, &losses, executor);
}
