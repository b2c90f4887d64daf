// SPDX-License-Identifier: MIT
// tempera train: a model from the user's own text. What isn't given is picked from the text's
// size and the time; Ctrl-C finishes the step, saves and says how to go on.
#include <errno.h>
#include <libgen.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tempera/gguf.h>
#include <tempera/train.h>

#include "commands.h"
#include "progress.h"
#include "support.h"
#include "text.h"

#define NOT_GIVEN UINT64_MAX

// Everything one run holds, so that one function can let go of it.
struct run {
    // from the command line; NAN and NOT_GIVEN where the option isn't, if 0 has a meaning
    struct cli_texts texts;
    const char *out, *heldout_path, *sample_prompt, *dtype_name, *isa;
    float minutes, learning_rate, min_learning_rate, weight_decay;
    uint64_t steps, layers, dim, heads, kv_heads, hidden, context, batch, vocab, threads, seed;
    uint64_t warmup, evaluate_every, sample_every, checkpoint_every;
    bool resume, quiet;
    // made on the way
    char *text, *heldout, *checkpoint_path, *log_path, *name;
    size_t nbytes, heldout_nbytes;
    enum tempera_dtype dtype;
    struct tempera_thread_pool *pool;
    const struct tempera_executor *executor;
    struct tempera_tokenizer *tokenizer;
    struct tempera_model *model;
    struct tempera_decoder *decoder; // for samples
    struct tempera_trainer *trainer;
    struct cli_progress progress;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

// ------------------------------------------------------------------------------------------------
// Progress and samples

static bool on_progress(void *context, const struct tempera_train_report *report)
{
    struct run *run = context;
    bool last = report->step == report->steps;
    if (!run->quiet && (report->evaluated || last || cli_progress_due(&run->progress))) {
        char left[32], heldout[64] = "", line[192];
        cli_duration(report->seconds_left, left, sizeof left);
        if (report->evaluated)
            snprintf(heldout, sizeof heldout, "  held-out %.4f (%.4f bits/byte)",
                     report->heldout_loss, report->heldout_bits_per_byte);
        snprintf(line, sizeof line, "step %llu/%llu  loss %.4f%s  %s left  %.0f tokens/s",
                 (unsigned long long)report->step, (unsigned long long)report->steps, report->loss,
                 heldout, left, report->tokens_per_second);
        cli_progress_draw(&run->progress, line, report->evaluated);
    }
    return !interrupted;
}

static bool print_generated(void *context, const struct tempera_generated *generated)
{
    (void)context;
    fwrite(generated->text, 1, generated->nbytes, stderr);
    return !interrupted;
}

static void on_sample(void *context, const struct tempera_train_report *report)
{
    struct run *run = context;
    if (run->quiet || interrupted)
        return;
    if (run->decoder == NULL && tempera_decoder_open(&run->decoder, run->model, 0, run->executor))
        return; // no memory for a sample is no reason to end a training
    tempera_decoder_rewind(run->decoder, 0);
    struct tempera_generate_options options = tempera_generate_options_default();
    options.seed = report->step;
    options.max_tokens = 48;
    cli_progress_end(&run->progress);
    fprintf(stderr, "--- step %llu: %s", (unsigned long long)report->step, run->sample_prompt);
    tempera_generate(run->decoder, run->tokenizer, run->sample_prompt, strlen(run->sample_prompt),
                     &options, print_generated, NULL, NULL, NULL);
    fprintf(stderr, "\n---\n");
}

// ------------------------------------------------------------------------------------------------
// Set-up

static char *with_ending(const char *path, const char *ending)
{
    size_t length = strlen(path);
    if (length > 5 && strcmp(path + length - 5, ".gguf") == 0)
        length -= 5;
    size_t nbytes = length + strlen(ending) + 1;
    char *joined = cli_realloc(NULL, nbytes);
    snprintf(joined, nbytes, "%.*s%s", (int)length, path, ending);
    return joined;
}

static char *base_name(const char *path)
{
    char *stem = with_ending(path, "");
    char *name = cli_strdup(basename(stem));
    free(stem);
    return name;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

// Hours of training must not end at a file that can't be written, and nothing that the training
// reads may be written over.
static bool check_output(const struct run *run, const char *path)
{
    char *copy = cli_strdup(path);
    const char *folder = dirname(copy), *why = NULL;
    size_t length = strlen(path);
    struct stat found;
    bool exists = stat(path, &found) == 0;
    struct stat place;
    if (length == 0)
        why = "it has no name";
    else if (stat(folder, &place) == 0 && !S_ISDIR(place.st_mode))
        why = "the part before the last '/' is a file, not a folder";
    else if (path[length - 1] == '/' || (exists && S_ISDIR(found.st_mode)))
        why = "it is a folder";
    else if (exists && !S_ISREG(found.st_mode))
        why = "it is no ordinary file";
    else if (access(folder, W_OK | X_OK) != 0 || (exists && access(path, W_OK) != 0))
        why = strerror(errno);
    for (size_t i = 0; why == NULL && i < run->texts.count; i++)
        if (same_file(path, run->texts.items[i]))
            why = "it is a text to train on";
    if (why == NULL && run->heldout_path != NULL && same_file(path, run->heldout_path))
        why = "it is the held-out text";
    if (why != NULL)
        cli_error("tempera train: can't write '%s': %s; choose another -o", cli_shown(path), why);
    free(copy);
    return why == NULL;
}

// A training that was stopped may be hours of work, and a new one would write over it.
static bool check_unfinished(const struct run *run)
{
    struct tempera_gguf *gguf = NULL;
    uint64_t step, steps;
    bool unfinished = tempera_gguf_open(&gguf, run->checkpoint_path, NULL) == TEMPERA_OK &&
                      tempera_gguf_get_u64(gguf, "tempera.train.step", &step) == TEMPERA_OK &&
                      tempera_gguf_get_u64(gguf, "tempera.train.steps", &steps) == TEMPERA_OK &&
                      step < steps;
    tempera_gguf_close(&gguf);
    if (unfinished)
        cli_error("tempera train: '%s' holds a training stopped after %llu of %llu steps: go on "
                  "with --resume; to begin anew, remove that file or choose another -o",
                  cli_shown(run->checkpoint_path), (unsigned long long)step,
                  (unsigned long long)steps);
    return !unfinished;
}

// All texts in one, a blank line between two.
static bool read_texts(struct run *run)
{
    for (size_t i = 0; i < run->texts.count; i++) {
        size_t nbytes;
        char *text = cli_read_file("train", run->texts.items[i], &nbytes);
        if (text == NULL)
            return false;
        size_t gap = i > 0 ? 2 : 0;
        run->text = cli_realloc(run->text, run->nbytes + gap + nbytes + 1);
        memcpy(run->text + run->nbytes, "\n\n", gap);
        memcpy(run->text + run->nbytes + gap, text, nbytes);
        run->nbytes += gap + nbytes;
        run->text[run->nbytes] = '\0';
        free(text);
    }
    if (run->nbytes == 0) {
        cli_error("tempera train: '%s' is empty; give a text to learn from",
                  cli_shown(run->texts.items[0]));
        return false;
    }
    if (run->heldout_path != NULL) {
        run->heldout = cli_read_file("train", run->heldout_path, &run->heldout_nbytes);
        return run->heldout != NULL;
    }
    return true;
}

static struct tempera_model_config config_from(const struct run *run)
{
    struct tempera_model_config config = tempera_model_config_default();
    config.vocab_size = (uint32_t)run->vocab;
    config.context_length = (uint32_t)run->context;
    config.n_layers = (uint32_t)run->layers;
    config.dim = (uint32_t)run->dim;
    config.n_heads = (uint32_t)run->heads;
    config.n_kv_heads = (uint32_t)run->kv_heads;
    config.hidden_dim = (uint32_t)run->hidden;
    return config;
}

static struct tempera_train_options options_from(const struct run *run)
{
    struct tempera_train_options options = {.struct_size = sizeof options};
    options.steps = run->steps;
    options.batch = (size_t)run->batch;
    options.context = (size_t)run->context;
    options.learning_rate = run->learning_rate;
    options.seed = run->seed != NOT_GIVEN ? run->seed : 0;
    return options;
}

static void keep_number(float given, float *value)
{
    if (!isnan(given))
        *value = given;
}

static void keep_count(uint64_t given, uint64_t *value)
{
    if (given != NOT_GIVEN)
        *value = given;
}

// The plan takes a 0 for a wish to have it chosen; for these options 0 is an answer.
static void keep_given(const struct run *run, struct tempera_train_options *options)
{
    keep_number(run->min_learning_rate, &options->min_learning_rate);
    keep_number(run->weight_decay, &options->weight_decay);
    keep_count(run->warmup, &options->warmup_steps);
    keep_count(run->evaluate_every, &options->evaluate_every);
    keep_count(run->sample_every, &options->sample_every);
    keep_count(run->checkpoint_every, &options->checkpoint_every);
}

// Puts the option that caused it before an error's message.
static enum tempera_status name_option(struct tempera_error *error, const char *option,
                                       uint64_t value)
{
    char message[sizeof error->message];
    memcpy(message, error->message, sizeof message);
    snprintf(error->message, sizeof error->message, "%s %llu: %.200s", option,
             (unsigned long long)value, message);
    return error->status;
}

// The model's and the training's shape, and a tokenizer for it.
static enum tempera_status plan_new(struct run *run, struct tempera_model_config *config,
                                    struct tempera_train_options *options,
                                    struct tempera_error *error)
{
    const uint32_t bytes_vocab = 257;
    *options = options_from(run);
    enum tempera_status status = tempera_train_plan(
        run->nbytes, (double)run->minutes, run->executor->n_threads, config, options, error);
    if (status != TEMPERA_OK)
        return status;
    keep_given(run, options);
    if (config->vocab_size == bytes_vocab)
        return tempera_tokenizer_bytes(&run->tokenizer);
    status =
        tempera_tokenizer_train(&run->tokenizer, run->text, run->nbytes, config->vocab_size, error);
    if (status != TEMPERA_OK && run->vocab != 0)
        return name_option(error, "--vocab", run->vocab);
    if (status != TEMPERA_TEXT_TOO_SHORT)
        return status;
    if (!run->quiet)
        fprintf(stderr,
                "the text repeats itself too much for a vocabulary of %u tokens; bytes are "
                "taken instead\n",
                config->vocab_size);
    *config = config_from(run);
    config->vocab_size = bytes_vocab;
    return plan_new(run, config, options, error);
}

static enum tempera_status start_new(struct run *run, struct tempera_train_options *options,
                                     struct tempera_error *error)
{
    struct tempera_model_config config = config_from(run);
    size_t n_threads = run->executor->n_threads;
    enum tempera_status status = plan_new(run, &config, options, error);
    if (status != TEMPERA_OK)
        return status;
    if (!run->quiet)
        fprintf(stderr,
                "%zu bytes of text: vocabulary %u, %u layers, dim %u, %u heads (%u kv), hidden %u, "
                "context %zu\n%.2f million parameters, %llu steps of %zu x %zu tokens, %zu "
                "threads\n",
                run->nbytes, config.vocab_size, config.n_layers, config.dim, config.n_heads,
                config.n_kv_heads, config.hidden_dim, options->context,
                1e-6 * (double)tempera_model_config_n_parameters(&config),
                (unsigned long long)options->steps, options->batch, options->context, n_threads);
    return tempera_model_create(&run->model, &config, options->seed, error);
}

struct kept {
    const char *option;
    double given, saved;
    bool is_given;
};

// The same command with --resume goes on; one that asks for another model or schedule can't.
static enum tempera_status check_kept(const struct run *run, const struct tempera_model_config *c,
                                      const struct tempera_train_options *o,
                                      struct tempera_error *error)
{
    const struct kept kept[] = {
        {"layers", (double)run->layers, c->n_layers, run->layers != 0},
        {"dim", (double)run->dim, c->dim, run->dim != 0},
        {"heads", (double)run->heads, c->n_heads, run->heads != 0},
        {"kv-heads", (double)run->kv_heads, c->n_kv_heads, run->kv_heads != 0},
        {"hidden", (double)run->hidden, c->hidden_dim, run->hidden != 0},
        {"vocab", (double)run->vocab, c->vocab_size, run->vocab != 0},
        {"context", (double)run->context, (double)o->context, run->context != 0},
        {"batch", (double)run->batch, (double)o->batch, run->batch != 0},
        {"seed", (double)run->seed, (double)o->seed, run->seed != NOT_GIVEN},
        {"warmup", (double)run->warmup, (double)o->warmup_steps, run->warmup != NOT_GIVEN},
        {"lr", (double)run->learning_rate, (double)o->learning_rate, run->learning_rate != 0},
        {"min-lr", (double)run->min_learning_rate, (double)o->min_learning_rate,
         !isnan(run->min_learning_rate)},
        {"weight-decay", (double)run->weight_decay, (double)o->weight_decay,
         !isnan(run->weight_decay)},
    };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        if (!kept[i].is_given || kept[i].given == kept[i].saved)
            continue;
        error->status = TEMPERA_STATE_MISMATCH;
        snprintf(error->message, sizeof error->message,
                 "--%s is %.9g here and %.9g in the training to resume, which keeps it: leave "
                 "--%s out",
                 kept[i].option, kept[i].given, kept[i].saved, kept[i].option);
        return error->status;
    }
    return TEMPERA_OK;
}

// A resume takes everything from the checkpoint but the number of steps and when to evaluate,
// sample and save, if those are given.
static enum tempera_status start_again(struct run *run, struct tempera_train_options *options,
                                       struct tempera_error *error)
{
    enum tempera_status status =
        tempera_checkpoint_open(run->checkpoint_path, &run->model, &run->tokenizer, options, error);
    if (status == TEMPERA_OK)
        status = check_kept(run, tempera_model_get_config(run->model), options, error);
    if (status != TEMPERA_OK)
        return status;
    if (run->steps != 0)
        options->steps = run->steps;
    keep_given(run, options);
    return TEMPERA_OK;
}

static enum tempera_status open_trainer(struct run *run, struct tempera_error *error)
{
    struct tempera_train_options options;
    enum tempera_status status = tempera_thread_pool_open(&run->pool, (size_t)run->threads);
    if (status != TEMPERA_OK)
        return status;
    run->executor = tempera_thread_pool_executor(run->pool);
    status = run->resume ? start_again(run, &options, error) : start_new(run, &options, error);
    if (status != TEMPERA_OK)
        return status;
    options.checkpoint_path = run->checkpoint_path;
    options.log_path = run->log_path;
    struct tempera_corpus corpus = {run->text, run->nbytes, run->heldout, run->heldout_nbytes};
    status = tempera_trainer_open(&run->trainer, run->model, run->tokenizer, &corpus, &options,
                                  run->executor, error);
    if (status == TEMPERA_OK && run->resume)
        status = tempera_trainer_resume(run->trainer, run->checkpoint_path, error);
    return status;
}

// ------------------------------------------------------------------------------------------------
// The run

// A word with control characters, as most shells take it: $'a\n'.
static void print_escaped(const char *word)
{
    size_t nbytes = strlen(word), nbytes_text = 10 * nbytes + 32;
    char *text = cli_realloc(NULL, nbytes_text);
    cli_quote((const uint8_t *)word, nbytes, SIZE_MAX, text, nbytes_text);
    fputs("$'", stderr);
    for (const char *c = text + 1; c[1] != '\0'; c++)
        fprintf(stderr, *c == '\'' ? "\\%c" : "%c", *c);
    fputc('\'', stderr);
    free(text);
}

// An option and a word as a shell has to be given them: quoted where need be.
static void print_words(const char *option, const char *word)
{
    const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+:,=@%-";
    fprintf(stderr, "%s ", option);
    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        fputs(word, stderr);
        return;
    }
    if (cli_needs_escape(word)) {
        print_escaped(word);
        return;
    }
    fputc('\'', stderr);
    for (const char *c = word; *c != '\0'; c++)
        if (*c == '\'')
            fputs("'\\''", stderr);
        else
            fputc(*c, stderr);
    fputc('\'', stderr);
}

