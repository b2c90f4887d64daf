// SPDX-License-Identifier: MIT
// tempera generate: text at a temperature, streaming, seeded.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <tempera/model.h>

#include "commands.h"
#include "progress.h"
#include "sampling.h"
#include "stages.h"
#include "support.h"
#include "input.h"
#include "text.h"

// What the callback gathers: the text to print at once or to keep for the end, and the numbers.
struct output {
    const struct cli_session *session;
    bool json, explain;
    bool logprobs; // of every token, on lines of their own, with the n_top likeliest
    size_t n_top;
    enum tempera_status status; // of looking at a step again
    bool failed;                // stdout can't be written
    const char *prompt;         // to be printed before the first text; NULL: nothing
    char *text;
    size_t nbytes;
    json_t *tokens; // ids
    double entropy_sum;
    size_t n_tokens;
};

static bool shows_steps(const struct output *out)
{
    return out->explain || out->logprobs;
}

static void print_step(const struct output *out, const struct cli_row *row,
                       const struct cli_explained *explained)
{
    const struct tempera_sample_result *result = &explained->result;
    char text[CLI_TOKEN_NBYTES];
    cli_row_text(row, (size_t)result->column, text, sizeof text);
    printf("%zu: %s (%d), %.3f %% of the scores, %.3f %% when it was drawn\n", out->n_tokens, text,
           result->token, 100 * exp((double)result->raw_logprob),
           100 * exp((double)result->logprob));
    cli_explained_print_stages(explained);
    putchar('\n');
}

static void add_logprobs(json_t *object, float raw, float tempered, float final)
{
    json_object_set_new(object, "raw_logprob", cli_json_number((double)raw));
    json_object_set_new(object, "tempered_logprob", cli_json_number((double)tempered));
    json_object_set_new(object, "logprob", cli_json_number((double) final));
}

static json_t *step_json(const struct output *out, const struct cli_row *row,
                         const struct cli_explained *explained,
                         const struct tempera_logprobs *report)
{
    const struct tempera_sample_result *result = &explained->result;
    json_t *line = json_object(), *top = json_array();
    cli_row_json(row, (size_t)result->column, line);
    add_logprobs(line, result->raw_logprob, result->tempered_logprob, result->logprob);
    for (size_t i = 0; i < report->n_top; i++) {
        const struct tempera_token_logprob *entry = &report->top[i];
        json_t *token = json_object();
        cli_row_json(row, (size_t)entry->column, token);
        add_logprobs(token, entry->raw, entry->tempered, entry->final);
        json_array_append_new(top, token);
    }
    json_object_set_new(line, "top", top);
    if (out->explain)
        json_object_set_new(line, "stages", cli_explained_stages_json(explained));
    return line;
}

// Looks at the step again, in full: the same row gives the same token.
static void show_step(struct output *out, const struct tempera_generated *generated)
{
    const struct cli_row row = {out->session->tokenizer, generated};
    size_t n_top = out->n_top < generated->n_logits ? out->n_top : generated->n_logits;
    struct tempera_logprobs report = {.struct_size = sizeof report, .max_top = n_top};
    report.top = cli_realloc(NULL, n_top * sizeof *report.top);
    struct tempera_sample_row how = *generated->row;
    how.want = TEMPERA_WANT_RAW_LOGPROB | TEMPERA_WANT_TEMPERED_LOGPROB;
    how.logprobs = &report;
    struct cli_explained explained;
    out->status = cli_explained_make(&explained, &row, &how, NULL, 0);
    if (out->status == TEMPERA_OK && out->json)
        out->failed = !cli_json_line(step_json(out, &row, &explained, &report));
    else if (out->status == TEMPERA_OK)
        print_step(out, &row, &explained);
    cli_explained_free(&explained);
    free(report.top);
}

static bool on_token(void *context, const struct tempera_generated *generated)
{
    struct output *out = context;
    if (generated->logits != NULL) {
        out->entropy_sum += (double)generated->entropy_bits;
        out->n_tokens++;
        if (shows_steps(out))
            show_step(out, generated);
        if (out->failed || out->status != TEMPERA_OK)
            return false;
    }
    if (!out->json && !out->explain) {
        if (out->prompt != NULL)
            fputs(out->prompt, stdout);
        out->prompt = NULL;
        size_t written = fwrite(generated->text, 1, generated->nbytes, stdout);
        out->failed = written != generated->nbytes || fflush(stdout) != 0;
        return !out->failed;
    }
    if (out->json && generated->logits != NULL)
        json_array_append_new(out->tokens, json_integer(generated->token));
    out->text = cli_realloc(out->text, out->nbytes + generated->nbytes + 1);
    memcpy(out->text + out->nbytes, generated->text, generated->nbytes);
    out->nbytes += generated->nbytes;
    return true;
}

