// SPDX-License-Identifier: MIT
// The temperature that makes the cross-entropy least: sums over the rows at several temperatures,
// and the minimum of the convex loss between them. The contract is in
// include/tempera/calibration.h.
#include <tempera/calibration.h>

#include <math.h>
#include <string.h>

#include "base/exp.h"
#include "base/fpenv.h"
#include "base/matrix.h"
#include "base/size.h"
#include "kernels/scalars.h"
#include "parallel/row_loop.h"
#include "score/calibration/row_moments.h"

struct tempera_fit_options tempera_fit_options_default(void)
{
    return (struct tempera_fit_options){.struct_size = sizeof(struct tempera_fit_options),
                                        .lowest = 0.01,
                                        .highest = 100,
                                        .ignore_index = TEMPERA_IGNORE_INDEX};
}

// ------------------------------------------------------------------------------------------------
// Sums over rows

struct sums_job {
    const struct tempera_kernels *kernels;
    const struct tempera_matrix *logits;
    const int32_t *classes;
    int32_t ignore_index;
    size_t n; // temperatures
    struct tempera_temperature_params params[TEMPERA_MOST_TEMPERATURES];
};

// What is summed over the rows: the number of those that count, then these for each temperature.
enum { LOSS, SLOPE, CURVATURE, N_TERMS, MOST_SUMS = 1 + N_TERMS * TEMPERA_MOST_TEMPERATURES };
_Static_assert((int)MOST_SUMS <= (int)TEMPERA_MOST_ROW_SUMS, "the rows' loop takes as many sums");

static float score_at(const struct sums_job *job, size_t r, size_t column)
{
    const struct tempera_prepare how = {.dtype = job->logits->dtype, .scale = 1};
    float score;
    job->kernels->convert.prepare(&how, tempera_matrix_element(job->logits, r, column), 0, 1,
                                  &score);
    return score;
}

static size_t count_infinite(const struct tempera_row_source *source)
{
    size_t count = 0;
    float buffer[TEMPERA_PIECE];
    for (size_t at = 0; at < source->n; at += TEMPERA_PIECE) {
        size_t n = tempera_min(source->n - at, TEMPERA_PIECE);
        const float *z = tempera_row_piece(source, at, n, buffer);
        for (size_t i = 0; i < n; i++)
            count += z[i] == INFINITY;
    }
    return count;
}

// What one row adds: ln_S, mean and variance stand for loss, slope and curvature.
static enum tempera_status row_terms(const struct sums_job *job, size_t r,
                                     struct tempera_score_moments *terms)
{
    struct tempera_row_source source = tempera_row_source_of(job->kernels, job->logits, r);
    bool has_nan;
    float max = tempera_row_max(&source, &has_nan);
    if (has_nan)
        return TEMPERA_NAN_INPUT;
    if (max == -INFINITY)
        return TEMPERA_ALL_MASKED;
    float score = score_at(job, r, (size_t)job->classes[r]);
    if (score == -INFINITY || (max == INFINITY && score != INFINITY))
        return TEMPERA_TARGET_MASKED;
    if (max == INFINITY) {
        double ln_k = tempera_log((double)count_infinite(&source));
        for (size_t k = 0; k < job->n; k++)
            terms[k] = (struct tempera_score_moments){.ln_S = ln_k};
        return TEMPERA_OK;
    }
    tempera_row_moments(&source, max, job->params, job->n, terms);
    double x = (double)score - (double)max;
    for (size_t k = 0; k < job->n; k++) {
        terms[k].ln_S -= x / job->params[k].T;
        terms[k].mean -= x;
    }
    return TEMPERA_OK;
}

static enum tempera_status add_row(const void *context, size_t r, double *sums)
{
    const struct sums_job *job = context;
    if (job->classes[r] == job->ignore_index)
        return TEMPERA_OK;
    struct tempera_score_moments terms[TEMPERA_MOST_TEMPERATURES];
    TEMPERA_TRY(row_terms(job, r, terms));
    sums[0] += 1;
    for (size_t k = 0; k < job->n; k++) {
        double *at = sums + 1 + k * N_TERMS;
        at[LOSS] += terms[k].ln_S;
        at[SLOPE] += terms[k].mean;
        at[CURVATURE] += terms[k].variance;
    }
    return TEMPERA_OK;
}

