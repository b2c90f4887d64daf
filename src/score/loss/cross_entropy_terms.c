// SPDX-License-Identifier: MIT
#include "score/loss/cross_entropy_terms.h"

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

struct tempera_target_mass tempera_loss_piece_mass(const struct tempera_loss *loss,
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
        b += slopes->probs * (double)piece->probs[i];
    return piece->weights != NULL ? b * (double)piece->weights[i] : b;
}

bool tempera_loss_factor_fits_f32(double factor)
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

void tempera_loss_set_cross_entropy(const struct tempera_loss *loss,
                                    const struct tempera_loss_row *row, double mass, double scores,
                                    struct tempera_loss_sweep *sweep)
{
    double smoothing = (double)loss->options.label_smoothing;
    double sums = mass * sweep->ln_S - scores; // sum t_j (lse - a_j)
    if (row->probs != NULL) {
        sweep->mass = mass;
        sweep->cross_entropy = sums;
        return;
    }
    double class_mass = (1 - smoothing) * (double)tempera_loss_class_weight(loss, row->y);
    sweep->mass = class_mass;
    sweep->cross_entropy = class_mass == 0 ? 0 : class_mass * sweep->class_loss;
    if (smoothing != 0) {
        double each = smoothing / (double)loss->cols;
        sweep->mass += each * mass;
        sweep->cross_entropy += each * sums;
    }
}

struct focal {
    double factor; // f = (1 - p_y)^gamma
    double slope;  // k, see docs/LOSSES.md
    double rest;   // 1 - p_y
};

static struct focal focal_of(double gamma, const struct tempera_loss_sweep *sweep)
{
    if (gamma == 0)
        return (struct focal){1, 0, 0};
    double rest = 1 - tempera_exp(-sweep->class_loss);
    if (rest < DBL_MIN)
        return (struct focal){0, 0, rest};
    double factor = tempera_exp(gamma * tempera_log(rest));
    double slope = gamma * factor * (1 - rest) * sweep->cross_entropy / rest;
    return (struct focal){factor, slope, rest};
}

// A factor as the kernels have it. One beyond their floats stays what it is: an infinity would make
// a NaN of every 0.
static double as_float(double factor)
{
    float f = (float)factor;
    return f - f == 0 ? (double)f : factor;
}

void tempera_loss_set_result(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                             const struct tempera_loss_sweep *sweep,
                             struct tempera_loss_slopes *slopes, struct tempera_loss_result *result)
{
    double z = (double)loss->options.z_loss, lse = sweep->logsumexp;
    *result = (struct tempera_loss_result){.logsumexp = lse, .entropy = sweep->entropy};
    result->z_loss = z == 0 ? 0 : z * lse * lse;
    if (sweep->is_masked) {
        result->status = TEMPERA_TARGET_MASKED;
        result->cross_entropy = INFINITY;
        return;
    }
    struct focal focal = {1, 0, 0};
    if (row->probs == NULL)
        focal = focal_of((double)loss->options.focal_gamma, sweep);
    result->cross_entropy = focal.factor * sweep->cross_entropy;

    double z_factor = z == 0 ? 0 : loss->z_slope * 2 * z * lse;
    double smoothing = (double)loss->options.label_smoothing;
    *slopes = (struct tempera_loss_slopes){
        .factor = loss->slope * (focal.factor * sweep->mass + focal.slope) + z_factor,
        .scale = focal.factor * loss->slope};
    slopes->floor = as_float(slopes->scale * (smoothing / (double)loss->cols));
    if (row->probs != NULL) {
        slopes->probs = as_float(slopes->scale * (1 - smoothing));
        return;
    }
    // p_y comes from the same exponentials as all p: these sum to 1, and the gradient to 0.
    double at_y = sweep->mass * sweep->p_y - tempera_loss_class_mass(loss, row->y);
    slopes->at_y = loss->slope * (focal.factor * at_y);
    if (focal.slope != 0)
        slopes->at_y -= loss->slope * (focal.slope * focal.rest);
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
