// SPDX-License-Identifier: MIT
// AdamW (Loshchilov, Hutter 2017, arXiv 1711.05101), equal to torch.optim.AdamW up to rounding.
//
//     w <- w (1 - lr decay)                      matrices only
//     m <- b1 m + (1 - b1) g      v <- b2 v + (1 - b2) g^2
//     w <- w - lr / (1 - b1^k) * m / (sqrt(v) / sqrt(1 - b2^k) + epsilon)
//
// One pass over memory for each step, since bandwidth limits it: it also scales the gradients for
// the clip, and clears them. Read next: trainer.c.
#include "train/adamw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ELEMENTS = 16384, LANES = 16 };

enum tempera_status tempera_blocks_cut(const struct tempera_parameter *parameters,
                                       size_t n_parameters, struct tempera_block **blocks,
                                       size_t *n_blocks)
{
    size_t count = 0;
    for (size_t i = 0; i < n_parameters; i++) {
        size_t n = parameters[i].rows * parameters[i].cols;
        count += (n + BLOCK_ELEMENTS - 1) / BLOCK_ELEMENTS;
    }
    *blocks = calloc(count, sizeof **blocks);
    if (*blocks == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    *n_blocks = 0;
    for (size_t i = 0; i < n_parameters; i++) {
        size_t n = parameters[i].rows * parameters[i].cols;
        for (size_t at = 0; at < n; at += BLOCK_ELEMENTS) {
            struct tempera_block *block = &(*blocks)[(*n_blocks)++];
            block->offset = parameters[i].offset + at;
            block->n = n - at < BLOCK_ELEMENTS ? n - at : BLOCK_ELEMENTS;
            block->decay = parameters[i].rows > 1;
        }
    }
    return TEMPERA_OK;
}

struct tempera_adamw tempera_adamw_at(double learning_rate, double weight_decay, double beta1,
                                      double beta2, double epsilon, uint64_t k,
                                      double gradient_scale)
{
    struct tempera_adamw step = {
        .keep = (float)(1 - learning_rate * weight_decay),
        .beta1 = (float)beta1,
        .one_minus_beta1 = (float)(1 - beta1),
        .beta2 = (float)beta2,
        .one_minus_beta2 = (float)(1 - beta2),
        .step_size = (float)(learning_rate / (1 - pow(beta1, (double)k))),
        .v_scale = (float)(1 / sqrt(1 - pow(beta2, (double)k))),
        .epsilon = (float)epsilon,
        .gradient_scale = (float)gradient_scale,
    };
    return step;
}

void tempera_adamw_block(const struct tempera_adamw *step, const struct tempera_block *block,
                         float *weights, float *gradients, float *m, float *v)
{
    float *restrict w = weights + block->offset;
    float *restrict g = gradients + block->offset;
    float *restrict first = m + block->offset;
    float *restrict second = v + block->offset;
    const struct tempera_adamw s = *step;
    const float keep = block->decay ? s.keep : 1.0f;
    for (size_t i = 0; i < block->n; i++) {
        float gi = g[i] * s.gradient_scale;
        float mi = first[i] * s.beta1 + s.one_minus_beta1 * gi;
        float vi = second[i] * s.beta2 + (s.one_minus_beta2 * gi) * gi;
        float denominator = sqrtf(vi) * s.v_scale + s.epsilon;
        w[i] = w[i] * keep - (s.step_size * mi) / denominator;
        first[i] = mi;
        second[i] = vi;
        g[i] = 0;
    }
}

double tempera_block_sum_squares(const struct tempera_block *block, const float *gradients)
{
    const float *g = gradients + block->offset;
    double lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= block->n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            lanes[lane] += (double)g[i + lane] * (double)g[i + lane];
    for (size_t lane = 0; i < block->n; i++, lane++)
        lanes[lane] += (double)g[i] * (double)g[i];
    double sum = 0;
    for (size_t lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return sum;
}
