// SPDX-License-Identifier: MIT
// What ordinary and rare rows of a cross-entropy have in common: where scores and targets come
// from, and the row's few numbers, from which loss and gradient follow (docs/LOSSES.md).
#include "score/loss/cross_entropy.h"

#include <math.h>

#include "base/exp.h"
#include "base/matrix.h"

// ------------------------------------------------------------------------------------------------
// Scores and targets

const float *tempera_loss_scores(const struct tempera_loss *loss,
                                 const struct tempera_loss_row *row, float max, size_t at, size_t n,
                                 float *buffer)
{
    const struct tempera_prepare how = {
        .dtype = loss->dtype, .scale = 1, .softcap = loss->options.softcap};
    if (how.softcap != 0)
        loss->kernels->loss.softcap_below(&how, row->logits, at, n, max, buffer);
    else if (how.dtype == TEMPERA_F32)
        return (const float *)row->logits + at;
    else
        loss->kernels->convert.prepare(&how, row->logits, at, n, buffer);
    return buffer;
}

struct tempera_target_mass tempera_loss_mass(const struct tempera_loss *loss,
                                             const struct tempera_loss_row *row, size_t at,
                                             size_t n, float *buffer)
{
    const float *weights = loss->options.class_weights;
    struct tempera_target_mass mass = {.weights = weights != NULL ? weights + at : NULL,
                                       .floor = 1};
    if (row->probs == NULL)
        return mass;
    if (loss->probs_dtype == TEMPERA_F32) {
        mass.probs = (const float *)row->probs + at;
    } else {
        const struct tempera_prepare how = {.dtype = loss->probs_dtype, .scale = 1};
        loss->kernels->convert.prepare(&how, row->probs, at, n, buffer);
        mass.probs = buffer;
    }
    double smoothing = (double)loss->options.label_smoothing;
    mass.fraction = (float)(1 - smoothing);
    mass.floor = (float)(smoothing / (double)loss->cols);
    return mass;
}

double tempera_loss_target_slope(const struct tempera_target_mass *piece,
                                 const struct tempera_loss_slopes *slopes, size_t i)
{
    double b = slopes->floor;
    if (piece->probs != NULL)
        b += slopes->share * (double)piece->probs[i];
    return piece->weights != NULL ? b * (double)piece->weights[i] : b;
}

bool tempera_loss_is_held_by_f32(double factor)
{
    double magnitude = factor < 0 ? -factor : factor;
    return magnitude == 0 || (magnitude >= 0x1p-120 && magnitude <= 0x1p60);
}

bool tempera_loss_needs_sums(const struct tempera_loss *loss, const struct tempera_loss_row *row)
{
    return row->probs != NULL || loss->options.label_smoothing != 0;
}

float tempera_loss_class_weight(const struct tempera_loss *loss, size_t y)
{
    return loss->options.class_weights != NULL ? loss->options.class_weights[y] : 1;
}

double tempera_loss_class_mass(const struct tempera_loss *loss, size_t y)
{
    double smoothing = (double)loss->options.label_smoothing;
    return (double)tempera_loss_class_weight(loss, y) *
           (1 - smoothing + smoothing / (double)loss->cols);
}

// ------------------------------------------------------------------------------------------------
// A row's numbers

void tempera_loss_add_up(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                         double mass, double scores, struct tempera_loss_sweep *sweep)
{
    double smoothing = (double)loss->options.label_smoothing;
    double sums = mass * sweep->ln_S - scores; // sum t_j (lse - a_j)
    if (row->probs != NULL) {
        sweep->mass = mass;
        sweep->cross_entropy = sums;
        return;
    }
    double weight = (double)tempera_loss_class_weight(loss, row->y), share = 1 - smoothing;
    sweep->mass = share * weight;
    sweep->cross_entropy = share * weight == 0 ? 0 : share * weight * sweep->class_loss;
    if (smoothing != 0) {
        double each = smoothing / (double)loss->cols;
        sweep->mass += each * mass;
        sweep->cross_entropy += each * sums;
    }
}

struct focus {
    double factor; // f = (1 - p_y)^gamma
    double pull;   // k, see docs/LOSSES.md
    double rest;   // 1 - p_y
};

static struct focus focus_of(double gamma, const struct tempera_loss_sweep *sweep)
{
    if (gamma == 0)
        return (struct focus){1, 0, 0};
    double rest = 1 - tempera_exp(-sweep->class_loss);
    if (rest < DBL_MIN)
        return (struct focus){0, 0, rest};
    double factor = tempera_exp(gamma * tempera_log(rest));
    double pull = gamma * factor * (1 - rest) * sweep->cross_entropy / rest;
    return (struct focus){factor, pull, rest};
}

// A factor as the kernels have it. One beyond their floats stays what it is: infinite, it would
// make a NaN of every 0 it meets.
static double as_float(double factor)
{
    float f = (float)factor;
    return f - f == 0 ? (double)f : factor;
}

void tempera_loss_of_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                         const struct tempera_loss_sweep *sweep, struct tempera_loss_slopes *slopes,
                         struct tempera_loss_result *result)
{
    double z = (double)loss->options.z_loss, lse = sweep->logsumexp;
    *result = (struct tempera_loss_result){.logsumexp = lse, .entropy = sweep->entropy};
    result->z_loss = z == 0 ? 0 : z * lse * lse;
    if (sweep->is_masked) {
        result->status = TEMPERA_TARGET_MASKED;
        result->cross_entropy = INFINITY;
        return;
    }
    struct focus focus = {1, 0, 0};
    if (row->probs == NULL)
        focus = focus_of((double)loss->options.focal_gamma, sweep);
    result->cross_entropy = focus.factor * sweep->cross_entropy;

    double z_factor = z == 0 ? 0 : loss->z_slope * 2 * z * lse;
    double smoothing = (double)loss->options.label_smoothing;
    *slopes = (struct tempera_loss_slopes){
        .factor = loss->slope * (focus.factor * sweep->mass + focus.pull) + z_factor,
        .scale = focus.factor * loss->slope};
    slopes->floor = as_float(slopes->scale * (smoothing / (double)loss->cols));
    if (row->probs != NULL) {
        slopes->share = as_float(slopes->scale * (1 - smoothing));
        return;
    }
    // p_y is that of the exponentials of the row's others, so that the gradient sums to 0 as they
    // sum to 1.
    double meeting = sweep->mass * sweep->p_y - tempera_loss_class_mass(loss, row->y);
    slopes->at_y = loss->slope * (focus.factor * meeting);
    if (focus.pull != 0)
        slopes->at_y -= loss->slope * (focus.pull * focus.rest);
    if (z_factor != 0)
        slopes->at_y += z_factor * sweep->p_y;
}

double tempera_loss_cap_slope(const struct tempera_loss *loss, double s)
{
    if (loss->options.softcap == 0)
        return 1;
    double u = s / (double)loss->options.softcap;
    return (1 - u) * (1 + u);
}

// ------------------------------------------------------------------------------------------------
// The gradient's memory

void tempera_loss_store(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                        size_t at, size_t n, const float *from)
{
    void *to = (char *)row->d_logits + at * tempera_dtype_nbytes(loss->d_dtype);
    if (to != from)
        loss->kernels->convert.narrow(from, n, loss->d_dtype, to);
}
