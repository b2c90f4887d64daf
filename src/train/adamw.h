// SPDX-License-Identifier: MIT
// The optimiser's work on one block of parameters. Blocks are cut once from the parameter table,
// by its shape only, so neither their order nor the number of threads changes a bit.
#ifndef TEMPERA_TRAIN_ADAMW_H
#define TEMPERA_TRAIN_ADAMW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/model.h>

struct tempera_block {
    size_t offset; // of the first element, in the model's block of weights
    size_t n;
    bool decay; // part of a matrix
};

// Cuts the parameters into blocks of at most 16384 elements. *blocks is the caller's to free.
enum tempera_status tempera_blocks_cut(const struct tempera_parameter *parameters,
                                       size_t n_parameters, struct tempera_block **blocks,
                                       size_t *n_blocks);

// The numbers of one step, computed in double and rounded once.
struct tempera_adamw {
    float keep;       // 1 - learning rate * decay, what a matrix element is multiplied by
    float beta1, one_minus_beta1;
    float beta2, one_minus_beta2;
    float step_size;  // learning rate / (1 - beta1^k)
    float v_scale;    // 1 / sqrt(1 - beta2^k)
    float epsilon;
    float gradient_scale; // from clipping
};

// For step number k = 1, 2, ...
struct tempera_adamw tempera_adamw_at(double learning_rate, double weight_decay, double beta1,
                                      double beta2, double epsilon, uint64_t k,
                                      double gradient_scale);

// Updates weights and moments of one block and sets its gradients to 0 for the next step.
void tempera_adamw_block(const struct tempera_adamw *step, const struct tempera_block *block,
                         float *weights, float *gradients, float *m, float *v);

// Sum of squares of a block of gradients, in double over 16 fixed lanes.
double tempera_block_sum_squares(const struct tempera_block *block, const float *gradients);

#endif
