// SPDX-License-Identifier: MIT
// The command line: one table of options a subcommand, from which both the parsing and the help
// come. A negative number is a number, never an option: `tempera softmax -1 2` works.
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 }; // exit codes

enum cli_kind {
    CLI_FLAG,    // bool
    CLI_SWITCH,  // int32_t, as CLI_FLAG
    CLI_FILE,    // const char *, as CLI_TEXT: a file's name, never empty or '-'
    CLI_TEXT,    // const char *
    CLI_TEXTS,   // struct cli_texts; may be given several times
    CLI_NUMBER,  // float in [low, high]
    CLI_NUMBERS, // struct cli_numbers in [low, high]; several times, or with commas between
    CLI_COUNT,   // uint64_t in [low, high]
    CLI_INT32,   // int32_t in [low, high], low >= 0
};

struct cli_texts {
    const char **items; // [count], freed by cli_options_free
    size_t count;
};

struct cli_numbers {
    float *items; // [count], freed by cli_options_free
    size_t count;
};

struct cli_option {
    const char *name; // without the dashes
    char letter;      // 0: none
    enum cli_kind kind;
    void *value;          // what kind says; keeps its default when the option isn't given
    const char *argument; // "FILE", shown in the help; NULL for a flag
    const char *help;     // one line
    double low, high;     // of numbers
};

struct cli_command {
    const char *name;
    const char *summary;   // one line
    const char *arguments; // "NUMBER..."
    const char *details;   // a paragraph for the help
    const char *example;   // a line that works as it stands
    int (*run)(int argc, char **argv);
};

// Parses argv[1..argc). Arguments that are not options go to *positionals. Returns true to go on;
// false when the command is over: after --help (printed to stdout, *exit_code CLI_OK) or an error
// (printed to stderr, CLI_USAGE).
bool cli_options_parse(const struct cli_command *command, const struct cli_option *options,
                       size_t n_options, int argc, char **argv, struct cli_texts *positionals,
                       int *exit_code);

// True for "0,5" and the like: two numbers here, and one where decimals have a comma.
bool cli_has_decimal_comma(const char *text);

// Tells the user how such a text was read, if one number may have been meant: it begins with 0, the
// locale has a comma, or `likely`.
void cli_hint_decimal_comma(const char *command, const char *text, bool likely);

// Frees the lists that parsing made.
void cli_options_free(const struct cli_option *options, size_t n_options,
                      struct cli_texts *positionals);

// A number as a user writes it: decimal, "inf" and "-inf"; nothing before or after it. One too
// large for a double becomes the largest double, which is not an infinity, and one too small the
// smallest, which is not 0.
bool cli_parse_number(const char *text, double *value);

// False for a finite number that only an infinite float could stand for.
bool cli_fits_float(double value);

#endif
