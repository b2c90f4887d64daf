// SPDX-License-Identifier: MIT
// tempera explain: what temperature and the filters do to the next token's distribution.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/model.h>

#include "commands.h"
#include "sampling.h"
#include "stages.h"
#include "support.h"
#include "input.h"
#include "text.h"

enum { BAR_WIDTH = 20, MOST_TEMPERATURES = 8 };

// A row of scores, as generation draws from, and everything computed from it.
struct analysis {
    struct cli_row row;
    size_t n;                  // columns
    int32_t *order;            // [n], likeliest first, ties by column
    const float *temperatures; // [n_temperatures]
    size_t n_temperatures;
    float *probs;    // [n_temperatures, n]
    double *entropy; // [n_temperatures], bits
    struct cli_explained explained;
    int32_t *columns; // [n_columns], that were asked for
    size_t n_columns;
    int32_t *impossible; // [n_impossible], tokens that were asked for and have no column
    size_t n_impossible;
};

// What to explain, and what became of it.
struct request {
    const struct cli_session *session;
    const char *prompt;
    const struct cli_numbers *temperatures;
    const struct cli_texts *asked; // tokens
    size_t top;
    bool json;
    enum tempera_status status;
    int exit_code;
};

// ------------------------------------------------------------------------------------------------
// Computing

static const float *order_scores; // qsort has no context argument in C11

static int compare_columns(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    if (order_scores[x] != order_scores[y])
        return order_scores[x] < order_scores[y] ? 1 : -1;
    return x < y ? -1 : x > y;
}

static enum tempera_status compute_temperatures(struct analysis *a)
{
    const float *scores = a->row.step->logits;
    struct tempera_matrix logits = tempera_matrix_const_f32(scores, 1, a->n);
    for (size_t t = 0; t < a->n_temperatures; t++) {
        float *row = a->probs + t * a->n;
        struct tempera_matrix probs = tempera_matrix_f32(row, 1, a->n);
        struct tempera_softmax_options options = tempera_softmax_options_default();
        options.temperature = a->temperatures[t];
        options.mask = a->row.step->row->mask;
        enum tempera_status status = tempera_softmax(&logits, &options, &probs, NULL, NULL);
        if (status != TEMPERA_OK)
            return status;
        a->entropy[t] = cli_entropy_bits(row, a->n);
    }
    for (size_t i = 0; i < a->n; i++)
        a->order[i] = (int32_t)i;
    order_scores = scores;
    qsort(a->order, a->n, sizeof *a->order, compare_columns);
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Tokens that were asked for

// A number is an id, anything else the exact text of a token. -1, with a message, for a number that
// isn't an id; -2 if no token has the text.
static int32_t find_token(const struct tempera_tokenizer *tokenizer, const char *text)
{
    size_t n_tokens = tempera_tokenizer_n_tokens(tokenizer), length = strlen(text);
    if (length > 0 && strspn(text, "0123456789") == length) {
        unsigned long long id = strtoull(text, NULL, 10);
        if (id < n_tokens)
            return (int32_t)id;
        cli_error("tempera explain: --token %s: ids go to %zu", cli_shown(text), n_tokens - 1);
        return -1;
    }
    for (size_t id = 0; id < n_tokens; id++) {
        size_t nbytes;
        const uint8_t *bytes = tempera_tokenizer_token(tokenizer, (int32_t)id, &nbytes);
        if (nbytes == length && memcmp(bytes, text, length) == 0)
            return (int32_t)id;
    }
    return -2;
}

// Adds the columns of what was asked for: those of the token, and those that add its text.
static bool add_columns(struct analysis *a, const char *text)
{
    size_t length = strlen(text), n_before = a->n_columns;
    int32_t token = find_token(a->row.tokenizer, text);
    if (token == -1)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        size_t nbytes;
        const uint8_t *bytes = cli_row_bytes(&a->row, i, &nbytes);
        bool adds_text = nbytes == length && length > 0 && memcmp(bytes, text, length) == 0;
        if (adds_text || cli_row_token(&a->row, i) == token)
            a->columns[a->n_columns++] = (int32_t)i;
    }
    if (a->n_columns > n_before)
        return true;
    if (token >= 0) {
        a->impossible[a->n_impossible++] = token;
        return true;
    }
    cli_error("tempera explain: no token is exactly '%s'; most words begin with a space (--token "
              "' wall'), and --top N lists the likeliest",
              cli_shown(text));
    return false;
}