// Seeds that fit JSON's and a person's integers: 32 bits from the system.
static uint64_t random_seed(void)
{
    uint32_t seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uint32_t)time(NULL);
    return seed;
}

static int report_text(const struct output *out, uint64_t seed, double seconds)
{
    if (out->explain && !out->failed) {
        fputs(out->prompt, stdout);
        fwrite(out->text, 1, out->nbytes, stdout);
    }
    if (out->failed || fputc('\n', stdout) == EOF || fflush(stdout) != 0) {
        return cli_cant_write("generate");
    }
    if (isatty(STDERR_FILENO) && isatty(STDOUT_FILENO))
        fprintf(stderr,
                "[%zu tokens, %.0f tokens/s, mean entropy %.2f bits at T = 1, --seed %llu]\n",
                out->n_tokens, (double)out->n_tokens / seconds,
                out->n_tokens > 0 ? out->entropy_sum / (double)out->n_tokens : 0.0,
                (unsigned long long)seed);
    return CLI_OK;
}

static int report_json(struct output *out, const char *prompt, uint64_t seed, float temperature)
{
    size_t n = out->n_tokens;
    json_t *object =
        json_pack("{s:o, s:o, s:o, s:I, s:o, s:o}", "prompt", cli_json_text(prompt, strlen(prompt)),
                  "text", cli_json_text(out->text, out->nbytes), "tokens", out->tokens, "seed",
                  (json_int_t)seed, "temperature", cli_json_temperature((double)temperature),
                  "mean_entropy_bits", cli_json_number(n > 0 ? out->entropy_sum / (double)n : 0));
    out->tokens = NULL;
    if (!shows_steps(out))
        return cli_json_print("generate", object);
    if (!out->failed && cli_json_line(object))
        return CLI_OK;
    return cli_cant_write("generate");
}

static int generate(struct output out, const struct tempera_generate_options *options,
                    float temperature)
{
    const struct cli_session *session = out.session;
    const char *prompt = out.prompt;
    struct tempera_decoder *decoder = NULL;
    struct tempera_error error = {0};
    size_t n_tokens = 0;
    double start = cli_seconds_now();
    enum tempera_status status =
        tempera_decoder_open(&decoder, session->model, 0, session->executor);
    if (status == TEMPERA_OK) {
        if (out.json)
            out.tokens = json_array();
        status = tempera_generate(decoder, session->tokenizer, prompt, strlen(prompt), options,
                                  on_token, &out, &n_tokens, &error);
    }
    if (status == TEMPERA_OK)
        status = out.status;
    int exit_code;
    if (status != TEMPERA_OK)
        exit_code = cli_failed("generate", status, &error);
    else if (out.json)
        exit_code = report_json(&out, prompt, options->seed, temperature);
    else
        exit_code = report_text(&out, options->seed, cli_seconds_now() - start);
    tempera_decoder_close(&decoder);
    json_decref(out.tokens);
    free(out.text);
    return exit_code;
}