static void print_resume_command(const struct run *run)
{
    fprintf(stderr, "stopped; everything is saved. Go on with:\n ");
    print_words("", cli_program);
    fprintf(stderr, " train");
    for (size_t i = 0; i < run->texts.count; i++)
        print_words("", run->texts.items[i]);
    if (run->heldout_path != NULL)
        print_words(" --held-out", run->heldout_path);
    if (run->dtype != TEMPERA_F16)
        print_words(" --dtype", run->dtype_name);
    if (run->sample_prompt[0] != '\0')
        print_words(" -p", run->sample_prompt);
    print_words(" -o", run->out);
    fprintf(stderr, " --resume\n");
}

static int train(struct run *run)
{
    struct tempera_error error = {0};
    signal(SIGPIPE, SIG_IGN); // a training goes on though nobody reads its progress any more
    enum tempera_status status = open_trainer(run, &error);
    if (status != TEMPERA_OK)
        return cli_failed("train", status, &error);
    struct sigaction action = {.sa_handler = on_interrupt};
    action.sa_flags = (int)SA_RESETHAND; // a second Ctrl-C ends at once; the checkpoint survives
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct tempera_train_callbacks callbacks = {run, on_progress, on_sample};
    enum tempera_status ended = tempera_trainer_run(run->trainer, &callbacks, &error);
    cli_progress_end(&run->progress);
    if (ended != TEMPERA_OK && ended != TEMPERA_STOPPED) {
        cli_failed("train", ended, &error);
        if (ended == TEMPERA_DISK_FULL)
            fprintf(stderr,
                    "free some space, then the same command, with --resume if %s is there: it "
                    "holds the training up to the last checkpoint\n",
                    cli_shown(run->checkpoint_path));
        return CLI_FAILED;
    }
    status =
        tempera_model_save(run->out, run->model, run->tokenizer, run->dtype, run->name, &error);
    if (status != TEMPERA_OK) {
        cli_failed("train", status, &error);
        fprintf(stderr,
                "the training itself is safe in %s: once that is mended, the same command "
                "with --resume writes the model\n",
                cli_shown(run->checkpoint_path));
        return CLI_FAILED;
    }
    if (run->quiet)
        return CLI_OK;
    if (ended == TEMPERA_STOPPED)
        print_resume_command(run);
    fprintf(stderr, "wrote %s (%s); try:", cli_shown(run->out), tempera_dtype_name(run->dtype));
    print_words("", cli_program);
    fprintf(stderr, " generate");
    print_words(" -m", run->out);
    print_words(" -p", run->sample_prompt);
    fputc('\n', stderr);
    return CLI_OK;
}