static void set_nan(double *value)
{
    const uint64_t nan = 0x7FF8000000000000u;
    memcpy(value, &nan, sizeof nan);
}

static enum tempera_status check_rows(const struct tempera_matrix *logits, const int32_t *classes,
                                      int32_t ignore_index)
{
    TEMPERA_TRY(tempera_matrix_check(logits));
    TEMPERA_CHECK(logits->rows == 0 || classes != NULL, TEMPERA_INVALID_ARGUMENT);
    for (size_t r = 0; r < logits->rows; r++)
        TEMPERA_CHECK(classes[r] == ignore_index ||
                          (classes[r] >= 0 && (size_t)classes[r] < logits->cols),
                      TEMPERA_TARGET_OUT_OF_RANGE);
    return TEMPERA_OK;
}

static bool is_temperature(double T)
{
    return T > 0 && T <= (double)FLT_MAX;
}

// Runs with the default floating-point modes, as all here that has no executor.
static enum tempera_status add_sums(const struct tempera_matrix *logits, const int32_t *classes,
                                    int32_t ignore_index, struct tempera_temperature_sums *sums,
                                    size_t n_sums, const struct tempera_executor *executor)
{
    struct sums_job job = {.kernels = tempera_kernels_active(),
                           .logits = logits,
                           .classes = classes,
                           .ignore_index = ignore_index,
                           .n = n_sums};
    for (size_t k = 0; k < n_sums; k++)
        job.params[k] = tempera_temperature_params_of(sums[k].temperature);
    double totals[MOST_SUMS] = {0}, scratch[TEMPERA_MOST_ROW_BLOCKS * MOST_SUMS];
    for (size_t k = 0; k < n_sums; k++) {
        totals[1 + k * N_TERMS + LOSS] = sums[k].loss;
        totals[1 + k * N_TERMS + SLOPE] = sums[k].slope;
        totals[1 + k * N_TERMS + CURVATURE] = sums[k].curvature;
    }
    enum tempera_status worst = tempera_reduce_rows(
        logits->rows, add_row, &job, 1 + N_TERMS * n_sums, totals, scratch, NULL, executor);
    for (size_t k = 0; k < n_sums; k++) {
        sums[k].loss = totals[1 + k * N_TERMS + LOSS];
        sums[k].slope = totals[1 + k * N_TERMS + SLOPE];
        sums[k].curvature = totals[1 + k * N_TERMS + CURVATURE];
        sums[k].count += (size_t)totals[0];
        if (worst == TEMPERA_NAN_INPUT) {
            set_nan(&sums[k].loss);
            set_nan(&sums[k].slope);
            set_nan(&sums[k].curvature);
        }
    }
    return worst;
}

