// SPDX-License-Identifier: MIT
// The operations that tests/kernels/kcheck.c checks and `tempera-bench kernels` times: public calls
// that take scores and give numbers.
#ifndef BENCH_OPERATIONS_H
#define BENCH_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/tempera.h>

enum { OPERATION_MAX_COLS = 262144, OPERATION_MAX_ROWS = 16 };

struct operation_inputs {
    const float *z, *other; // [rows, n], with the stride
    const uint16_t *halves; // z in the operation's type, where that has 16 bits; without a stride
    size_t rows, n, stride;
    float T;
    const struct tempera_executor *executor;
};

struct operation {
    const char *name;
    // Writes numbers of the operation's type to out, rows * n + 1 at most, and says how many.
    enum tempera_status (*run)(const struct operation_inputs *in, void *out, size_t *n_out);
    enum tempera_dtype dtype;
    bool mixes_rows; // what it writes for a row depends on the other rows, or on its number
};

enum { N_OPERATIONS = 20 };

extern const struct operation operations[N_OPERATIONS];

// By name; NULL if there is none.
const struct operation *operation_named(const char *name);

#endif
