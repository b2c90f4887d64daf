// SPDX-License-Identifier: MIT
#include "score/calibration/row_moments.h"

#include "base/exp.h"
#include "base/size.h"
#include "kernels/scalars.h"

struct sums {
    bool is_f64;
    struct tempera_exponent exponent;
    double lanes[3][16]; // of e, e x, e x^2; f64: in the first lane
};

static void add_f64(const float *z, size_t n, double max, double T, double lanes[3][16])
{
    for (size_t i = 0; i < n; i++) {
        double x = (double)z[i] - max, e = tempera_exp(x / T);
        if (e == 0) // x may be infinite
            continue;
        lanes[0][0] += e;
        lanes[1][0] += e * x;
        lanes[2][0] += e * x * x;
    }
}

static void add_piece(const struct tempera_kernels *kernels, const float *z, size_t n, float max,
                      const struct tempera_temperature_params *params, struct sums *sums)
{
    if (sums->is_f64)
        add_f64(z, n, (double)max, params->T, sums->lanes);
    else
        kernels->pieces.moments(z, n, &sums->exponent, max, (float)-params->underflow_distance,
                                sums->lanes);
}

static struct tempera_score_moments finish(const struct tempera_kernels *kernels, float max,
                                           struct sums *sums)
{
    double e_max = sums->is_f64 ? 1 : kernels->pieces.exp_one(max, &sums->exponent);
    double S = tempera_sum_lanes(sums->lanes[0]);
    double mean = tempera_sum_lanes(sums->lanes[1]) / S;
    double variance = tempera_sum_lanes(sums->lanes[2]) / S - mean * mean;
    return (struct tempera_score_moments){
        .ln_S = tempera_log(S / e_max), .mean = mean, .variance = variance > 0 ? variance : 0};
}

void tempera_row_moments(const struct tempera_row_source *source, float max,
                         const struct tempera_temperature_params *params, size_t n,
                         struct tempera_score_moments *moments)
{
    struct sums sums[TEMPERA_MOST_TEMPERATURES];
    for (size_t k = 0; k < n; k++) {
        sums[k] = (struct sums){.is_f64 = !params[k].fits_f32 || params[k].T > 0x1p60 ||
                                          !tempera_max_fits_f32(max)};
        if (!sums[k].is_f64)
            sums[k].exponent = tempera_exponent_of(max, &params[k]);
    }
    float buffer[TEMPERA_PIECE];
    for (size_t at = 0; at < source->n; at += TEMPERA_PIECE) {
        size_t length = tempera_min(source->n - at, TEMPERA_PIECE);
        const float *z = tempera_row_piece(source, at, length, buffer);
        for (size_t k = 0; k < n; k++)
            add_piece(source->kernels, z, length, max, &params[k], &sums[k]);
    }
    for (size_t k = 0; k < n; k++)
        moments[k] = finish(source->kernels, max, &sums[k]);
}
