// SPDX-License-Identifier: MIT
// tempera softmax: scores to probabilities, with bars.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tempera/softmax.h>

#include "commands.h"
#include "input.h"
#include "progress.h"
#include "support.h"
#include "text.h"

enum { MOST_BARS = 24, BAR_WIDTH = 40 };

struct scores {
    float *items; // [capacity], of which count are in use
    size_t count, capacity;
};

static bool append_score(struct scores *scores, const char *text, const char *where)
{
    double number = 0;
    bool is_number = cli_parse_number(text, &number);
    if (is_number && isnan(number)) {
        cli_error("tempera softmax: score %zu, '%s' (%s), is NaN, which has no probability; "
                  "-inf is a score that is masked out",
                  scores->count + 1, cli_shown(text), where);
        return false;
    }
    if (!is_number) {
        cli_error("tempera softmax: '%s' (%s) is not a number; give scores such as 2 1 0.1, with "
                  "spaces, commas or new lines between",
                  cli_shown(text), where);
        return false;
    }
    if (!cli_fits_float(number)) {
        cli_error("tempera softmax: '%s' (%s) is too large for a 32-bit float: the largest is "
                  "3.40282347e+38; inf is allowed",
                  cli_shown(text), where);
        return false;
    }
    if (scores->count == scores->capacity) {
        scores->capacity = scores->capacity == 0 ? 64 : 2 * scores->capacity;
        scores->items = cli_realloc(scores->items, scores->capacity * sizeof *scores->items);
    }
    scores->items[scores->count++] = (float)number;
    return true;
}

// The scores in a text, which is overwritten. where: for messages; NULL: lines are counted.
static bool append_scores(struct scores *scores, char *text, const char *where)
{
    bool ok = true;
    size_t line = 1;
    for (char *word = text; ok && *word != '\0';) {
        size_t length = strcspn(word, " ,;\t\r\n"), gap = strspn(word + length, " ,;\t\r\n");
        size_t n_lines = 0;
        for (size_t i = 0; i < gap; i++)
            n_lines += word[length + i] == '\n';
        char line_text[32];
        snprintf(line_text, sizeof line_text, "line %zu", line);
        word[length] = '\0';
        if (length > 0)
            ok = append_score(scores, word, where != NULL ? where : line_text);
        word += length + gap;
        line += n_lines;
    }
    return ok;
}

// One hint is enough; where all words look like it, it is likely.
static void hint_decimal_commas(const struct cli_texts *words)
{
    size_t n = 0;
    for (size_t i = 0; i < words->count; i++)
        n += cli_has_decimal_comma(words->items[i]);
    if (n > 0 && n == words->count)
        cli_hint_decimal_comma("softmax", words->items[0], n > 1);
}

static bool read_scores(struct scores *scores, const char *path)
{
    size_t nbytes;
    char *text = cli_read_text("softmax", path, &nbytes);
    if (text == NULL)
        return false;
    bool ok = append_scores(scores, text, NULL);
    free(text);
    return ok;
}

static int compare_probs(const void *a, const void *b)
{
    const float *const *x = a, *const *y = b;
    if (**x != **y)
        return **x < **y ? 1 : -1;
    return *x < *y ? -1 : *x > *y;
}

// Cells of the longest bar: fewer where a narrow terminal would break the line.
static size_t bar_width(void)
{
    const size_t before = 25; // score and probability; and the last column, which stays empty
    size_t columns = isatty(STDOUT_FILENO) ? cli_terminal_columns(STDOUT_FILENO) : SIZE_MAX;
    if (columns >= before + BAR_WIDTH)
        return BAR_WIDTH;
    return columns > before ? columns - before : 0;
}

static void print_bars(const float *scores, const float *probs, size_t count)
{
    const float **order = cli_realloc(NULL, count * sizeof *order);
    for (size_t i = 0; i < count; i++)
        order[i] = &probs[i];
    if (count > MOST_BARS)
        qsort(order, count, sizeof *order, compare_probs);
    size_t shown = count > MOST_BARS ? MOST_BARS : count, width = bar_width();
    for (size_t i = 0; i < shown; i++) {
        char bar[3 * BAR_WIDTH + 4];
        size_t at = (size_t)(order[i] - probs);
        cli_bar((double)probs[at], width, bar);
        printf("  %10.6g  %6.2f %%  %s\n", (double)scores[at], 100 * (double)probs[at], bar);
    }
    if (shown < count)
        printf("  (the %zu most likely of %zu)\n", shown, count);
    free(order);
}

