// SPDX-License-Identifier: MIT
#include "input.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "support.h"
#include "text.h"

static const char end_of_text[] = "<|endoftext|>";

// ------------------------------------------------------------------------------------------------
// Bytes

// NULL if there are too many; no more than one byte too many is read.
static char *read_stream(FILE *file, size_t *nbytes)
{
    const size_t most = CLI_MOST_TEXT + 2; // with that byte and the ending zero
    size_t capacity = 65536, used = 0;
    char *text = cli_realloc(NULL, capacity);
    for (;;) {
        used += fread(text + used, 1, capacity - used - 1, file);
        if (used > CLI_MOST_TEXT) {
            free(text);
            return NULL;
        }
        if (used < capacity - 1)
            break;
        capacity = capacity < most / 2 ? 2 * capacity : most;
        text = cli_realloc(text, capacity);
    }
    text[used] = '\0';
    *nbytes = used;
    return text;
}

static char *read_bytes(const char *command, const char *path, size_t *nbytes)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "rb");
    if (file == NULL) {
        int reason = errno;
        cli_error("tempera %s: can't read '%s': %s", command, cli_shown(path), strerror(reason));
        return NULL;
    }
    errno = 0;
    char *text = read_stream(file, nbytes);
    int failure = errno;
    if (text == NULL) {
        cli_error("tempera %s: '%s' has more than %zu MB of text, the most that is read; give a "
                  "part of it",
                  command, cli_shown(path), CLI_MOST_TEXT >> 20);
    } else if (ferror(file)) {
        cli_error("tempera %s: can't read '%s': %s", command, cli_shown(path), strerror(failure));
        free(text);
        text = NULL;
    }
    if (!is_stdin)
        fclose(file);
    return text;
}

// ------------------------------------------------------------------------------------------------
// What the first bytes say

struct mark {
    const char *encoding;
    const char *bytes;
    size_t nbytes;
};

static const struct mark utf8_mark = {"UTF-8", "\xEF\xBB\xBF", 3};

// The longer ones first: the mark of UTF-32LE starts with that of UTF-16LE.
static const struct mark wide_marks[] = {
    {"UTF-32LE", "\xFF\xFE\0\0", 4},
    {"UTF-32BE", "\0\0\xFE\xFF", 4},
    {"UTF-16LE", "\xFF\xFE", 2},
    {"UTF-16BE", "\xFE\xFF", 2},
};

static bool begins_with(const char *text, size_t nbytes, const struct mark *mark)
{
    return nbytes >= mark->nbytes && memcmp(text, mark->bytes, mark->nbytes) == 0;
}

static char *convert(const char *command, const char *path, const char *encoding, char *text,
                     size_t *nbytes)
{
    size_t left = *nbytes, space = 2 * *nbytes + 16; // two bytes become three at most
    char *converted = cli_realloc(NULL, space + 1), *in = text, *out = converted;
    iconv_t converter = iconv_open("UTF-8", encoding);
    bool ok = converter != (iconv_t)-1;
    if (ok) {
        ok = iconv(converter, &in, &left, &out, &space) != (size_t)-1 && left == 0;
        iconv_close(converter);
    }
    if (!ok) {
        cli_error("tempera %s: '%s' is marked as %s, but isn't from byte %zu on; give it as UTF-8",
                  command, cli_shown(path), encoding, *nbytes - left);
        free(converted);
        return NULL;
    }
    *out = '\0';
    *nbytes = (size_t)(out - converted);
    return converted;
}

