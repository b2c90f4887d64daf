// SPDX-License-Identifier: MIT
// The `tempera` command: finds the subcommand and runs it. Each subcommand is one file here and
// uses the public API only, so whatever it does a C program can do.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tempera/tempera.h>

#include "commands.h"
#include "support.h"
#include "text.h"

static const struct cli_command *const commands[] = {
    &cli_softmax, &cli_train, &cli_generate, &cli_explain, &cli_eval, &cli_info,
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_usage(FILE *file)
{
    fprintf(file,
            "tempera %s: a language model's scores, from softmax to the next token\n\n"
            "Usage: tempera COMMAND [options]\n\nCommands:\n",
            tempera_version());
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(file, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(file, "\n'tempera COMMAND --help' shows the options of one and an example.\n"
                  "Exit codes: 0 done, 1 failed, 2 wrong command line; stderr says why.\n\n"
                  "Example:\n  tempera softmax 2 1 0.1\n");
}

// If the rest of stdout's buffer can't be written, the command failed. One that failed before has
// said why.
static int written(int exit_code)
{
    if (exit_code != CLI_OK || (fflush(stdout) == 0 && !ferror(stdout)))
        return exit_code;
    cli_error("tempera: can't write the output: %s", strerror(errno));
    return CLI_FAILED;
}

// If stdin, stdout or stderr is closed, the next file opened would take its place. So /dev/null is
// opened there, in a mode in which reading stdin or writing stdout still fails; messages to a
// closed stderr are lost, which is not an error.
static bool hold_descriptors(void)
{
    static const int modes[] = {O_WRONLY, O_RDONLY, O_WRONLY};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    if (!hold_descriptors()) {
        cli_error("tempera: can't open /dev/null: %s", strerror(errno));
        return CLI_FAILED;
    }
    // A closed pipe ends the command by its signal, without a message, even if the parent ignored
    // the signal. A limit on the size of files is a write error, reported like any other.
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_IGN);
    cli_json_begin();
    if (argc > 0 && argv[0][0] != '\0')
        cli_program = argv[0];
    if (argc < 2) {
        print_usage(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_usage(stdout);
        return written(CLI_OK);
    }
    if (strcmp(name, "--version") == 0) {
        printf("tempera %s\n", tempera_version());
        return written(CLI_OK);
    }
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(name, commands[i]->name) == 0)
            return written(commands[i]->run(argc - 1, argv + 1));
    cli_error("tempera: there is no command '%s'; '%s --help' lists them", cli_shown(name),
              cli_program);
    return CLI_USAGE;
}