static void print_text(const struct scores *scores, const float *probs, float temperature)
{
    float top = 0;
    for (size_t i = 0; i < scores->count; i++)
        top = probs[i] > top ? probs[i] : top;
    printf("T = %g: entropy %.3f bits of %.3f, top-1 %.2f %%\n", (double)temperature,
           cli_entropy_bits(probs, scores->count), log2((double)scores->count), 100 * (double)top);
    print_bars(scores->items, probs, scores->count);
}

static json_t *to_json(const struct scores *scores, const float *probs, const float *logprobs,
                       float temperature)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "temperature",
                     cli_json_temperature((double)temperature), "probabilities",
                     cli_json_numbers(probs, scores->count), "logprobs",
                     cli_json_numbers(logprobs, scores->count), "entropy_bits",
                     cli_json_number(cli_entropy_bits(probs, scores->count)));
}

static int show(const struct scores *scores, float temperature, bool json)
{
    struct tempera_matrix logits = tempera_matrix_const_f32(scores->items, 1, scores->count);
    float *probs = cli_realloc(NULL, 2 * scores->count * sizeof *probs);
    float *logprobs = probs + scores->count;
    struct tempera_matrix p = tempera_matrix_f32(probs, 1, scores->count);
    struct tempera_matrix log_p = tempera_matrix_f32(logprobs, 1, scores->count);
    struct tempera_softmax_options options = tempera_softmax_options_default();
    options.temperature = temperature;
    enum tempera_status status = tempera_softmax(&logits, &options, &p, NULL, NULL);
    if (status == TEMPERA_OK)
        status = tempera_log_softmax(&logits, &options, &log_p, NULL, NULL);
    int exit_code = CLI_OK;
    if (status != TEMPERA_OK)
        exit_code = cli_failed("softmax", status, NULL);
    else if (json)
        exit_code = cli_json_print("softmax", to_json(scores, probs, logprobs, temperature));
    else
        print_text(scores, probs, temperature);
    free(probs);
    return exit_code;
}

static int run(int argc, char **argv)
{
    float temperature = 1;
    const char *file = NULL, *isa = NULL;
    bool json = false;
    const struct cli_option options[] = {
        {"temperature", 't', CLI_NUMBER, &temperature, "T",
         "from 0 (all to the top) to inf (all equal) (default: 1)", 0, INFINITY},
        {"file", 'f', CLI_TEXT, &file, "FILE", "read the scores from FILE, '-' for stdin", 0, 0},
        CLI_ISA_OPTION(&isa),
        {"json", 0, CLI_FLAG, &json, NULL, "print JSON", 0, 0},
    };
    const size_t n_options = sizeof options / sizeof *options;
    struct cli_texts words = {NULL, 0};
    struct scores scores = {NULL, 0, 0};
    int exit_code;
    bool ok = cli_options_parse(&cli_softmax, options, n_options, argc, argv, &words, &exit_code);
    if (ok && !cli_set_isa("softmax", isa)) {
        exit_code = CLI_USAGE;
        ok = false;
    }
    if (ok) {
        exit_code = CLI_USAGE;
        hint_decimal_commas(&words);
        for (size_t i = 0; ok && i < words.count; i++) {
            char *copy = cli_strdup(words.items[i]);
            ok = append_scores(&scores, copy, "an argument");
            free(copy);
        }
        bool from_stdin = file == NULL && words.count == 0 && !isatty(STDIN_FILENO);
        if (ok && (file != NULL || from_stdin)) {
            ok = read_scores(&scores, from_stdin ? "-" : file);
            exit_code = ok && from_stdin ? CLI_USAGE : CLI_FAILED; // of no scores at all
        }
        if (ok && scores.count == 0) {
            cli_error("tempera softmax: no scores; try '%s softmax 2 1 0.1'", cli_program);
            ok = false;
        }
    }
    if (ok)
        exit_code = show(&scores, temperature, json);
    free(scores.items);
    cli_options_free(options, n_options, &words);
    return exit_code;
}

const struct cli_command cli_softmax = {
    .name = "softmax",
    .summary = "scores to probabilities at a temperature, with bars",
    .arguments = "[SCORE...]",
    .details = "Turns scores into probabilities: exp(score / T), divided by the sum. Scores come "
               "as arguments,\nfrom a file or from stdin. -inf is a score that is masked out.\nIn "
               "JSON its "
               "log-probability is null, and an infinite temperature is \"inf\".",
    .example = "tempera softmax 2 1 0.1 -t 0.5",
    .run = run,
};
