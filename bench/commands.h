// SPDX-License-Identifier: MIT
// The subcommands of tempera-bench: one file each, all over the public API alone.
#ifndef BENCH_COMMANDS_H
#define BENCH_COMMANDS_H

#include <stdbool.h>

// Each returns the program's exit status. json: one object a line instead of a table.
int bench_loss(bool json);
int bench_sampler(bool json);
int bench_kernels(bool json);
int bench_linear_loss(bool json); // needs libtempera-lm's matrix product
int bench_matmul(bool json);      // needs libtempera-lm
int bench_prompt(bool json);      // needs libtempera-lm, and the model that ships

#endif
