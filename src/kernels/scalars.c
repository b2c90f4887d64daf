// SPDX-License-Identifier: MIT
#include "kernels/scalars.h"

#include "base/exp.h"

struct tempera_temperature_params tempera_temperature_params_of(double T)
{
    struct tempera_temperature_params params = {.T = T, .L = 0x1.71547652b82fep+0 / T};
    params.fits_f32 = params.L >= 0x1p-100 && params.L <= 0x1p120;
    if (params.fits_f32) {
        params.underflow_distance = 152 / params.L;
        params.L_high = tempera_truncated(params.L);
        params.L_low = (float)(params.L - (double)params.L_high);
        tempera_split_inverse(1, T, &params.inverse_T[0], &params.inverse_T[1]);
    }
    return params;
}

double tempera_sum_lanes(double lanes[16])
{
    for (size_t width = 8; width > 0; width /= 2)
        for (size_t i = 0; i < width; i++)
            lanes[i] += lanes[i + width];
    return lanes[0];
}

double tempera_ln_sum(const struct tempera_row_sum *sum)
{
    return tempera_log(sum->sum / sum->e_max);
}