// ------------------------------------------------------------------------------------------------
// Showing

static void print_table(const struct analysis *a, size_t top)
{
    printf("%5s  %-*s %9s", "rank", CLI_TOKEN_COLUMNS, "token", "logit");
    for (size_t t = 0; t < a->n_temperatures; t++) {
        char heading[24];
        snprintf(heading, sizeof heading, "T = %g", (double)a->temperatures[t]);
        printf("  %9s", heading);
    }
    putchar('\n');
    for (size_t i = 0; i < top && i < a->n; i++) {
        size_t column = (size_t)a->order[i];
        char token[CLI_TOKEN_NBYTES];
        cli_row_text(&a->row, column, token, sizeof token);
        printf("%5zu  ", i + 1);
        cli_print_padded(token, CLI_TOKEN_COLUMNS);
        printf(" %9.4f", (double)a->row.step->logits[column]);
        for (size_t t = 0; t < a->n_temperatures; t++)
            printf("  %7.3f %%", 100 * (double)a->probs[t * a->n + column]);
        putchar('\n');
    }
}

static void print_text(const struct analysis *a, size_t top)
{
    print_table(a, top);
    putchar('\n');
    for (size_t t = 0; t < a->n_temperatures; t++) {
        char bar[3 * BAR_WIDTH + 4];
        double most = log2((double)a->n);
        cli_bar(a->entropy[t] / most, BAR_WIDTH, bar);
        printf("T = %-5g entropy %7.3f bits of %.3f, as many as %9.1f equal tokens  %s\n",
               (double)a->temperatures[t], a->entropy[t], most, exp2(a->entropy[t]), bar);
    }
    putchar('\n');
    cli_explained_print_stages(&a->explained);
    if (a->n_columns + a->n_impossible > 0)
        putchar('\n');
    cli_explained_print_tokens(&a->explained, &a->row);
    for (size_t i = 0; i < a->n_impossible; i++) {
        size_t nbytes;
        const uint8_t *bytes = tempera_tokenizer_token(a->row.tokenizer, a->impossible[i], &nbytes);
        char text[CLI_TOKEN_NBYTES];
        cli_quote(bytes, nbytes, CLI_TOKEN_COLUMNS, text, sizeof text);
        printf("%s (%d): it cannot come next in a text that begins with the prompt\n", text,
               a->impossible[i]);
    }
}

static json_t *token_json(const struct analysis *a, size_t column)
{
    size_t nbytes;
    const uint8_t *bytes = cli_row_bytes(&a->row, column, &nbytes);
    json_t *probs = json_array();
    for (size_t t = 0; t < a->n_temperatures; t++)
        json_array_append_new(probs, cli_json_number((double)a->probs[t * a->n + column]));
    return json_pack("{s:I, s:o, s:o, s:o}", "id", (json_int_t)cli_row_token(&a->row, column),
                     "text", cli_json_text((const char *)bytes, nbytes), "logit",
                     cli_json_number((double)a->row.step->logits[column]), "probabilities", probs);
}

