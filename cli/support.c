// SPDX-License-Identifier: MIT
#include "support.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "text.h"

static const char *const shipped_model = "tempera-kjv.gguf";

const char *cli_program = "tempera";

void cli_error(const char *format, ...)
{
    char message[4096], line[8192]; // no memory is asked for: that it's out may be the message
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    cli_escape(message, SIZE_MAX, line, sizeof line);
    fprintf(stderr, "%s\n", line);
}

// The option for a struct's field that text begins with; NULL if it begins with none.
static const char *option_of(const char *text, size_t *length)
{
    static const struct {
        const char *field, *option;
    } names[] = {
        {"options.min_learning_rate", "--min-lr"},
        {"options.learning_rate", "--lr"},
        {"options.weight_decay", "--weight-decay"},
        {"options.context", "--context"},
        {"options.batch", "--batch"},
        {"options.steps", "--steps"},
        {"learning_rate", "--lr"},
        {"context_length", "--context"},
        {"vocab_size", "--vocab"},
        {"n_layers", "--layers"},
        {"n_heads", "--heads"},
        {"n_kv_heads", "--kv-heads"},
        {"hidden_dim", "--hidden"},
        {"dim", "--dim"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *length = strlen(names[i].field);
        if (strncmp(text, names[i].field, *length) == 0 &&
            strspn(text + *length, "_abcdefghijklmnopqrstuvwxyz") == 0)
            return names[i].option;
    }
    return NULL;
}

// The library names fields; a user of the command knows options.
static void name_options(const char *message, char *text, size_t nbytes)
{
    size_t used = 0;
    bool begins_word = true;
    while (*message != '\0' && used + 1 < nbytes) {
        size_t length;
        const char *option = begins_word ? option_of(message, &length) : NULL;
        if (option != NULL) {
            used += (size_t)snprintf(text + used, nbytes - used, "%s", option);
            message += length;
            begins_word = false;
        } else {
            begins_word = *message == ' ' || *message == '(';
            text[used++] = *message++;
        }
    }
    text[used < nbytes ? used : nbytes - 1] = '\0';
}

int cli_failed(const char *command, enum tempera_status status, const struct tempera_error *error)
{
    bool has_message = error != NULL && error->message[0] != '\0';
    const char *message = has_message ? error->message : tempera_status_text(status);
    char text[2 * sizeof error->message];
    if (status == TEMPERA_INVALID_ARGUMENT) {
        name_options(message, text, sizeof text);
        message = text;
    }
    cli_error("tempera %s: %s", command, message);
    return status == TEMPERA_INVALID_ARGUMENT ? CLI_USAGE : CLI_FAILED;
}

int cli_cant_write(const char *command)
{
    cli_error("tempera %s: can't write the output: %s", command, strerror(errno));
    return CLI_FAILED;
}

void *cli_realloc(void *pointer, size_t nbytes)
{
    void *moved = realloc(pointer, nbytes == 0 ? 1 : nbytes);
    if (moved == NULL) {
        cli_error("tempera: out of memory (%zu bytes were needed)", nbytes);
        exit(CLI_FAILED);
    }
    return moved;
}

char *cli_strdup(const char *text)
{
    size_t nbytes = strlen(text) + 1;
    return memcpy(cli_realloc(NULL, nbytes), text, nbytes);
}

// The command lies in <prefix>/bin; the model in <prefix>/share/tempera/models, or, for a command
// in build/<preset>/bin, in the source tree's models.
char *cli_default_model(const char *command)
{
    static const char *const places[] = {"../share/tempera/models", "../../../models"};
    char exe[4096], path[4352];
    ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (length > 0) {
        exe[length] = '\0';
        char *slash = strrchr(exe, '/');
        if (slash != NULL)
            *slash = '\0';
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            snprintf(path, sizeof path, "%s/%s/%s", exe, places[i], shipped_model);
            if (access(path, R_OK) == 0)
                return cli_strdup(path);
        }
    }
    cli_error("tempera %s: the model that ships with tempera (%s) isn't beside this command; "
              "name one with -m FILE",
              command, shipped_model);
    return NULL;
}