// The text as UTF-8, in its own memory or in memory of its own; NULL after a message.
static char *decode(const char *command, const char *path, char *text, size_t *nbytes)
{
    for (size_t i = 0; i < sizeof wide_marks / sizeof *wide_marks; i++) {
        const struct mark *mark = &wide_marks[i];
        if (!begins_with(text, *nbytes, mark))
            continue;
        *nbytes -= mark->nbytes;
        memmove(text, text + mark->nbytes, *nbytes);
        char *converted = convert(command, path, mark->encoding, text, nbytes);
        free(text);
        text = converted;
        break;
    }
    if (text != NULL && begins_with(text, *nbytes, &utf8_mark)) {
        *nbytes -= utf8_mark.nbytes;
        memmove(text, text + utf8_mark.nbytes, *nbytes + 1);
    }
    const char *zero = text != NULL ? memchr(text, 0, *nbytes) : NULL;
    if (zero != NULL) {
        cli_error("tempera %s: '%s' is not text: byte %zu is zero; give plain text, in UTF-8",
                  command, cli_shown(path), (size_t)(zero - text));
        free(text);
        text = NULL;
    }
    return text;
}

char *cli_read_text(const char *command, const char *path, size_t *nbytes)
{
    char *text = read_bytes(command, path, nbytes);
    return text != NULL ? decode(command, path, text, nbytes) : NULL;
}

// ------------------------------------------------------------------------------------------------
// Prompts

static bool stdin_has_text(void)
{
    struct stat info;
    return fstat(STDIN_FILENO, &info) == 0 && (S_ISREG(info.st_mode) || S_ISFIFO(info.st_mode));
}

char *cli_read_prompt(const char *command, const char *text, const char *file, int *exit_code)
{
    size_t nbytes;
    if (text != NULL && file != NULL) {
        cli_error("tempera %s: -p and --prompt-file both give a prompt: choose one", command);
        *exit_code = CLI_USAGE;
        return NULL;
    }
    *exit_code = CLI_FAILED;
    if (text != NULL && strcmp(text, "-") != 0) {
        char *copy = cli_strdup(text);
        nbytes = strlen(copy);
        return decode(command, "-p", copy, &nbytes);
    }
    if (text == NULL && file == NULL && !stdin_has_text())
        return cli_strdup("");
    char *prompt = cli_read_text(command, file != NULL ? file : "-", &nbytes);
    if (prompt != NULL && nbytes > 0 && prompt[nbytes - 1] == '\n') {
        nbytes -= nbytes > 1 && prompt[nbytes - 2] == '\r' ? 2 : 1;
        prompt[nbytes] = '\0';
    }
    return prompt;
}

// ------------------------------------------------------------------------------------------------
// Documents

static void append(struct cli_documents *d, const char *text, size_t nbytes)
{
    d->text = cli_realloc(d->text, d->nbytes + nbytes + 1);
    memcpy(d->text + d->nbytes, text, nbytes);
    d->nbytes += nbytes;
    d->text[d->nbytes] = '\0';
}

// An empty document does not count.
static void end_document(struct cli_documents *d)
{
    size_t last = d->n_borders > 0 ? d->borders[d->n_borders - 1] : 0;
    if (d->nbytes == last)
        return;
    d->borders = cli_realloc(d->borders, (d->n_borders + 1) * sizeof *d->borders);
    d->borders[d->n_borders++] = d->nbytes;
}

void cli_documents_add(struct cli_documents *documents, const char *text, size_t nbytes,
                       bool as_one)
{
    const size_t length = sizeof end_of_text - 1;
    if (as_one) {
        append(documents, "\n\n", documents->nbytes > 0 ? 2 : 0);
        append(documents, text, nbytes);
        return;
    }
    end_document(documents);
    for (const char *end = text + nbytes; text < end;) {
        const char *mark = strstr(text, end_of_text); // texts have no NUL but after them
        append(documents, text, (size_t)((mark != NULL ? mark : end) - text));
        if (mark == NULL)
            return;
        end_document(documents);
        text = mark + length;
        text += text[0] == '\r' && text[1] == '\n' ? 2 : text[0] == '\n';
    }
}

void cli_documents_free(struct cli_documents *documents)
{
    free(documents->text);
    free(documents->borders);
    *documents = (struct cli_documents){0};
}
