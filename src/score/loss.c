// SPDX-License-Identifier: MIT
// Cross-entropy from logits, forward and backward in one call. The contract, with every edge, is
// in include/tempera/loss.h; the arithmetic of ordinary rows is in kernels/.
#include <tempera/loss.h>

#include <math.h>
#include <string.h>

#include "base/exp.h"
#include "base/fpenv.h"
#include "kernels/kernels.h"
#include "kernels/scalars.h"
#include "score/row_plan.h"
#include "score/rows.h"

struct tempera_cross_entropy_options tempera_cross_entropy_options_default(void)
{
    return (struct tempera_cross_entropy_options){
        .struct_size = sizeof(struct tempera_cross_entropy_options),
        .temperature = 1,
        .ignore_index = TEMPERA_IGNORE_INDEX,
        .reduction = TEMPERA_REDUCTION_MEAN,
        .gradient_scale = 1,
    };
}

// Rows are reduced in at most this many blocks, each summed in order, then the blocks in order:
// the sum's bits depend on the number of rows alone, and no memory is needed but a small array.
enum { MOST_BLOCKS = 64 };

struct loss_job {
    const struct tempera_kernels *kernels;
    const struct tempera_matrix *logits;
    const int32_t *classes;
    const struct tempera_matrix *soft; // targets, if classes is NULL
    struct tempera_cross_entropy_options options;
    struct tempera_cross_entropy_outputs outputs;
    struct tempera_heat heat;
    double scale; // of the gradient of a row's loss
    size_t rows_per_block;
    double block_loss[MOST_BLOCKS];
    enum tempera_status block_status[MOST_BLOCKS];
};

// ------------------------------------------------------------------------------------------------
// One row

struct row_result {
    enum tempera_status status;
    double loss;
    double logsumexp;
};

static void zero_gradient(float *g, size_t n)
{
    if (g != NULL)
        memset(g, 0, n * sizeof *g);
}

static bool is_ignored(const struct loss_job *job, size_t r)
{
    return job->classes != NULL && job->classes[r] == job->options.ignore_index;
}

// True if some target has mass on a score that is -inf, or finite beside a +inf one.
static bool target_is_masked(const struct loss_job *job, size_t r, const float *z, float max)
{
    if (job->classes != NULL) {
        float score = z[job->classes[r]];
        return score == -INFINITY || (max == INFINITY && score != INFINITY);
    }
    const float *q = tempera_matrix_row(job->soft, r);
    for (size_t i = 0; i < job->soft->cols; i++)
        if (q[i] != 0 && (z[i] == -INFINITY || (max == INFINITY && z[i] != INFINITY)))
            return true;
    return false;
}

// All mass sits evenly on k scores of +inf, the target's among them: p = 1/k.
static void infinite_row(const struct loss_job *job, size_t r, const float *z, size_t k,
                         double total, float *g, struct row_result *result)
{
    const float *q = job->classes == NULL ? tempera_matrix_row(job->soft, r) : NULL;
    size_t n = job->logits->cols;
    result->loss = total * tempera_log((double)k);
    result->logsumexp = INFINITY;
    for (size_t i = 0; g != NULL && i < n; i++) {
        double p = z[i] == INFINITY ? 1.0 / (double)k : 0;
        double target = q != NULL ? (double)q[i] : (double)(i == (size_t)job->classes[r]);
        g[i] = (float)(job->scale * (total * p - target));
    }
}

static double total_of(const float *q, size_t n)
{
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += (double)q[i];
    return total;
}

static double soft_loss(const float *z, const float *q, size_t n, double max, double T, double ln_S)
{
    double loss = 0;
    for (size_t i = 0; i < n; i++)
        if (q[i] != 0)
            loss += (double)q[i] * (ln_S - ((double)z[i] - max) / T);
    return loss;
}

// The gradient of an ordinary row from its exponentials e, which may lie in g. p_y of the target is
// that of the same exponentials, so that the row's gradient sums to 0 as its p sum to 1.
static void gradient_of(const struct loss_job *job, size_t r, const struct tempera_row_sum *sum,
                        double total, float *g)
{
    size_t n = job->logits->cols;
    if (job->classes == NULL) {
        const float *q = tempera_matrix_row(job->soft, r);
        for (size_t i = 0; i < n; i++)
            g[i] = (float)(job->scale * (total * ((double)g[i] / sum->sum) - (double)q[i]));
        return;
    }
    float high, low;
    double p_y = (double)g[job->classes[r]] / sum->sum;
    tempera_split_inverse(job->scale, sum->sum, &high, &low);
    job->kernels->scale(g, n, high, low, g);
    g[job->classes[r]] = (float)(job->scale * (p_y - 1));
}

