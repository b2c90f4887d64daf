// SPDX-License-Identifier: MIT
// tempera eval: how well a model predicts a text.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tempera/train.h>

#include "commands.h"
#include "progress.h"
#include "support.h"
#include "input.h"
#include "text.h"

// Adds what the library doesn't know: the model's file, and the option for the context.
static int failed(const struct cli_session *session, enum tempera_status status,
                  const struct tempera_error *error)
{
    if (status == TEMPERA_NAN_INPUT)
        cli_error("tempera eval: '%s': %s", cli_shown(session->path), error->message);
    else if (status == TEMPERA_OUT_OF_MEMORY || status == TEMPERA_INVALID_ARGUMENT)
        cli_error("tempera eval: %s (--context)", error->message);
    else
        return cli_failed("eval", status, error);
    return status == TEMPERA_INVALID_ARGUMENT ? CLI_USAGE : CLI_FAILED;
}

struct watch {
    struct cli_progress progress;
    double start; // seconds
};

static bool on_progress(void *context, uint64_t n_done, uint64_t n_tokens)
{
    struct watch *watch = context;
    double now = cli_seconds_now();
    if (n_done == 0) {
        watch->start = now;
        if (!watch->progress.redraws) // where lines stay, a short text gets none
            watch->progress.last_line = now;
    }
    if (!cli_progress_due(&watch->progress))
        return true;
    char speed_text[64] = "", line[128];
    if (n_done > 0) {
        char left[32];
        double speed = (double)n_done / (now - watch->start);
        cli_duration((double)(n_tokens - n_done) / speed, left, sizeof left);
        snprintf(speed_text, sizeof speed_text, "  %s left  %.0f tokens/s", left, speed);
    }
    snprintf(line, sizeof line, "%llu of %llu tokens%s", (unsigned long long)n_done,
             (unsigned long long)n_tokens, speed_text);
    cli_progress_draw(&watch->progress, line, false);
    return true;
}

static const char *or_beyond(enum tempera_fit_border border)
{
    return border == TEMPERA_FIT_LOWEST    ? " or less"
           : border == TEMPERA_FIT_HIGHEST ? " or more"
                                           : "";
}

static int evaluate(const struct cli_session *session, const char *path, uint64_t context,
                    bool json)
{
    size_t nbytes;
    char *text = cli_read_text("eval", path, &nbytes);
    if (text == NULL)
        return CLI_FAILED;
    struct tempera_evaluation result;
    struct tempera_error error = {0};
    struct watch watch = {.progress = cli_progress_begin()};
    bool watched = !json || isatty(STDERR_FILENO); // not for a program that reads JSON
    enum tempera_status status =
        tempera_evaluate(session->model, session->tokenizer, text, nbytes, (size_t)context,
                         watched ? on_progress : NULL, &watch, &result, session->executor, &error);
    cli_progress_clear(&watch.progress);
    free(text);
    if (status != TEMPERA_OK)
        return failed(session, status, &error);
    if (json)
        return cli_json_print(
            "eval",
            json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o}", "model",
                      cli_json_text(session->path, strlen(session->path)), "text",
                      cli_json_text(path, strlen(path)), "bits_per_byte",
                      cli_json_number(result.bits_per_byte), "perplexity",
                      cli_json_number(result.perplexity), "loss", cli_json_number(result.loss),
                      "tokens", (json_int_t)result.tokens, "bytes", (json_int_t)result.bytes,
                      "best_temperature", cli_json_number(result.best_temperature),
                      "bits_per_byte_at_best_temperature",
                      cli_json_number(result.bits_per_byte_at_best_temperature)));
    printf("%s on %s\n  bits per byte  %.4f\n  perplexity     %.3f per token (loss %.4f nats)\n"
           "  temperature    %.4f%s would be best: %.4f bits per byte\n"
           "  size           %llu bytes, %llu tokens (%.2f bytes a token)\n",
           cli_shown(session->path), cli_shown(path), result.bits_per_byte, result.perplexity,
           result.loss, result.best_temperature, or_beyond(result.best_temperature_border),
           result.bits_per_byte_at_best_temperature, (unsigned long long)result.bytes,
           (unsigned long long)result.tokens, (double)result.bytes / (double)result.tokens);
    return CLI_OK;
}

static int run(int argc, char **argv)
{
    const char *model = NULL, *isa = NULL;
    uint64_t context = 0, threads = 0;
    bool json = false;
    const struct cli_option options[] = {
        {"model", 'm', CLI_FILE, &model, "FILE", "a GGUF model (default: the one that ships)", 0,
         0},
        {"context", 0, CLI_COUNT, &context, "N",
         "tokens a window; 0: the model's, at most 4096 (default: 0)", 0, 1e9},
        {"threads", 0, CLI_COUNT, &threads, "N", "0: all processors (default: 0)", 0, 1024},
        CLI_ISA_OPTION(&isa),
        {"json", 0, CLI_FLAG, &json, NULL, "print JSON", 0, 0},
    };
    const size_t n_options = sizeof options / sizeof *options;
    struct cli_texts words = {NULL, 0};
    struct cli_session session;
    int exit_code;
    bool ok = cli_options_parse(&cli_eval, options, n_options, argc, argv, &words, &exit_code);
    if (ok && words.count != 1) {
        cli_error("tempera eval: name one text to measure on ('-' for stdin)");
        exit_code = CLI_USAGE;
        ok = false;
    }
    if (ok && !cli_set_isa("eval", isa)) {
        exit_code = CLI_USAGE;
        ok = false;
    }
    if (ok) {
        exit_code = CLI_FAILED;
        if (cli_session_open(&session, "eval", model, threads)) {
            exit_code = evaluate(&session, words.items[0], context, json);
            cli_session_close(&session);
        }
    }
    cli_options_free(options, n_options, &words);
    return exit_code;
}

const struct cli_command cli_eval = {
    .name = "eval",
    .summary = "bits per byte, perplexity and best temperature of a model on a text",
    .arguments = "TEXT",
    .details = "Measures the cross-entropy of the text under the model, in windows that do not "
               "overlap.\nBits per byte compare across tokenizers; perplexity does not.",
    .example = "tempera eval data/rhymes.txt --json",
    .run = run,
};
