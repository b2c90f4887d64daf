// SPDX-License-Identifier: MIT
// The temperature at which a row has a given entropy, perplexity or largest probability. The
// contract is in include/tempera/calibration.h.
#include <tempera/calibration.h>

#include <math.h>

#include "base/exp.h"
#include "base/fpenv.h"
#include "base/half.h"
#include "base/matrix.h"
#include "base/size.h"
#include "kernels/scalars.h"
#include "parallel/row_loop.h"
#include "score/calibration/row_moments.h"

struct solve_job {
    const struct tempera_kernels *kernels;
    const struct tempera_matrix *logits;
    enum tempera_goal goal;
    double target; // of the value below, which rises with T
    float *temperatures, *achieved;
};

// The entropy, for the goals that are entropies; -ln p_max = ln S for the other.
struct value {
    double value;
    double slope; // its derivative with respect to ln T
};

static struct value value_at(const struct tempera_row_source *source, float max, float T,
                             enum tempera_goal goal)
{
    struct tempera_temperature_params params = tempera_temperature_params_of((double)T);
    struct tempera_score_moments m;
    tempera_row_moments(source, max, &params, 1, &m);
    double spread = -m.mean / params.T;
    if (goal == TEMPERA_GOAL_TOP_SHARE)
        return (struct value){m.ln_S, spread};
    return (struct value){m.ln_S + spread, m.variance / params.T / params.T};
}

// In the goal's unit.
static double unit_of(enum tempera_goal goal, double value)
{
    double p_max = tempera_exp(-value);
    return goal == TEMPERA_GOAL_ENTROPY      ? value
           : goal == TEMPERA_GOAL_PERPLEXITY ? 1 / p_max
                                             : p_max;
}

// ------------------------------------------------------------------------------------------------
// One row

// The scores at the maximum, those above -inf, and how far below the maximum these lie on average.
struct counts {
    size_t ties, count;
    double distance;
};

static struct counts count_scores(const struct tempera_row_source *source, float max)
{
    struct counts counts = {0};
    float buffer[TEMPERA_PIECE];
    for (size_t at = 0; at < source->n; at += TEMPERA_PIECE) {
        size_t n = tempera_min(source->n - at, TEMPERA_PIECE);
        const float *z = tempera_row_piece(source, at, n, buffer);
        for (size_t i = 0; i < n; i++) {
            counts.ties += z[i] == max;
            counts.count += z[i] > -INFINITY;
            if (z[i] > -INFINITY && z[i] != max)
                counts.distance += (double)max - (double)z[i];
        }
    }
    counts.distance /= (double)counts.count;
    return counts;
}

// The representation of exp(x) T, or of the middle of two floats where that isn't between them.
static uint32_t scaled(float T, double x, uint32_t low, uint32_t high)
{
    double factor = x < 0 ? tempera_exp(x) : 1 / tempera_exp(-x), wanted = (double)T * factor;
    uint32_t bits = wanted <= (double)FLT_MAX ? tempera_float_bits((float)wanted) : high;
    return bits > low && bits < high ? bits : low + (high - low) / 2;
}

static double held_within(double x, double limit)
{
    return x < -limit ? -limit : x > limit ? limit : x == x ? x : 0;
}

// Newton's steps in ln T, from floats to floats, in a bracket (low, high) of their representations.
// Far from the goal the slope says little, so steps begin small and may double each time.
// Where two of them leave more than half of the bracket, and after many, the next one halves it.
static float find(const struct solve_job *job, const struct tempera_row_source *source, float max,
                  float T, double *value)
{
    enum { MANY = 40 };
    const uint32_t zero = 0, infinite = 0x7F800000; // T = 0 and T = +inf
    uint32_t low = zero, high = infinite, before = infinite;
    uint32_t bits = scaled(T, 0, low, high);
    double limit = 1;
    for (int step = 0;; step++, limit *= 2) {
        T = tempera_bits_float(bits);
        struct value v = value_at(source, max, T, job->goal);
        double missing = job->target - v.value, size = missing < 0 ? -missing : missing;
        *value = v.value;
        low = missing > 0 ? bits : low;
        high = missing > 0 ? high : bits;
        // Nearer than the next float, or than f32 sums can tell.
        if (size <= v.slope * 0x1p-25 || size <= 0x1p-24 || high - low <= 1)
            return T;
        bits = scaled(T, held_within(missing / v.slope, limit), low, high);
        bool is_slow = step % 2 == 1 && low > zero && high < infinite && high - low > before / 2;
        if (is_slow || step >= MANY)
            bits = low + (high - low) / 2;
        before = step % 2 == 1 ? high - low : before;
    }
}

