// SPDX-License-Identifier: MIT
// What all tables share.
#include "base/exp.h"
#include "kernels/kernels.h"
#include "kernels/scalars.h"

struct tempera_heat tempera_heat_of(double T)
{
    struct tempera_heat heat = {.T = T, .L = 0x1.71547652b82fep+0 / T};
    heat.is_ordinary = heat.L >= 0x1p-100 && heat.L <= 0x1p120;
    if (heat.is_ordinary) {
        heat.reach = 152 / heat.L;
        heat.L_high = tempera_truncated(heat.L);
        heat.L_low = (float)(heat.L - (double)heat.L_high);
        tempera_split_inverse(1, T, &heat.inverse_T[0], &heat.inverse_T[1]);
    }
    return heat;
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
