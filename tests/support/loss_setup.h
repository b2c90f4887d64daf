// SPDX-License-Identifier: MIT
// A small cross-entropy with everything that can be asked of it: what the tests on edges and on
// the defects of others share.
#ifndef TEMPERA_TESTS_LOSS_SETUP_H
#define TEMPERA_TESTS_LOSS_SETUP_H

#include "check.h"

#include <tempera/tempera.h>

enum { MOST_ROWS = 200, MOST_COLS = 8 };

struct small {
    size_t rows, cols;
    float z[MOST_ROWS * MOST_COLS];
    int32_t classes[MOST_ROWS];
    float q[MOST_ROWS * MOST_COLS]; // used if soft
    bool soft;
    struct tempera_cross_entropy_options options;
    const struct tempera_executor *executor;
    // results
    enum tempera_status status, row_status[MOST_ROWS];
    float d[MOST_ROWS * MOST_COLS], row_loss[MOST_ROWS], lse[MOST_ROWS], entropy[MOST_ROWS];
    uint8_t correct[MOST_ROWS];
    double loss, weight_sum, z_loss;
    size_t count, n_correct;
};

// Two rows of three with the default options.
struct small small_of(float a, float b, float c, float d, float e, float f, int32_t y0, int32_t y1);

void ask(struct small *s);

void check_zeros(const float *values, size_t n);

#endif
