// SPDX-License-Identifier: MIT
// Used by all subcommands: messages, memory, threads, the default model, JSON.
#ifndef CLI_SUPPORT_H
#define CLI_SUPPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/model.h>
#include <tempera/tempera.h>
#include <tempera/tokenizer.h>

// How the command was called: for hints that can be pasted.
extern const char *cli_program;

// Prints a line to stderr, control characters written out.
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Prints "tempera COMMAND: message" for a failed library call (the status's own text where the
// error has no message), fields of structs by the names of their options, and returns the exit
// code: CLI_USAGE where it was an argument that the library refused.
int cli_failed(const char *command, enum tempera_status status, const struct tempera_error *error);

// Allocation that ends the program with a message when memory is out.
void *cli_realloc(void *pointer, size_t nbytes);
char *cli_strdup(const char *text);

// Prints that stdout can't be written, and returns the exit code CLI_FAILED.
int cli_cant_write(const char *command);

// The model that ships with the command, found next to the command itself: in the installation
// or in the source tree it was built in. NULL, with a message, if it isn't there. Freed by the
// caller.
char *cli_default_model(const char *command);

// The option that names an instruction set, for a const char *.
#define CLI_ISAS "scalar, avx2, avx512, neon"
#define CLI_ISA_OPTION(value)                                                                      \
    {                                                                                              \
        "isa", 0, CLI_TEXT, value, "NAME", "kernels: " CLI_ISAS, 0, 0                              \
    }

// Restricts the kernels to the named instruction set; NULL: nothing. Prints what is wrong.
bool cli_set_isa(const char *command, const char *name);

// A model with its tokenizer and threads, opened for one subcommand.
struct cli_session {
    struct tempera_model *model;
    struct tempera_tokenizer *tokenizer;
    struct tempera_thread_pool *pool;
    const struct tempera_executor *executor;
    char *path;
};

// path NULL: the default model; threads 0: all processors. Prints what is wrong and returns false
// with everything closed.
bool cli_session_open(struct cli_session *session, const char *command, const char *path,
                      uint64_t threads);
void cli_session_close(struct cli_session *session);

// ------------------------------------------------------------------------------------------------
// JSON. Numbers read back to the same float. No result is NULL: once cli_json_begin was called, the
// program ends with a message where memory is out.

void cli_json_begin(void);
// null for what JSON has no number for: NaN and infinities, as the logarithm of a probability of 0.
json_t *cli_json_number(double value);
// A temperature, which may be "inf".
json_t *cli_json_temperature(double value);
json_t *cli_json_numbers(const float *values, size_t count);
// Bytes as a JSON string; bytes that are not UTF-8 become U+FFFD.
json_t *cli_json_text(const char *bytes, size_t nbytes);
// Prints object on one line, at once, and frees it; false if stdout can't be written.
bool cli_json_line(json_t *object);
// Prints object and a newline to stdout, frees it, and returns the exit code.
int cli_json_print(const char *command, json_t *object);

// Entropy in bits of a distribution.
double cli_entropy_bits(const float *probs, size_t count);

#endif