static bool parse_dtype(struct run *run)
{
    static const enum tempera_dtype dtypes[] = {TEMPERA_F16, TEMPERA_F32, TEMPERA_BF16};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        run->dtype = dtypes[i];
        if (strcmp(run->dtype_name, tempera_dtype_name(run->dtype)) == 0)
            return true;
    }
    cli_error("tempera train: --dtype must be f16, f32 or bf16, not '%s'",
              cli_shown(run->dtype_name));
    return false;
}

static void close_run(struct run *run)
{
    tempera_trainer_close(&run->trainer);
    tempera_decoder_close(&run->decoder);
    tempera_model_close(&run->model);
    tempera_tokenizer_close(&run->tokenizer);
    tempera_thread_pool_close(&run->pool);
    free(run->text);
    free(run->heldout);
    free(run->checkpoint_path);
    free(run->log_path);
    free(run->name);
}

static int run_checked(struct run *run)
{
    if (run->texts.count == 0) {
        cli_error("tempera train: name one text or more to train on");
        return CLI_USAGE;
    }
    if (run->out == NULL) {
        cli_error("tempera train: name the model to write with -o, such as -o my.gguf");
        return CLI_USAGE;
    }
    if (!parse_dtype(run) || !cli_set_isa("train", run->isa))
        return CLI_USAGE;
    run->checkpoint_path = with_ending(run->out, ".state.gguf");
    run->log_path = with_ending(run->out, ".log.jsonl");
    run->name = base_name(run->out);
    if (!check_output(run, run->out) || !check_output(run, run->checkpoint_path) ||
        !check_output(run, run->log_path) || (!run->resume && !check_unfinished(run)) ||
        !read_texts(run))
        return CLI_FAILED;
    if (run->resume && access(run->checkpoint_path, R_OK) != 0) {
        cli_error("tempera train: no checkpoint '%s' to resume from; leave --resume out to begin",
                  cli_shown(run->checkpoint_path));
        return CLI_FAILED;
    }
    return train(run);
}