bool cli_set_isa(const char *command, const char *name)
{
    if (name == NULL)
        return true;
    uint32_t isa = tempera_isa_from_name(name);
    if (isa == 0) {
        cli_error("tempera %s: --isa is one of " CLI_ISAS ", not '%s'", command, cli_shown(name));
        return false;
    }
    if (tempera_cpu_set_mask(isa) != TEMPERA_OK) {
        cli_error("tempera %s: this processor or build has no %s kernels; '%s info' lists "
                  "those it has",
                  command, name, cli_program);
        return false;
    }
    return true;
}

bool cli_session_open(struct cli_session *session, const char *command, const char *path,
                      uint64_t threads)
{
    *session = (struct cli_session){0};
    struct tempera_error error = {0};
    session->path = path != NULL ? cli_strdup(path) : cli_default_model(command);
    if (session->path == NULL)
        return false;
    enum tempera_status status =
        tempera_model_load(session->path, &session->model, &session->tokenizer, &error);
    if (status == TEMPERA_OK)
        status = tempera_thread_pool_open(&session->pool, (size_t)threads);
    if (status != TEMPERA_OK) {
        cli_failed(command, status, &error);
        cli_session_close(session);
        return false;
    }
    session->executor = tempera_thread_pool_executor(session->pool);
    return true;
}

void cli_session_close(struct cli_session *session)
{
    tempera_model_close(&session->model);
    tempera_tokenizer_close(&session->tokenizer);
    tempera_thread_pool_close(&session->pool);
    free(session->path);
    session->path = NULL;
}

// ------------------------------------------------------------------------------------------------
// JSON

static void *json_malloc(size_t nbytes)
{
    return cli_realloc(NULL, nbytes);
}

// Without it jansson silently leaves out what there is no memory for.
void cli_json_begin(void)
{
    json_set_alloc_funcs(json_malloc, free);
}

json_t *cli_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *cli_json_temperature(double value)
{
    return value == (double)INFINITY ? json_string("inf") : cli_json_number(value);
}

json_t *cli_json_numbers(const float *values, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, cli_json_number((double)values[i]));
    return array;
}

json_t *cli_json_text(const char *bytes, size_t nbytes)
{
    json_t *whole = json_stringn(bytes, nbytes);
    if (whole != NULL)
        return whole;
    // Some byte is not UTF-8: jansson checks one character at a time.
    char *text = cli_realloc(NULL, 3 * nbytes + 1);
    size_t used = 0;
    for (size_t i = 0; i < nbytes;) {
        size_t length = 1;
        json_t *piece = NULL;
        for (; length <= 4 && length <= nbytes - i; length++) {
            piece = json_stringn(bytes + i, length);
            if (piece != NULL)
                break;
        }
        if (piece != NULL) {
            memcpy(text + used, bytes + i, length);
            used += length;
            i += length;
            json_decref(piece);
        } else {
            memcpy(text + used, "\xEF\xBF\xBD", 3);
            used += 3;
            i++;
        }
    }
    json_t *string = json_stringn(text, used);
    free(text);
    return string;
}

// Nine digits tell every float apart. All of it is made before any of it is printed.
static bool print_json(json_t *object, size_t style)
{
    char *text = json_dumps(object, JSON_REAL_PRECISION(9) | style);
    json_decref(object);
    bool ok = fputs(text, stdout) != EOF && fputc('\n', stdout) != EOF && fflush(stdout) == 0;
    free(text);
    return ok;
}

bool cli_json_line(json_t *object)
{
    return print_json(object, JSON_COMPACT);
}

int cli_json_print(const char *command, json_t *object)
{
    return print_json(object, JSON_INDENT(2)) ? CLI_OK : cli_cant_write(command);
}

double cli_entropy_bits(const float *probs, size_t count)
{
    double bits = 0;
    for (size_t i = 0; i < count; i++)
        if (probs[i] > 0)
            bits -= (double)probs[i] * log2((double)probs[i]);
    return bits;
}