// Returns false for a row that isn't ordinary.
static bool ordinary_row(const struct loss_job *job, size_t r, const float *z, double total,
                         float *g, struct row_result *result)
{
    size_t n = job->logits->cols;
    const float *q = job->classes == NULL ? tempera_matrix_row(job->soft, r) : NULL;
    struct tempera_row_sum sum;
    // The exponentials go to g at once, unless g is z and the loss still needs the scores.
    float *e = q == NULL || g != z ? g : NULL;
    float z_y = q == NULL ? z[job->classes[r]] : 0;
    const struct tempera_rows rows = {z, e, n, n, 1, n, false};
    if (!job->heat.is_ordinary || job->kernels->sum_rows(&rows, &job->heat, &sum) == 0)
        return false;
    double ln_S = tempera_ln_sum(&sum), max = (double)sum.max, T = job->heat.T;
    result->logsumexp = max / T + ln_S;
    if (q != NULL)
        result->loss = soft_loss(z, q, n, max, T, ln_S);
    else
        result->loss = ln_S - ((double)z_y - max) / T;
    if (g != NULL && e == NULL) {
        double unused[16] = {0};
        job->kernels->exp_sum(z, n, &sum.exponent, g, unused);
    }
    if (g != NULL)
        gradient_of(job, r, &sum, total, g);
    return true;
}

// Any other row without NaN and with a finite maximum, in double.
static void wide_row(const struct loss_job *job, size_t r, const float *z, float max, double total,
                     float *g, struct row_result *result)
{
    const float *q = job->classes == NULL ? tempera_matrix_row(job->soft, r) : NULL;
    size_t n = job->logits->cols, y = q == NULL ? (size_t)job->classes[r] : 0;
    double m = (double)max, T = job->heat.T, sum = tempera_wide_sum(z, n, max, T);
    double ln_S = tempera_log(sum);
    result->logsumexp = m / T + ln_S;
    result->loss = q != NULL ? soft_loss(z, q, n, m, T, ln_S) : ln_S - ((double)z[y] - m) / T;
    for (size_t i = 0; g != NULL && i < n; i++) {
        double p = tempera_exp(((double)z[i] - m) / T) / sum;
        g[i] = (float)(job->scale * (total * p - (q != NULL ? (double)q[i] : (double)(i == y))));
    }
}

static size_t count_infinite(const float *z, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += z[i] == INFINITY;
    return count;
}

// A row whose target has no finite score, or that has no scores at all.
static void masked_row(const struct loss_job *job, const float *z, float max, float *g,
                       struct row_result *result)
{
    struct tempera_row_source source = {.kernels = job->kernels,
                                        .how = {.dtype = TEMPERA_F32, .scale = 1},
                                        .z = z,
                                        .n = job->logits->cols,
                                        .is_plain = true};
    struct tempera_row_plan plan = tempera_row_plan_of(&source, &job->heat);
    result->status = max == -INFINITY ? TEMPERA_ALL_MASKED : TEMPERA_TARGET_MASKED;
    result->loss = INFINITY;
    result->logsumexp = (double)tempera_row_plan_logsumexp(&plan);
    zero_gradient(g, job->logits->cols);
}

static struct row_result compute_row(const struct loss_job *job, size_t r)
{
    const float *z = tempera_matrix_row(job->logits, r);
    const struct tempera_matrix *d_logits = job->outputs.d_logits;
    float *g = d_logits != NULL ? tempera_matrix_row(d_logits, r) : NULL;
    size_t n = job->logits->cols;
    double total = job->classes != NULL ? 1 : total_of(tempera_matrix_row(job->soft, r), n);
    struct row_result result = {TEMPERA_OK, 0, 0};
    bool has_nan;
    float max = job->kernels->max(z, n, &has_nan);
    if (has_nan || total != total) {
        result = (struct row_result){TEMPERA_NAN_INPUT, NAN, NAN};
        if (g != NULL)
            tempera_row_fill_nan(g, n);
    } else if (max == -INFINITY || target_is_masked(job, r, z, max)) {
        masked_row(job, z, max, g, &result);
    } else if (max == INFINITY) {
        infinite_row(job, r, z, count_infinite(z, n), total, g, &result);
    } else if (!ordinary_row(job, r, z, total, g, &result)) {
        wide_row(job, r, z, max, total, g, &result);
    }
    return result;
}