static int run(int argc, char **argv)
{
    struct run r = {
        .progress = cli_progress_begin(),
        .sample_prompt = "",
        .dtype_name = "f16",
        .min_learning_rate = NAN,
        .weight_decay = NAN,
        .seed = NOT_GIVEN,
        .warmup = NOT_GIVEN,
        .evaluate_every = NOT_GIVEN,
        .sample_every = NOT_GIVEN,
        .checkpoint_every = NOT_GIVEN,
    };
    const struct cli_option options[] = {
        {"out", 'o', CLI_TEXT, &r.out, "FILE", "the model to write (GGUF)", 0, 0},
        {"minutes", 0, CLI_NUMBER, &r.minutes, "M", "time to plan for; 5", 0, 1e6},
        {"held-out", 0, CLI_TEXT, &r.heldout_path, "FILE",
         "text to measure on; a twentieth of the text", 0, 0},
        {"resume", 0, CLI_FLAG, &r.resume, NULL, "go on from the checkpoint beside -o", 0, 0},
        {"steps", 0, CLI_COUNT, &r.steps, "N", "optimiser steps in all", 0, 1e15},
        {"layers", 0, CLI_COUNT, &r.layers, "N", "of the model", 0, 4096},
        {"dim", 0, CLI_COUNT, &r.dim, "N", "width of the model", 0, 1 << 18},
        {"heads", 0, CLI_COUNT, &r.heads, "N", "attention heads", 0, 1 << 16},
        {"kv-heads", 0, CLI_COUNT, &r.kv_heads, "N", "key and value heads; as heads", 0, 1 << 16},
        {"hidden", 0, CLI_COUNT, &r.hidden, "N", "width of the feed-forward part", 0, 1 << 20},
        {"context", 0, CLI_COUNT, &r.context, "N", "tokens a sequence", 0, 1 << 20},
        {"batch", 0, CLI_COUNT, &r.batch, "N", "sequences a step", 0, 1 << 16},
        {"vocab", 0, CLI_COUNT, &r.vocab, "N", "tokens; 257 means bytes", 0, 1 << 24},
        {"lr", 0, CLI_NUMBER, &r.learning_rate, "R", "learning rate after warm-up", 1e-9, 1},
        {"min-lr", 0, CLI_NUMBER, &r.min_learning_rate, "R", "learning rate at the end", 0, 1},
        {"warmup", 0, CLI_COUNT, &r.warmup, "N", "steps of warm-up; 0: none", 0, 1e15},
        {"weight-decay", 0, CLI_NUMBER, &r.weight_decay, "D", "on matrices; 0: none", 0, 10},
        {"evaluate-every", 0, CLI_COUNT, &r.evaluate_every, "N", "steps; 0: at the end", 0, 1e15},
        {"sample-every", 0, CLI_COUNT, &r.sample_every, "N", "steps; 0: never", 0, 1e15},
        {"checkpoint-every", 0, CLI_COUNT, &r.checkpoint_every, "N",
         "steps; 0: at the end and on Ctrl-C", 0, 1e15},
        {"prompt", 'p', CLI_TEXT, &r.sample_prompt, "TEXT", "what samples go on from", 0, 0},
        {"dtype", 0, CLI_TEXT, &r.dtype_name, "TYPE", "of the model written: f16, f32, bf16; f16",
         0, 0},
        {"seed", 0, CLI_COUNT, &r.seed, "N", "same seed, same curve; 0", 0, 9e15},
        {"threads", 0, CLI_COUNT, &r.threads, "N", "0: all processors; 0", 0, 1024},
        {"isa", 0, CLI_TEXT, &r.isa, "NAME", "kernels: scalar, avx2, avx512, neon", 0, 0},
        {"quiet", 'q', CLI_FLAG, &r.quiet, NULL, "nothing but errors on stderr", 0, 0},
    };
    const size_t n_options = sizeof options / sizeof *options;
    int exit_code;
    if (cli_options_parse(&cli_train, options, n_options, argc, argv, &r.texts, &exit_code))
        exit_code = run_checked(&r);
    close_run(&r);
    cli_options_free(options, n_options, &r.texts);
    return exit_code;
}

const struct cli_command cli_train = {
    .name = "train",
    .summary = "train a model on your own text",
    .arguments = "TEXT... -o MODEL.gguf",
    .details = "Trains a small Llama-architecture model. Sizes that aren't given are picked from "
               "the text's size\nand --minutes. Beside MODEL.gguf: MODEL.state.gguf, the "
               "checkpoint for --resume, and\nMODEL.log.jsonl, the loss log.",
    .example = "tempera train data/rhymes.txt -o my.gguf --minutes 1",
    .run = run,
};
