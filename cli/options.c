// SPDX-License-Identifier: MIT
#include "options.h"

#include <errno.h>
#include <float.h>
#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "text.h"

enum { MAX_OPTIONS = 128, FIRST_LONG = 256 }; // long options' codes begin above every letter

bool cli_parse_number(const char *text, double *value)
{
    char *end;
    if (text[0] == '\0' || strchr(" \t\n\v\f\r", text[0]) != NULL)
        return false;
    errno = 0;
    *value = strtod(text, &end);
    if (errno == ERANGE && isinf(*value))
        *value = *value > 0 ? DBL_MAX : -DBL_MAX;
    if (errno == ERANGE && *value == 0)
        *value = copysign(DBL_TRUE_MIN, *value);
    return *end == '\0';
}

bool cli_fits_float(double value)
{
    return !(fabs(value) >= 0x1.ffffffp127) || isinf(value); // where rounding to FLT_MAX ends
}

static bool parse_count(const char *text, uint64_t *value)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0;
}

// "a number from 0 to 1", for messages.
static void describe_range(const struct cli_option *option, char *text, size_t nbytes)
{
    bool is_whole = option->kind == CLI_COUNT || option->kind == CLI_INT32;
    const char *what = is_whole ? "a whole number" : "a number";
    if (isinf(option->high))
        snprintf(text, nbytes, "%s from %.9g to %.9g, or inf", what, option->low, (double)FLT_MAX);
    else if (is_whole)
        snprintf(text, nbytes, "%s from %.0f to %.0f", what, option->low, option->high);
    else
        snprintf(text, nbytes, "%s from %.9g to %.9g", what, option->low, option->high);
}

static bool range_error(const struct cli_command *command, const struct cli_option *option,
                        const char *text)
{
    char range[96];
    describe_range(option, range, sizeof range);
    cli_error("tempera %s: --%s must be %s, not '%s'", command->name, option->name, range,
              cli_shown(text));
    return false;
}

bool cli_has_decimal_comma(const char *text)
{
    const char *digits = "0123456789";
    text += text[0] == '-';
    size_t whole = strspn(text, digits), part;
    if (whole == 0 || text[whole] != ',')
        return false;
    part = strspn(text + whole + 1, digits);
    return part > 0 && text[whole + 1 + part] == '\0';
}

static bool locale_has_decimal_comma(void)
{
    locale_t user = newlocale(LC_NUMERIC_MASK, "", (locale_t)0);
    bool comma = user != (locale_t)0 && strcmp(nl_langinfo_l(RADIXCHAR, user), ",") == 0;
    if (user != (locale_t)0)
        freelocale(user);
    return comma;
}

void cli_hint_decimal_comma(const char *command, const char *text, bool likely)
{
    const char *number = text + (text[0] == '-');
    if (!cli_has_decimal_comma(text) ||
        (!likely && number[0] != '0' && !locale_has_decimal_comma()))
        return;
    int whole = (int)strcspn(text, ",");
    cli_error("tempera %s: note: %s was read as two numbers; a fraction has a point: %.*s.%s",
              command, text, whole, text, text + whole + 1);
}

// A number that the option takes, as a float; otherwise says what is wrong and returns false.
static bool parse_float(const struct cli_command *command, const struct cli_option *option,
                        const char *text, float *value)
{
    double number;
    if (!cli_parse_number(text, &number) || !(number >= option->low && number <= option->high) ||
        !cli_fits_float(number))
        return range_error(command, option, text);
    if ((float)number == 0 && number != 0) { // 0 often means something else, such as "off"
        cli_error("tempera %s: --%s: '%s' is smaller than the smallest 32-bit float, %.2g; use 0",
                  command->name, option->name, cli_shown(text), (double)FLT_TRUE_MIN);
        return false;
    }
    *value = (float)number;
    return true;
}

static bool append_number(const struct cli_command *command, const struct cli_option *option,
                          const char *text)
{
    struct cli_numbers *list = option->value;
    char *copy = cli_strdup(text);
    bool ok = true;
    for (char *item = copy, *next; ok && item != NULL; item = next) {
        float number;
        next = strchr(item, ',');
        if (next != NULL)
            *next++ = '\0';
        ok = parse_float(command, option, item, &number);
        if (ok) {
            list->items = cli_realloc(list->items, (list->count + 1) * sizeof *list->items);
            list->items[list->count++] = number;
        }
    }
    free(copy);
    if (ok)
        cli_hint_decimal_comma(command->name, text, false);
    return ok;
}