// A computed NaN may have any payload; what is written is the canonical one.
static void store(float *out, size_t r, double value)
{
    if (out == NULL)
        return;
    if (value != value)
        tempera_row_fill_nan(&out[r], 1);
    else
        out[r] = (float)value;
}

static double do_row(const struct loss_job *job, size_t r, enum tempera_status *worst)
{
    struct row_result result = {TEMPERA_OK, 0, 0};
    if (!is_ignored(job, r)) {
        result = compute_row(job, r);
    } else {
        if (job->outputs.d_logits != NULL)
            zero_gradient(tempera_matrix_row(job->outputs.d_logits, r), job->logits->cols);
    }
    store(job->outputs.row_loss, r, result.loss);
    store(job->outputs.row_logsumexp, r, result.logsumexp);
    if (job->outputs.row_status != NULL)
        job->outputs.row_status[r] = result.status;
    if (result.status > *worst)
        *worst = result.status;
    return result.loss;
}

// ------------------------------------------------------------------------------------------------
// All rows

static void sum_block(struct loss_job *job, size_t block)
{
    size_t first = block * job->rows_per_block, n_rows = job->logits->rows;
    size_t end = n_rows - first < job->rows_per_block ? n_rows : first + job->rows_per_block;
    double sum = 0;
    enum tempera_status worst = TEMPERA_OK;
    for (size_t r = first; r < end; r++)
        sum += do_row(job, r, &worst);
    job->block_loss[block] = sum;
    job->block_status[block] = worst;
}

static void run_block(void *context, size_t block)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    sum_block(context, block);
    tempera_fpenv_leave(env);
}

static enum tempera_status check_outputs(const struct loss_job *job)
{
    const struct tempera_cross_entropy_outputs *out = &job->outputs;
    size_t rows = job->logits->rows;
    if (out->d_logits != NULL) {
        enum tempera_status status = tempera_matrix_check_f32(out->d_logits);
        TEMPERA_CHECK(status == TEMPERA_OK, status);
        TEMPERA_CHECK(tempera_matrix_same_shape(job->logits, out->d_logits) &&
                          tempera_matrix_may_write(out->d_logits, job->logits),
                      TEMPERA_INVALID_ARGUMENT);
        TEMPERA_CHECK(job->soft == NULL || job->soft->data != out->d_logits->data,
                      TEMPERA_INVALID_ARGUMENT);
        TEMPERA_CHECK(job->soft == NULL || tempera_matrix_may_write(out->d_logits, job->soft),
                      TEMPERA_INVALID_ARGUMENT);
    }
    const struct range {
        const void *at;
        size_t nbytes;
    } ranges[] = {
        {out->row_loss, sizeof *out->row_loss},
        {out->row_logsumexp, sizeof *out->row_logsumexp},
        {out->row_status, sizeof *out->row_status},
        {job->classes, sizeof *job->classes},
    };
    const struct tempera_matrix *const matrices[] = {job->logits, out->d_logits, job->soft};
    const size_t n_ranges = sizeof ranges / sizeof *ranges;
    // The vectors lie apart from each other and from every matrix.
    for (size_t i = 0; i < n_ranges; i++) {
        for (size_t m = 0; m < sizeof matrices / sizeof *matrices; m++)
            TEMPERA_CHECK(ranges[i].at == NULL || matrices[m] == NULL ||
                              tempera_matrix_is_apart(matrices[m], ranges[i].at, rows,
                                                      ranges[i].nbytes),
                          TEMPERA_INVALID_ARGUMENT);
        for (size_t j = i + 1; j < n_ranges; j++)
            TEMPERA_CHECK(tempera_ranges_are_apart(ranges[i].at, rows * ranges[i].nbytes,
                                                   ranges[j].at, rows * ranges[j].nbytes),
                          TEMPERA_INVALID_ARGUMENT);
    }
    return TEMPERA_OK;
}

