// SPDX-License-Identifier: MIT
// The row kernels in plain C, computed in double: the specification that faster ones are tested
// against. With every exp within 1 ulp of a double, a probability is the correctly rounded one
// but for rare halfway cases.
#include "base/exp.h"
#include "kernels/kernels.h"

static struct tempera_row find(const float *z, const uint32_t *mask, size_t n)
{
    struct tempera_row row = {-INFINITY, 0, 0, false};
    for (size_t i = 0; i < n; i++) {
        if (!tempera_mask_allows(mask, i))
            continue;
        float x = z[i];
        row.has_nan |= x != x;
        row.n_finite += x > -INFINITY;
        if (x > row.max) {
            row.max = x;
            row.n_max = 0;
        }
        row.n_max += x == row.max;
    }
    return row;
}

// The sum goes in four lanes, so that its additions need not wait for one another; the order is
// fixed.
static double sum_exp(const float *z, const uint32_t *mask, size_t n, float max, float T)
{
    double lanes[4] = {0, 0, 0, 0};
    double m = (double)max, t = (double)T;
    if (mask == NULL) {
        size_t whole = n - n % 4;
        for (size_t i = 0; i < whole; i += 4)
            for (size_t lane = 0; lane < 4; lane++)
                lanes[lane] += tempera_exp(((double)z[i + lane] - m) / t);
        for (size_t i = whole; i < n; i++)
            lanes[i % 4] += tempera_exp(((double)z[i] - m) / t);
    } else {
        for (size_t i = 0; i < n; i++)
            if (tempera_mask_allows(mask, i))
                lanes[i % 4] += tempera_exp(((double)z[i] - m) / t);
    }
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

static void softmax(const float *z, const uint32_t *mask, size_t n, float max, float T, double S,
                    float *p)
{
    double m = (double)max, t = (double)T;
    if (mask == NULL) {
        for (size_t i = 0; i < n; i++)
            p[i] = (float)(tempera_exp(((double)z[i] - m) / t) / S);
    } else {
        for (size_t i = 0; i < n; i++) {
            bool allowed = tempera_mask_allows(mask, i);
            p[i] = allowed ? (float)(tempera_exp(((double)z[i] - m) / t) / S) : 0.0f;
        }
    }
}

static float log_p_of(double z, double max, double T, double ln_S)
{
    double log_p = (z - max) / T - ln_S;
    return (float)(log_p > 0 ? 0 : log_p);
}

static void log_softmax(const float *z, const uint32_t *mask, size_t n, float max, float T,
                        double ln_S, float *log_p)
{
    for (size_t i = 0; i < n; i++) {
        bool allowed = tempera_mask_allows(mask, i);
        log_p[i] = allowed ? log_p_of((double)z[i], (double)max, (double)T, ln_S) : -INFINITY;
    }
}

static double soft_loss(const float *z, const float *q, size_t n, float max, float T, double ln_S)
{
    double loss = 0;
    for (size_t i = 0; i < n; i++)
        if (q[i] != 0)
            loss += (double)q[i] * (ln_S - ((double)z[i] - (double)max) / (double)T);
    return loss;
}

static void gradient(const float *z, const float *q, size_t n, float max, float T, double S,
                     double weight, double scale, float *g)
{
    double m = (double)max, t = (double)T;
    if (q == NULL) {
        double weight_over_S = weight * scale / S;
        for (size_t i = 0; i < n; i++)
            g[i] = (float)(tempera_exp(((double)z[i] - m) / t) * weight_over_S);
    } else {
        for (size_t i = 0; i < n; i++) {
            double p = tempera_exp(((double)z[i] - m) / t) / S;
            g[i] = (float)(scale * (weight * p - (double)q[i]));
        }
    }
}

static bool softmax_backward(const float *p, const float *dp, size_t n, float T, float *dz)
{
    double lanes[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; i++)
        lanes[i % 4] += (double)p[i] * (double)dp[i];
    double sum = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
    if (!(sum - sum == 0)) // NaN or infinite
        return false;
    for (size_t i = 0; i < n; i++)
        dz[i] = (float)((double)p[i] * ((double)dp[i] - sum) / (double)T);
    return true;
}

static void masses(const float *z, size_t n, float max, double T, uint64_t *w)
{
    const double largest = 0x1p51, magic = 0x1p52; // adding it rounds and leaves the integer
    for (size_t i = 0; i < n; i++) {
        double shifted = tempera_exp(((double)z[i] - (double)max) / T) * largest + magic;
        uint64_t bits;
        memcpy(&bits, &shifted, sizeof bits);
        w[i] = bits & 0xFFFFFFFFFFFFFu;
    }
}

const struct tempera_kernels tempera_kernels_reference = {
    .isa = TEMPERA_ISA_SCALAR,
    .find = find,
    .sum_exp = sum_exp,
    .softmax = softmax,
    .log_softmax = log_softmax,
    .soft_loss = soft_loss,
    .gradient = gradient,
    .softmax_backward = softmax_backward,
    .masses = masses,
};