static void append_text(struct cli_texts *list, const char *text)
{
    list->items = cli_realloc(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = text;
}

static bool store(const struct cli_command *command, const struct cli_option *option,
                  const char *text)
{
    uint64_t count;
    switch (option->kind) {
    case CLI_FLAG:
        *(bool *)option->value = true;
        return true;
    case CLI_SWITCH:
        *(int32_t *)option->value = 1;
        return true;
    case CLI_FILE:
        if (text[0] == '\0' || strcmp(text, "-") == 0) {
            cli_error("tempera %s: --%s needs the name of a file, not '%s'", command->name,
                      option->name, text);
            return false;
        }
        *(const char **)option->value = text;
        return true;
    case CLI_TEXT:
        *(const char **)option->value = text;
        return true;
    case CLI_TEXTS:
        append_text(option->value, text);
        return true;
    case CLI_NUMBERS:
        return append_number(command, option, text);
    case CLI_NUMBER:
        return parse_float(command, option, text, option->value);
    case CLI_COUNT:
    case CLI_INT32:
        if (!parse_count(text, &count) ||
            !((double)count >= option->low && (double)count <= option->high))
            return range_error(command, option, text);
        if (option->kind == CLI_COUNT)
            *(uint64_t *)option->value = count;
        else
            *(int32_t *)option->value = (int32_t)count;
        return true;
    }
    return false;
}

static void print_help(const struct cli_command *command, const struct cli_option *options,
                       size_t n_options)
{
    printf("tempera %s: %s\n\nUsage: tempera %s [options] %s\n\n%s\n\nOptions:\n", command->name,
           command->summary, command->name, command->arguments, command->details);
    for (size_t i = 0; i < n_options; i++) {
        char left[64], letter[8] = "    ";
        if (options[i].letter != 0)
            snprintf(letter, sizeof letter, "-%c, ", options[i].letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, options[i].name,
                 options[i].argument ? " " : "", options[i].argument ? options[i].argument : "");
        printf("  %-28s %s\n", left, options[i].help);
    }
    printf("  %-28s %s\n\nExample:\n  %s\n", "-h, --help", "this text", command->example);
}

// A negative number, or a list that begins with one, would look like a group of short options.
static bool is_negative_number(const char *text)
{
    double number;
    if (text[0] != '-' || text[1] == '\0')
        return false;
    return strchr(".0123456789", text[1]) != NULL || cli_parse_number(text, &number);
}

static void fill_getopt_tables(const struct cli_option *options, size_t n_options,
                               struct option *longs, char *shorts)
{
    char *s = shorts;
    *s++ = '-'; // arguments that are not options come in order, as code 1
    *s++ = ':'; // errors are reported by us
    *s++ = 'h';
    for (size_t i = 0; i < n_options; i++) {
        bool has_argument = options[i].kind != CLI_FLAG && options[i].kind != CLI_SWITCH;
        longs[i] = (struct option){options[i].name, has_argument ? required_argument : no_argument,
                                   NULL, FIRST_LONG + (int)i};
        if (options[i].letter != 0) {
            *s++ = options[i].letter;
            if (has_argument)
                *s++ = ':';
        }
    }
    *s = '\0';
    longs[n_options] = (struct option){"help", no_argument, NULL, 'h'};
    longs[n_options + 1] = (struct option){NULL, 0, NULL, 0};
}

static const struct cli_option *find_option(const struct cli_option *options, size_t n_options,
                                            int code)
{
    if (code >= FIRST_LONG)
        return &options[code - FIRST_LONG];
    for (size_t i = 0; i < n_options; i++)
        if (options[i].letter != 0 && options[i].letter == code)
            return &options[i];
    return NULL;
}

static void refuse_option(const struct cli_command *command, const char *word, int code)
{
    if (code >= FIRST_LONG) // one that exists, followed by "=VALUE"
        cli_error("tempera %s: %s: this option takes no value", command->name, cli_shown(word));
    else
        cli_error("tempera %s: unknown option %s; '%s %s --help' lists them", command->name,
                  cli_shown(word), cli_program, command->name);
}

bool cli_options_parse(const struct cli_command *command, const struct cli_option *options,
                       size_t n_options, int argc, char **argv, struct cli_texts *positionals,
                       int *exit_code)
{
    struct option longs[MAX_OPTIONS + 2];
    char shorts[2 * MAX_OPTIONS + 4];
    fill_getopt_tables(options, n_options, longs, shorts);
    *exit_code = CLI_USAGE;
    optind = 1;
    opterr = 0;
    while (optind < argc) {
        if (is_negative_number(argv[optind])) {
            append_text(positionals, argv[optind++]);
            continue;
        }
        const char *word = argv[optind];
        int code = getopt_long(argc, argv, shorts, longs, NULL);
        if (code == -1)
            break;
        if (code == 1) {
            append_text(positionals, optarg);
        } else if (code == 'h') {
            print_help(command, options, n_options);
            *exit_code = CLI_OK;
            return false;
        } else if (code == ':') {
            cli_error("tempera %s: %s needs a value", command->name, cli_shown(word));
            return false;
        } else if (code == '?') {
            refuse_option(command, word, optopt);
            return false;
        } else if (!store(command, find_option(options, n_options, code), optarg)) {
            return false;
        }
    }
    while (optind < argc)
        append_text(positionals, argv[optind++]);
    *exit_code = CLI_OK;
    return true;
}

void cli_options_free(const struct cli_option *options, size_t n_options,
                      struct cli_texts *positionals)
{
    for (size_t i = 0; i < n_options; i++) {
        if (options[i].kind == CLI_TEXTS) {
            struct cli_texts *list = options[i].value;
            free(list->items);
            *list = (struct cli_texts){NULL, 0};
        } else if (options[i].kind == CLI_NUMBERS) {
            struct cli_numbers *list = options[i].value;
            free(list->items);
            *list = (struct cli_numbers){NULL, 0};
        }
    }
    free(positionals->items);
    *positionals = (struct cli_texts){NULL, 0};
}