// Runs with the default floating-point modes: the caller's may take a small T for 0, or trap a NaN.
__attribute__((noinline)) static enum tempera_status
check_arguments(const struct loss_job *job)
{
    const struct tempera_cross_entropy_options *options = &job->options;
    TEMPERA_CHECK((job->classes != NULL) != (job->soft != NULL), TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(options->temperature > 0 && options->temperature < INFINITY,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(options->gradient_scale - options->gradient_scale == 0,
                  TEMPERA_INVALID_ARGUMENT); // no NaN, no infinity
    TEMPERA_CHECK((unsigned)options->reduction <= TEMPERA_REDUCTION_NONE, TEMPERA_INVALID_ARGUMENT);
    enum tempera_status status = tempera_matrix_check_f32(job->logits);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    if (job->soft != NULL) {
        status = tempera_matrix_check_f32(job->soft);
        TEMPERA_CHECK(status == TEMPERA_OK, status);
        TEMPERA_CHECK(tempera_matrix_same_shape(job->logits, job->soft), TEMPERA_INVALID_ARGUMENT);
    }
    return check_outputs(job);
}

// Rows that count; TARGET_OUT_OF_RANGE if a class is neither ignored nor a column.
static enum tempera_status count_rows(const struct loss_job *job, size_t *count)
{
    *count = job->logits->rows;
    for (size_t r = 0; job->classes != NULL && r < job->logits->rows; r++) {
        int32_t y = job->classes[r];
        if (y == job->options.ignore_index)
            --*count;
        else
            TEMPERA_CHECK(y >= 0 && (size_t)y < job->logits->cols, TEMPERA_TARGET_OUT_OF_RANGE);
    }
    return TEMPERA_OK;
}

static void reduce(const struct loss_job *job, size_t n_blocks, size_t count, double *loss)
{
    double sum = 0;
    for (size_t block = 0; block < n_blocks; block++)
        sum += job->block_loss[block];
    if (job->options.reduction == TEMPERA_REDUCTION_MEAN && count > 0)
        sum /= (double)count;
    *loss = sum == sum ? sum : NAN;
}

// Runs behind a call of its own, after the floating-point modes are set.
__attribute__((noinline)) static double
gradient_scale(const struct tempera_cross_entropy_options *options, size_t count)
{
    double scale = (double)options->gradient_scale / (double)options->temperature;
    if (options->reduction == TEMPERA_REDUCTION_MEAN && count > 0)
        scale /= (double)count;
    return scale;
}

enum tempera_status tempera_cross_entropy(const struct tempera_matrix *logits,
                                          const struct tempera_targets *targets,
                                          const struct tempera_cross_entropy_options *options,
                                          const struct tempera_cross_entropy_outputs *outputs,
                                          const struct tempera_executor *executor)
{
    TEMPERA_CHECK(targets != NULL && outputs != NULL, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(outputs->struct_size >= sizeof *outputs, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(options == NULL || options->struct_size >= sizeof *options,
                  TEMPERA_INVALID_ARGUMENT);
    struct loss_job job = {.kernels = tempera_kernels(),
                           .logits = logits,
                           .classes = targets->classes,
                           .soft = targets->probs,
                           .outputs = *outputs};
    job.options = options != NULL ? *options : tempera_cross_entropy_options_default();
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = check_arguments(&job);
    size_t count;
    if (status == TEMPERA_OK)
        status = count_rows(&job, &count);
    if (status != TEMPERA_OK) {
        tempera_fpenv_leave(env);
        return status;
    }
    job.heat = tempera_heat_of((double)job.options.temperature);
    job.scale = gradient_scale(&job.options, count);
    job.rows_per_block = logits->rows / MOST_BLOCKS + (logits->rows % MOST_BLOCKS != 0);
    size_t n_blocks =
        logits->rows == 0 ? 0 : (logits->rows + job.rows_per_block - 1) / job.rows_per_block;
    tempera_parallel_for(executor, n_blocks, run_block, &job);
    if (outputs->loss != NULL)
        reduce(&job, n_blocks, count, outputs->loss);
    tempera_fpenv_leave(env);
    if (outputs->count != NULL)
        *outputs->count = count;
    for (size_t block = 0; block < n_blocks; block++)
        if (job.block_status[block] > status)
            status = job.block_status[block];
    return status;
}
