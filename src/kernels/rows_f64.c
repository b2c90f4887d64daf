// SPDX-License-Identifier: MIT
#include "kernels/rows_f64.h"

#include "base/exp.h"
#include "kernels/scalars.h"

// In four lanes, since one chain of additions would wait for each result.
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