static int run(int argc, char **argv)
{
    const char *model = NULL, *prompt_text = NULL, *prompt_file = NULL, *isa = NULL;
    char *prompt = NULL;
    struct cli_sampling sampling = cli_sampling_default();
    struct cli_texts stops = {NULL, 0}, words = {NULL, 0};
    uint64_t seed = UINT64_MAX, max_tokens = 200, threads = 0; // a seed of UINT64_MAX: not given
    uint64_t logprobs = UINT64_MAX;                            // not given
    bool raw = false, explain = false, json = false;
    const struct cli_option own[] = {
        {"model", 'm', CLI_FILE, &model, "FILE", "a GGUF model (default: the one that ships)", 0,
         0},
        {"prompt", 'p', CLI_TEXT, &prompt_text, "TEXT", "the text to go on from; -: stdin", 0, 0},
        {"prompt-file", 0, CLI_TEXT, &prompt_file, "FILE", "the same, but its last line end", 0, 0},
        {"temperature", 't', CLI_NUMBER, &sampling.params.temperature, "T",
         "0: always the top token (default: 0.8)", 0, INFINITY},
        {"seed", 0, CLI_COUNT, &seed, "N", "same seed, same text (default: random)", 0, 9e15},
        {"max-tokens", 0, CLI_COUNT, &max_tokens, "N", "0: until the end of text (default: 200)", 0,
         1e12},
        {"stop", 0, CLI_TEXTS, &stops, "TEXT", "end before TEXT; may be repeated", 0, 0},
        {"raw", 0, CLI_FLAG, &raw, NULL, "go on from the prompt's own tokens", 0, 0},
        {"threads", 0, CLI_COUNT, &threads, "N", "0: all processors (default: 0)", 0, 1024},
        CLI_ISA_OPTION(&isa),
        {"explain", 0, CLI_FLAG, &explain, NULL, "what each stage did, for each token", 0, 0},
        {"logprobs", 0, CLI_COUNT, &logprobs, "N", "of each token and the N likeliest; with --json",
         0, 1e9},
        {"json", 0, CLI_FLAG, &json, NULL, "JSON at the end; with the two above a line each", 0, 0},
    };
    struct cli_option options[sizeof own / sizeof *own + CLI_SAMPLING_OPTIONS];
    const size_t n_options =
        cli_sampling_options(&sampling, own, sizeof own / sizeof *own, options);
    struct cli_session session;
    int exit_code;
    struct cli_command command = cli_generate;
    char *details = cli_sampling_details(cli_generate.details);
    command.details = details;
    bool ok = cli_options_parse(&command, options, n_options, argc, argv, &words, &exit_code);
    free(details);
    if (ok && words.count > 0) {
        cli_error("tempera generate: '%s' is not an option; the prompt goes after -p, in quotes",
                  cli_shown(words.items[0]));
        exit_code = CLI_USAGE;
        ok = false;
    }
    if (ok && logprobs != UINT64_MAX && !json) {
        cli_error("tempera generate: --logprobs needs --json, whose lines it goes into");
        exit_code = CLI_USAGE;
        ok = false;
    }
    for (size_t i = 0; ok && i < stops.count; i++)
        if (stops.items[i][0] == '\0') {
            cli_error("tempera generate: --stop needs a text to end before, not ''");
            exit_code = CLI_USAGE;
            ok = false;
        }
    if (ok && !cli_set_isa("generate", isa)) {
        exit_code = CLI_USAGE;
        ok = false;
    }
    if (ok) {
        prompt = cli_read_prompt("generate", prompt_text, prompt_file, &exit_code);
        ok = prompt != NULL;
    }
    if (ok) {
        exit_code = CLI_FAILED;
        ok = cli_session_open(&session, "generate", model, threads);
    }
    if (ok && !cli_sampling_open(&sampling, "generate", session.tokenizer)) {
        exit_code = CLI_USAGE;
        cli_session_close(&session);
        ok = false;
    }
    if (ok) {
        struct tempera_generate_options how = tempera_generate_options_default();
        how.sampler = cli_sampling_build(&sampling);
        how.seed = seed == UINT64_MAX ? random_seed() : seed;
        how.max_tokens = (size_t)max_tokens;
        how.stops = stops.items;
        how.n_stops = stops.count;
        how.raw = raw;
        how.slide = true;
        struct output out = {.session = &session,
                             .json = json,
                             .explain = explain,
                             .logprobs = logprobs != UINT64_MAX,
                             .n_top = logprobs != UINT64_MAX ? (size_t)logprobs : 0,
                             .prompt = prompt};
        exit_code = generate(out, &how, sampling.params.temperature);
        cli_session_close(&session);
    }
    free(prompt);
    cli_sampling_close(&sampling);
    cli_options_free(options, n_options, &words);
    return exit_code;
}

const struct cli_command cli_generate = {
    .name = "generate",
    .summary = "text from a prompt, at a temperature",
    .arguments = "",
    .details =
        "Continues the prompt token by token. A prompt that ends inside a word is completed; "
        "without "
        "-p, one\nthat is piped in is taken. The text ends with the end-of-text token, if the "
        "model "
        "has learned one.\nWith --explain or --logprobs, --json prints a line for each token, then "
        "one "
        "with the whole text.\nmean_entropy_bits is of the model's own scores, at T = 1. What is "
        "filtered away has null for its\nlog-probability; an infinite temperature is \"inf\".",
    .example = "tempera generate -p \"Humpty D\" -t 0.2 --max-tokens 60 --seed 1",
    .run = run,
};