enum tempera_status tempera_temperature_sums_add(const struct tempera_matrix *logits,
                                                 const int32_t *classes, int32_t ignore_index,
                                                 struct tempera_temperature_sums *sums,
                                                 size_t n_sums,
                                                 const struct tempera_executor *executor)
{
    TEMPERA_CHECK(sums != NULL && n_sums > 0 && n_sums <= TEMPERA_MOST_TEMPERATURES,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_TRY(check_rows(logits, classes, ignore_index));
    const struct tempera_span spans[] = {tempera_span_of(sums, n_sums, sizeof *sums, true),
                                         tempera_matrix_span(logits, false)};
    TEMPERA_CHECK(tempera_spans_are_apart(spans, 2, NULL, 0), TEMPERA_INVALID_ARGUMENT);
    for (size_t k = 0; k < n_sums; k++)
        TEMPERA_CHECK(is_temperature(sums[k].temperature), TEMPERA_INVALID_ARGUMENT);
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = add_sums(logits, classes, ignore_index, sums, n_sums, executor);
    tempera_fpenv_leave(env);
    return status;
}

// ------------------------------------------------------------------------------------------------
// The minimum, in b = 1 / T

static double mean_of(double sum, size_t count)
{
    return count > 0 ? sum / (double)count : 0;
}

static struct tempera_temperature_fit fit_at(const struct tempera_temperature_sums *sums,
                                             enum tempera_fit_border border)
{
    return (struct tempera_temperature_fit){.temperature = sums->temperature,
                                            .loss = mean_of(sums->loss, sums->count),
                                            .count = sums->count,
                                            .border = border};
}

// A fit to NaN: nothing is a number.
static struct tempera_temperature_fit fit_of_nan(size_t count)
{
    struct tempera_temperature_fit fit = {.count = count};
    set_nan(&fit.temperature);
    set_nan(&fit.loss);
    return fit;
}

// True, and *fit set, where the ends of the range decide: the slope of a convex loss never falls
// from the smallest b, at the highest temperature, to the largest. usual: where nothing decides.
static bool ends_decide(const struct tempera_temperature_sums *lowest,
                        const struct tempera_temperature_sums *highest,
                        const struct tempera_temperature_sums *usual,
                        struct tempera_temperature_fit *fit)
{
    if (lowest->slope != lowest->slope)
        *fit = fit_of_nan(lowest->count);
    else if (lowest->slope <= 0 && highest->slope >= 0)
        *fit = fit_at(usual, TEMPERA_FIT_INSIDE);
    else if (lowest->slope <= 0)
        *fit = fit_at(lowest, TEMPERA_FIT_LOWEST);
    else if (highest->slope >= 0)
        *fit = fit_at(highest, TEMPERA_FIT_HIGHEST);
    else
        return false;
    return true;
}

// The number whose representation lies in the middle: halves the distance of magnitudes, too.
static double middle_of(double a, double b)
{
    uint64_t a_bits, b_bits;
    memcpy(&a_bits, &a, sizeof a_bits);
    memcpy(&b_bits, &b, sizeof b_bits);
    uint64_t bits = a_bits / 2 + b_bits / 2;
    double middle;
    memcpy(&middle, &bits, sizeof middle);
    return middle;
}

// Newton's steps within (low, high), where the slope is below 0 at low and above at high; halves
// where a step leaves that.
static struct tempera_temperature_fit
descend(const struct tempera_matrix *logits, const int32_t *classes, int32_t ignore_index,
        double low, double high, struct tempera_temperature_sums at,
        const struct tempera_executor *executor)
{
    enum { MOST_STEPS = 100 };
    double b = 1 / at.temperature, step = 0;
    for (int k = 0; k < MOST_STEPS; k++) {
        low = at.slope < 0 ? b : low;
        high = at.slope > 0 ? b : high;
        step = at.slope == 0 ? 0 : -at.slope / at.curvature;
        bool is_inside = b + step >= low && b + step <= high; // not where the curvature is 0
        if (!is_inside)
            step = middle_of(low, high) - b;
        if ((step < 0 ? -step : step) <= b * 0x1p-16)
            break;
        b += step;
        at = (struct tempera_temperature_sums){.temperature = 1 / b};
        step = 0;
        add_sums(logits, classes, ignore_index, &at, 1, executor);
    }
    at.temperature = 1 / (b + step); // the loss changes by 2^-33 Var[z / T] at most
    return fit_at(&at, TEMPERA_FIT_INSIDE);
}

static enum tempera_status fit_rows(const struct tempera_matrix *logits, const int32_t *classes,
                                    const struct tempera_fit_options *options,
                                    struct tempera_temperature_fit *fit,
                                    const struct tempera_executor *executor)
{
    double low = options->lowest, high = options->highest;
    double usual = low > 1 ? low : high < 1 ? high : 1;
    struct tempera_temperature_sums sums[3] = {
        {.temperature = low}, {.temperature = high}, {.temperature = usual}};
    enum tempera_status status =
        add_sums(logits, classes, options->ignore_index, sums, 3, executor);
    if (!ends_decide(&sums[0], &sums[1], &sums[2], fit))
        *fit = descend(logits, classes, options->ignore_index, 1 / high, 1 / low, sums[2],
                       executor);
    return status;
}

enum tempera_status tempera_fit_temperature(const struct tempera_matrix *logits,
                                            const int32_t *classes,
                                            const struct tempera_fit_options *options,
                                            struct tempera_temperature_fit *fit,
                                            const struct tempera_executor *executor)
{
    TEMPERA_CHECK(fit != NULL, TEMPERA_INVALID_ARGUMENT);
    struct tempera_fit_options o = tempera_fit_options_default();
    if (options != NULL)
        TEMPERA_TRY(tempera_struct_read(options, sizeof o, &o, sizeof o));
    TEMPERA_CHECK(is_temperature(o.lowest) && is_temperature(o.highest) && o.lowest <= o.highest,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_TRY(check_rows(logits, classes, o.ignore_index));
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&o);
    enum tempera_status status = fit_rows(logits, classes, &o, fit, executor);
    tempera_fpenv_leave(env);
    return status;
}

// ------------------------------------------------------------------------------------------------
// Between temperatures that are given

// c[0] + c[1] t + ... + c[5] t^5 for t from 0 to 1: the loss from `from` to `to`, by value, slope
// and curvature at both ends.
static void quintic(const struct tempera_temperature_sums *from,
                    const struct tempera_temperature_sums *to, double h, double c[6])
{
    c[0] = from->loss;
    c[1] = h * from->slope;
    c[2] = h * h * from->curvature / 2;
    double value = to->loss - c[0] - c[1] - c[2], slope = h * to->slope - c[1] - 2 * c[2];
    double curvature = h * h * to->curvature - 2 * c[2];
    c[3] = 10 * value - 4 * slope + curvature / 2;
    c[4] = -15 * value + 7 * slope - curvature;
    c[5] = 6 * value - 3 * slope + curvature / 2;
}

static double polynomial(const double c[6], double t)
{
    return c[0] + t * (c[1] + t * (c[2] + t * (c[3] + t * (c[4] + t * c[5]))));
}

static double derivative(const double c[6], double t)
{
    return c[1] + t * (2 * c[2] + t * (3 * c[3] + t * (4 * c[4] + t * (5 * c[5]))));
}

// The slope is below 0 at `from`, the higher temperature, and above at `to`.
static struct tempera_temperature_fit fit_between(const struct tempera_temperature_sums *from,
                                                  const struct tempera_temperature_sums *to)
{
    double b = 1 / from->temperature, h = 1 / to->temperature - b, c[6], low = 0, high = 1;
    quintic(from, to, h, c);
    for (int k = 0; k < 60; k++) {
        double middle = (low + high) / 2, slope = derivative(c, middle);
        low = slope < 0 ? middle : low;
        high = slope < 0 ? high : middle;
    }
    const struct tempera_temperature_sums at = {.temperature = 1 / (b + h * high),
                                                .loss = polynomial(c, high),
                                                .count = from->count};
    return fit_at(&at, TEMPERA_FIT_INSIDE);
}

// The temperature nearest to 1.
static const struct tempera_temperature_sums *
nearest_to_1(const struct tempera_temperature_sums *sums, size_t n)
{
    const struct tempera_temperature_sums *best = sums;
    for (size_t k = 1; k < n; k++) {
        double d = sums[k].temperature - 1, least = best->temperature - 1;
        if (d * d < least * least)
            best = &sums[k];
    }
    return best;
}

static void fit_sums(const struct tempera_temperature_sums *sums, size_t n,
                     struct tempera_temperature_fit *fit)
{
    if (ends_decide(&sums[0], &sums[n - 1], nearest_to_1(sums, n), fit))
        return;
    size_t k = n - 2;
    while (k > 0 && sums[k].slope <= 0)
        k--;
    *fit = fit_between(&sums[k + 1], &sums[k]);
}

enum tempera_status tempera_fit_temperature_to_sums(const struct tempera_temperature_sums *sums,
                                                    size_t n_sums,
                                                    struct tempera_temperature_fit *fit)
{
    TEMPERA_CHECK(sums != NULL && fit != NULL && n_sums >= 2, TEMPERA_INVALID_ARGUMENT);
    for (size_t k = 0; k < n_sums; k++)
        TEMPERA_CHECK(is_temperature(sums[k].temperature) && sums[k].count == sums[0].count &&
                          (k == 0 || sums[k].temperature > sums[k - 1].temperature),
                      TEMPERA_INVALID_ARGUMENT);
    struct tempera_fpenv env = tempera_fpenv_enter();
    fit_sums(sums, n_sums, fit);
    tempera_fpenv_leave(env);
    return TEMPERA_OK;
}