static json_t *to_json(const struct analysis *a, size_t top, const char *prompt)
{
    json_t *tokens = json_array(), *entropies = json_array(), *impossible = json_array();
    json_t *temperatures = json_array();
    for (size_t i = 0; i < top && i < a->n; i++)
        json_array_append_new(tokens, token_json(a, (size_t)a->order[i]));
    for (size_t t = 0; t < a->n_temperatures; t++)
        json_array_append_new(entropies, cli_json_number(a->entropy[t]));
    for (size_t t = 0; t < a->n_temperatures; t++)
        json_array_append_new(temperatures, cli_json_temperature((double)a->temperatures[t]));
    for (size_t i = 0; i < a->n_impossible; i++)
        json_array_append_new(impossible, json_integer(a->impossible[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "prompt",
                     cli_json_text(prompt, strlen(prompt)), "temperatures", temperatures,
                     "entropy_bits", entropies, "tokens", tokens, "stages",
                     cli_explained_stages_json(&a->explained), "asked",
                     cli_explained_tokens_json(&a->explained, &a->row), "impossible", impossible);
}

// ------------------------------------------------------------------------------------------------
// The command

// The first row that generation draws from, before it goes on.
static bool explain_row(void *context, const struct tempera_generated *step)
{
    struct request *request = context;
    size_t n = step->n_logits, n_temperatures = request->temperatures->count;
    struct analysis a = {
        .row = {request->session->tokenizer, step},
        .n = n,
        .order = cli_realloc(NULL, n * sizeof *a.order),
        .temperatures = request->temperatures->items,
        .n_temperatures = n_temperatures,
        .probs = cli_realloc(NULL, n_temperatures * n * sizeof *a.probs),
        .entropy = cli_realloc(NULL, n_temperatures * sizeof *a.entropy),
        .columns = cli_realloc(NULL, request->asked->count * n * sizeof *a.columns),
        .impossible = cli_realloc(NULL, request->asked->count * sizeof *a.impossible),
    };
    bool ok = true;
    for (size_t i = 0; i < request->asked->count && ok; i++)
        ok = add_columns(&a, request->asked->items[i]);
    if (ok)
        request->status = compute_temperatures(&a);
    if (ok && request->status == TEMPERA_OK)
        request->status =
            cli_explained_make(&a.explained, &a.row, step->row, a.columns, a.n_columns);
    if (!ok)
        request->exit_code = CLI_USAGE;
    else if (request->status == TEMPERA_OK && request->json)
        request->exit_code = cli_json_print("explain", to_json(&a, request->top, request->prompt));
    else if (request->status == TEMPERA_OK)
        print_text(&a, request->top);
    cli_explained_free(&a.explained);
    free(a.order);
    free(a.probs);
    free(a.entropy);
    free(a.columns);
    free(a.impossible);
    return false;
}

static int explain(struct request *request, const struct tempera_generate_options *options)
{
    const struct cli_session *session = request->session;
    struct tempera_decoder *decoder = NULL;
    struct tempera_error error = {0};
    enum tempera_status status =
        tempera_decoder_open(&decoder, session->model, 0, session->executor);
    if (status == TEMPERA_OK)
        status =
            tempera_generate(decoder, session->tokenizer, request->prompt, strlen(request->prompt),
                             options, explain_row, request, NULL, &error);
    if (status == TEMPERA_OK)
        status = request->status;
    tempera_decoder_close(&decoder);
    return status == TEMPERA_OK ? request->exit_code : cli_failed("explain", status, &error);
}

static int run(int argc, char **argv)
{
    const char *model = NULL, *prompt_text = NULL, *prompt_file = NULL, *isa = NULL;
    char *prompt = NULL;
    struct cli_sampling sampling = cli_sampling_default();
    struct cli_numbers temperatures = {NULL, 0};
    struct cli_texts words = {NULL, 0}, asked = {NULL, 0};
    uint64_t top = 10, threads = 0;
    bool raw = false, json = false;
    const struct cli_option own[] = {
        {"model", 'm', CLI_FILE, &model, "FILE", "a GGUF model (default: the one that ships)", 0,
         0},
        {"prompt", 'p', CLI_TEXT, &prompt_text, "TEXT", "the text before the token; -: stdin", 0,
         0},
        {"prompt-file", 0, CLI_TEXT, &prompt_file, "FILE", "the same, but its last line end", 0, 0},
        {"temperature", 't', CLI_NUMBERS, &temperatures, "T,...", "one or more (default: 0.5,1,2)",
         0, INFINITY},
        {"token", 0, CLI_TEXTS, &asked, "TEXT|ID", "what became of a token; may be repeated", 0, 0},
        {"raw", 0, CLI_FLAG, &raw, NULL, "what follows the prompt's own tokens", 0, 0},
        {"top", 0, CLI_COUNT, &top, "N", "tokens to list (default: 10)", 1, 1e9},
        {"threads", 0, CLI_COUNT, &threads, "N", "0: all processors (default: 0)", 0, 1024},
        CLI_ISA_OPTION(&isa),
        {"json", 0, CLI_FLAG, &json, NULL, "print JSON", 0, 0},
    };
    struct cli_option options[sizeof own / sizeof *own + CLI_SAMPLING_OPTIONS];
    const size_t n_options =
        cli_sampling_options(&sampling, own, sizeof own / sizeof *own, options);
    int exit_code;
    struct cli_command command = cli_explain;
    char *details = cli_sampling_details(cli_explain.details);
    command.details = details;
    bool ok = cli_options_parse(&command, options, n_options, argc, argv, &words, &exit_code);
    free(details);
    if (ok && words.count > 0) {
        cli_error("tempera explain: '%s' is not an option; the prompt goes after -p, in quotes",
                  cli_shown(words.items[0]));
        exit_code = CLI_USAGE;
        ok = false;
    }
    if (ok && temperatures.count == 0) {
        static const float usual[] = {0.5f, 1, 2};
        temperatures.items = memcpy(cli_realloc(NULL, sizeof usual), usual, sizeof usual);
        temperatures.count = sizeof usual / sizeof *usual;
    } else if (ok && temperatures.count == 1) {
        sampling.params.temperature = temperatures.items[0];
    }
    if (ok && temperatures.count > MOST_TEMPERATURES) {
        cli_error("tempera explain: at most %d temperatures at once", MOST_TEMPERATURES);
        exit_code = CLI_USAGE;
        ok = false;
    }
    if (ok && !cli_set_isa("explain", isa)) {
        exit_code = CLI_USAGE;
        ok = false;
    }
    if (ok) {
        prompt = cli_read_prompt("explain", prompt_text, prompt_file, &exit_code);
        ok = prompt != NULL;
    }
    if (ok) {
        struct cli_session session;
        exit_code = CLI_FAILED;
        if (cli_session_open(&session, "explain", model, threads)) {
            exit_code = CLI_USAGE;
            if (cli_sampling_open(&sampling, "explain", session.tokenizer)) {
                struct request request = {&session,    prompt, &temperatures, &asked,
                                          (size_t)top, json,   TEMPERA_OK,    CLI_OK};
                struct tempera_generate_options how = tempera_generate_options_default();
                how.sampler = cli_sampling_build(&sampling);
                how.raw = raw;
                exit_code = explain(&request, &how);
            }
            cli_session_close(&session);
        }
    }
    free(prompt);
    cli_sampling_close(&sampling);
    cli_options_free(options, n_options, &words);
    return exit_code;
}

const struct cli_command cli_explain = {
    .name = "explain",
    .summary = "what temperature and the filters do to the next token",
    .arguments = "",
    .details =
        "Shows the likeliest next tokens after a prompt, as the text that they add to it, with "
        "their scores,\ntheir probability at each temperature, the entropy, and what each stage of "
        "generate does: how many\ntokens it leaves, the mass it removes, entropy and KL divergence "
        "from the scores in bits. This is\nthe row that generate draws its first token from. The "
        "temperature among the stages is the one after\n-t if it is one, else 0.8. In JSON, what "
        "is filtered away has null for its log-probability, and\nfor the distance to what stays if "
        "it is banned; an infinite temperature is \"inf\".",
    .example = "tempera explain -p \"Humpty Dumpty sat on a\" -t 0.5,1,2",
    .run = run,
};
