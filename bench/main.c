// SPDX-License-Identifier: MIT
// tempera-bench: times of the public API beside what the machine can do, measured in the same run.
#include <stdio.h>
#include <string.h>

#include <tempera/tempera.h>

#include "commands.h"

static const struct command {
    const char *name, *what;
    int (*run)(bool json);
} commands[] = {
    {"loss", "cross-entropy, forward and backward", bench_loss},
    {"sampler", "one token from a row of 128256 scores", bench_sampler},
    {"kernels", "every operation on every instruction set", bench_kernels},
#ifdef TEMPERA_BENCH_LM
    {"linear-loss", "the last layer and its cross-entropy", bench_linear_loss},
    {"matmul", "the matrix products of a model", bench_matmul},
    {"prompt", "the first token after a prompt", bench_prompt},
#endif
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_usage(FILE *to)
{
    fprintf(to, "Usage: tempera-bench COMMAND [--json]\n\nCommands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-11s %s\n", commands[i].name, commands[i].what);
    fprintf(to, "\n--json prints one object a line. Medians of turns that all contestants take one "
                "after the other.\n\nExample: tempera-bench loss\n");
}

int main(int argc, char **argv)
{
    bool json = argc == 3 && strcmp(argv[2], "--json") == 0;
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_usage(stdout);
        return 0;
    }
    for (size_t i = 0; i < N_COMMANDS && (argc == 2 || json); i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            if (!json)
                printf("tempera %s, kernels: %s\n", tempera_version(),
                       tempera_isa_name(tempera_cpu_active()));
            return commands[i].run(json);
        }
    print_usage(stderr);
    return 2;
}