static enum tempera_status store(const struct solve_job *job, size_t r, enum tempera_status status,
                                 double T, double value)
{
    bool is_nan = status != TEMPERA_OK;
    tempera_store_float(&job->temperatures[r], is_nan ? (double)NAN : T);
    if (job->achieved != NULL)
        tempera_store_float(&job->achieved[r], is_nan ? (double)NAN : unit_of(job->goal, value));
    return status;
}

static enum tempera_status solve_row(const void *context, size_t r)
{
    const struct solve_job *job = context;
    struct tempera_row_source source = tempera_row_source_of(job->kernels, job->logits, r);
    bool has_nan;
    float max = tempera_row_max(&source, &has_nan);
    if (has_nan)
        return store(job, r, TEMPERA_NAN_INPUT, 0, 0);
    if (max == -INFINITY)
        return store(job, r, TEMPERA_ALL_MASKED, 0, 0);
    struct counts counts = count_scores(&source, max);
    double least = tempera_log((double)counts.ties), most = tempera_log((double)counts.count);
    if (job->target <= least)
        return store(job, r, TEMPERA_OK, 0, least);
    if (max == INFINITY) // the mass stays on the scores of +inf
        return store(job, r, TEMPERA_OK, INFINITY, least);
    if (job->target >= most)
        return store(job, r, TEMPERA_OK, INFINITY, most);
    double value;
    float T = find(job, &source, max, (float)(counts.distance / 8), &value);
    return store(job, r, TEMPERA_OK, (double)T, value);
}

// ------------------------------------------------------------------------------------------------
// The call

// The target as a value that rises with T. Runs with the default floating-point modes.
static enum tempera_status set_target(struct solve_job *job, enum tempera_goal goal, double target)
{
    job->goal = goal;
    switch (goal) {
    case TEMPERA_GOAL_ENTROPY:
        TEMPERA_CHECK(target >= 0, TEMPERA_INVALID_ARGUMENT);
        job->target = target;
        return TEMPERA_OK;
    case TEMPERA_GOAL_PERPLEXITY:
        TEMPERA_CHECK(target >= 1, TEMPERA_INVALID_ARGUMENT);
        job->target = target == INFINITY ? target : tempera_log(target);
        return TEMPERA_OK;
    case TEMPERA_GOAL_TOP_SHARE:
        TEMPERA_CHECK(target >= DBL_MIN && target <= 1, TEMPERA_INVALID_ARGUMENT);
        job->target = 0 - tempera_log(target);
        return TEMPERA_OK;
    }
    return TEMPERA_INVALID_ARGUMENT;
}

static enum tempera_status check_rows(const struct solve_job *job,
                                      const enum tempera_status *row_status)
{
    TEMPERA_TRY(tempera_matrix_check(job->logits));
    size_t rows = job->logits->rows;
    TEMPERA_CHECK(rows == 0 || job->temperatures != NULL, TEMPERA_INVALID_ARGUMENT);
    const struct tempera_span spans[] = {
        tempera_span_of(job->temperatures, rows, sizeof *job->temperatures, true),
        tempera_span_of(job->achieved, rows, sizeof *job->achieved, true),
        tempera_span_of(row_status, rows, sizeof *row_status, true),
        tempera_matrix_span(job->logits, false),
    };
    TEMPERA_CHECK(tempera_spans_are_apart(spans, 4, NULL, 0), TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

enum tempera_status tempera_solve_temperature(const struct tempera_matrix *logits,
                                              enum tempera_goal goal, double target,
                                              float *temperatures, float *achieved,
                                              enum tempera_status *row_status,
                                              const struct tempera_executor *executor)
{
    struct solve_job job = {.kernels = tempera_kernels_active(),
                            .logits = logits,
                            .temperatures = temperatures,
                            .achieved = achieved};
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&job);
    tempera_fpenv_carry(&target);
    enum tempera_status status = set_target(&job, goal, target);
    tempera_fpenv_carry(&status);
    tempera_fpenv_leave(env);
    TEMPERA_TRY(status);
    TEMPERA_TRY(check_rows(&job, row_status));
    return tempera_for_each_row(logits->rows, logits->cols, solve_row, &job, row_status, executor);
}
