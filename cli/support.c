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

static const char *const shipped_model = "tempera-kjv.gguf";

const char *cli_program = "tempera";

void cli_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

int cli_failed(const char *command, enum tempera_status status, const struct tempera_error *error)
{
    bool has_message = error != NULL && error->message[0] != '\0';
    const char *message = has_message ? error->message : tempera_status_text(status);
    cli_error("tempera %s: %s", command, message);
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
        cli_error("tempera %s: --isa must be scalar, avx2, avx512 or neon, not '%s'", command,
                  name);
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

json_t *cli_json_number(double value)
{
    if (isinf(value))
        return json_string(value > 0 ? "inf" : "-inf");
    return isnan(value) ? json_string("nan") : json_real(value);
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
    // Some byte is no UTF-8: jansson tells good pieces from bad ones, a character at a time.
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

// Nine digits tell every float apart.
static bool print_json(json_t *object, size_t style)
{
    int failed = json_dumpf(object, stdout, JSON_REAL_PRECISION(9) | style);
    json_decref(object);
    return failed == 0 && fputc('\n', stdout) != EOF && fflush(stdout) == 0;
}

bool cli_json_line(json_t *object)
{
    return print_json(object, JSON_COMPACT);
}

int cli_json_print(const char *command, json_t *object)
{
    if (!print_json(object, JSON_INDENT(2))) {
        cli_error("tempera %s: can't write the output: %s", command, strerror(errno));
        return CLI_FAILED;
    }
    return CLI_OK;
}

// ------------------------------------------------------------------------------------------------
// Text in a terminal

void cli_bar(double share, size_t width, char *text)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    if (!(share >= 0)) // a NaN has no length
        share = 0;
    size_t cells = (size_t)(fmin(share, 1) * (double)width * 8 + 0.5);
    char *end = text;
    for (size_t i = 0; i < cells / 8; i++)
        end = stpcpy(end, "█");
    stpcpy(end, eighths[cells % 8]);
}

void cli_quote(const uint8_t *bytes, size_t nbytes, char *text, size_t nbytes_text)
{
    size_t used = 0;
    json_t *as_utf8 = json_stringn((const char *)bytes, nbytes);
    bool escape_high = as_utf8 == NULL; // a piece of a character can't be shown as it is
    json_decref(as_utf8);
    text[used++] = '"';
    for (size_t i = 0; i < nbytes && used + 6 < nbytes_text; i++) {
        uint8_t c = bytes[i];
        if (c == '\n')
            used += (size_t)snprintf(text + used, nbytes_text - used, "\\n");
        else if (c == '"' || c == '\\')
            used += (size_t)snprintf(text + used, nbytes_text - used, "\\%c", c);
        else if (c < 0x20 || c == 0x7F || (c > 0x7F && escape_high))
            used += (size_t)snprintf(text + used, nbytes_text - used, "\\x%02x", c);
        else
            text[used++] = (char)c;
    }
    text[used++] = '"';
    text[used] = '\0';
}

double cli_entropy_bits(const float *probs, size_t count)
{
    double bits = 0;
    for (size_t i = 0; i < count; i++)
        if (probs[i] > 0)
            bits -= (double)probs[i] * log2((double)probs[i]);
    return bits;
}
