// SPDX-License-Identifier: MIT
// A cross-entropy before and after its rows: the options, the normalisers, the reduction. All of it
// runs with the default floating-point modes: the caller's may take a small T for 0, or trap a NaN.
#include "score/loss/cross_entropy.h"

#include <math.h>
#include <string.h>

#include "base/matrix.h"

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

// Neither negative, nor infinite, nor NaN.
static bool is_amount(float x)
{
    return x >= 0 && x < INFINITY;
}

enum tempera_status
tempera_loss_read_options(const struct tempera_cross_entropy_options *given,
                          struct tempera_cross_entropy_options *options)
{
    *options = tempera_cross_entropy_options_default();
    if (given != NULL) {
        const size_t least = // version 0.1
            offsetof(struct tempera_cross_entropy_options, gradient_scale) + sizeof(float);
        TEMPERA_CHECK(given->struct_size >= least, TEMPERA_INVALID_ARGUMENT);
        size_t known = given->struct_size < sizeof *options ? given->struct_size : sizeof *options;
        memcpy(options, given, known);
    }
    TEMPERA_CHECK(options->temperature > 0 && options->temperature < INFINITY,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(options->gradient_scale - options->gradient_scale == 0,
                  TEMPERA_INVALID_ARGUMENT); // no NaN, no infinity
    TEMPERA_CHECK((unsigned)options->reduction <= TEMPERA_REDUCTION_NONE, TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(options->label_smoothing >= 0 && options->label_smoothing <= 1,
                  TEMPERA_INVALID_ARGUMENT);
    TEMPERA_CHECK(is_amount(options->z_loss) && is_amount(options->softcap) &&
                      is_amount(options->focal_gamma),
                  TEMPERA_INVALID_ARGUMENT);
    return TEMPERA_OK;
}

static enum tempera_status add_class_weights(struct tempera_loss *loss)
{
    const float *weights = loss->options.class_weights;
    loss->class_weights_sum = weights == NULL ? (double)loss->cols : 0;
    loss->largest_class_weight = weights == NULL ? 1 : 0;
    for (size_t i = 0; weights != NULL && i < loss->cols; i++) {
        TEMPERA_CHECK(is_amount(weights[i]), TEMPERA_INVALID_ARGUMENT);
        loss->class_weights_sum += (double)weights[i];
        if ((double)weights[i] > loss->largest_class_weight)
            loss->largest_class_weight = (double)weights[i];
    }
    return TEMPERA_OK;
}

// N and W.
static enum tempera_status count_rows(struct tempera_loss *loss, const int32_t *classes,
                                      size_t rows)
{
    loss->count = rows;
    loss->weight_sum = 0;
    for (size_t r = 0; classes != NULL && r < rows; r++) {
        int32_t y = classes[r];
        if (y == loss->options.ignore_index) {
            loss->count--;
            continue;
        }
        TEMPERA_CHECK(y >= 0 && (size_t)y < loss->cols, TEMPERA_TARGET_OUT_OF_RANGE);
        loss->weight_sum += (double)tempera_loss_class_weight(loss, (size_t)y);
    }
    if (classes == NULL)
        loss->weight_sum = (double)rows;
    return TEMPERA_OK;
}

enum tempera_status tempera_loss_begin(struct tempera_loss *loss, const int32_t *classes,
                                       size_t rows)
{
    const struct tempera_cross_entropy_options *options = &loss->options;
    TEMPERA_CHECK(classes != NULL || options->focal_gamma == 0, TEMPERA_UNSUPPORTED);
    enum tempera_status status = add_class_weights(loss);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    status = count_rows(loss, classes, rows);
    TEMPERA_CHECK(status == TEMPERA_OK, status);
    loss->params = tempera_temperature_params_of((double)options->temperature);
    loss->slope = (double)options->gradient_scale / (double)options->temperature;
    loss->z_slope = loss->slope;
    if (options->reduction == TEMPERA_REDUCTION_MEAN) {
        loss->slope = loss->weight_sum > 0 ? loss->slope / loss->weight_sum : 0;
        loss->z_slope = loss->count > 0 ? loss->z_slope / (double)loss->count : 0;
    }
    return TEMPERA_OK;
}

double tempera_loss_reduce(const struct tempera_loss *loss, double cross_entropy, double z_loss)
{
    if (loss->options.reduction == TEMPERA_REDUCTION_MEAN) {
        if (loss->weight_sum > 0)
            cross_entropy /= loss->weight_sum;
        else if (cross_entropy - cross_entropy == 0) // what is infinite or NaN stays so
            cross_entropy = 0;
        if (loss->count > 0)
            z_loss /= (double)loss->count;
    }
    double sum = cross_entropy + z_loss;
    return sum == sum ? sum : NAN;
}
