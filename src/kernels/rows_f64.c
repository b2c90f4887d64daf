// SPDX-License-Identifier: MIT
// Rows whose temperature or maximum f32 arithmetic can't hold: T below 1e-36 or above 1e30, scores
// from 1e31 on. In double, one plain text for every machine; such rows are rare.
#include "base/exp.h"
#include "kernels/kernels.h"
#include "kernels/scalars.h"

// Four lanes, so that the additions need not wait for one another; the order is fixed.
double tempera_f64_sum(const float *z, size_t n, float max, double T)
{
    double lanes[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; i++)
        lanes[i % 4] += tempera_exp(((double)z[i] - (double)max) / T);
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

void tempera_f64_softmax(const float *z, size_t n, float max, double T, double sum, float *p)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(tempera_exp(((double)z[i] - (double)max) / T) / sum);
}

void tempera_f64_log_softmax(const float *z, size_t n, float max, double T, double ln_S,
                             float *log_p)
{
    for (size_t i = 0; i < n; i++) {
        double log_p_i = ((double)z[i] - (double)max) / T - ln_S;
        log_p[i] = (float)(log_p_i > 0 ? 0 : log_p_i);
    }
}

void tempera_f64_backward(const float *p, const float *dp, size_t n, double dot, double T,
                          float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((double)p[i] * ((double)dp[i] - dot) / T);
}

void tempera_f64_masses(const float *z, size_t n, float max, double T, uint64_t *w)
{
    for (size_t i = 0; i < n; i++) {
        double e = tempera_exp(((double)z[i] - (double)max) / T) * 0x1p51;
        w[i] = tempera_rounded(e);
    }
}
