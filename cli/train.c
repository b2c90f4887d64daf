// SPDX-License-Identifier: MIT
// tempera train: a model from the user's own text. What isn't given is picked from the text's
// size and the time; Ctrl-C finishes the step, saves and says how to go on.
#include <errno.h>
#include <fcntl.h>
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
#include "input.h"
#include "text.h"

#define NOT_GIVEN UINT64_MAX

// Everything that a run holds, so that one function can free it.
struct run {
    // from the command line; NAN and NOT_GIVEN where the option isn't, if 0 has a meaning
    struct cli_texts texts;
    const char *out, *heldout_path, *prompt_text, *dtype_name, *isa;
    float minutes, learning_rate, min_learning_rate, weight_decay;
    uint64_t steps, layers, dim, heads, kv_heads, hidden, context, batch, vocab, threads, seed;
    uint64_t warmup, evaluate_every, sample_every, checkpoint_every;
    bool resume, quiet, one_document;
    // made on the way
    char *checkpoint_path, *log_path, *name, *sample_prompt;
    struct cli_documents text, heldout;
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

// The first signal stops after the step in work, and says so at once, since that may take a while;
// the second one ends the program.
static void on_interrupt(int signal_number)
{
    static const char note[] =
        "\nstopping after this step, then saving; the same once more ends at "
        "once, and loses what came after the last checkpoint\n";
    if (interrupted) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
        return;
    }
    int kept = errno;
    interrupted = 1;
    ssize_t written = write(STDERR_FILENO, note, sizeof note - 1);
    (void)written; // the terminal may be gone
    errno = kept;
}

// SIGHUP: the terminal was closed, or the connection lost; if it is ignored (nohup), training goes
// on.
static void catch_signals(void)
{
    const struct sigaction action = {.sa_handler = on_interrupt};
    struct sigaction before;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
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
        return; // training goes on without a sample
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

// Nothing that the training reads may be written over.
static bool is_read(const struct run *run, const char *path)
{
    const char *what = NULL;
    for (size_t i = 0; what == NULL && i < run->texts.count; i++)
        if (same_file(path, run->texts.items[i]))
            what = "it is a text to train on";
    if (what == NULL && run->heldout_path != NULL && same_file(path, run->heldout_path))
        what = "it is the held-out text";
    if (what != NULL)
        cli_error("tempera train: can't write '%s': %s; choose another -o", cli_shown(path), what);
    return what != NULL;
}

// Hours of training must not end at a file that can't be written.
static bool check_output(const char *path)
{
    struct tempera_error error = {0};
    if (tempera_gguf_save_check(path, &error) == TEMPERA_OK)
        return true;
    cli_error("tempera train: %s; choose another -o", error.message);
    return false;
}

// The log is added to, not replaced. One that isn't there yet is made beside the checkpoint.
static bool check_log(const struct run *run)
{
    int fd = open(run->log_path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
    int reason = fd < 0 && errno != ENOENT && errno != ENXIO ? errno : 0; // ENXIO: a pipe
    if (fd >= 0)
        close(fd);
    if (reason != 0)
        cli_error("tempera train: can't write '%s': %s; choose another -o",
                  cli_shown(run->log_path), strerror(reason));
    return reason == 0;
}

// How far the training in a checkpoint is; false if there is none.
static bool read_progress(const char *path, uint64_t *step, uint64_t *steps)
{
    struct tempera_gguf *gguf = NULL;
    bool found = tempera_gguf_open(&gguf, path, NULL) == TEMPERA_OK &&
                 tempera_gguf_get_u64(gguf, "tempera.train.step", step) == TEMPERA_OK &&
                 tempera_gguf_get_u64(gguf, "tempera.train.steps", steps) == TEMPERA_OK;
    tempera_gguf_close(&gguf);
    return found;
}

// A training that was stopped may be hours of work, and a new one would write over it.
static bool check_unfinished(const struct run *run)
{
    uint64_t step, steps;
    if (!read_progress(run->checkpoint_path, &step, &steps) || step >= steps)
        return true;
    cli_error("tempera train: '%s' holds a training stopped after %llu of %llu steps: go on "
              "with --resume; to start over, remove that file or choose another -o",
              cli_shown(run->checkpoint_path), (unsigned long long)step, (unsigned long long)steps);
    return false;
}

static bool add_text(const struct run *run, const char *path, struct cli_documents *documents)
{
    size_t nbytes;
    char *text = cli_read_text("train", path, &nbytes);
    if (text == NULL)
        return false;
    cli_documents_add(documents, text, nbytes, run->one_document);
    free(text);
    return true;
}

static bool read_texts(struct run *run)
{
    for (size_t i = 0; i < run->texts.count; i++)
        if (!add_text(run, run->texts.items[i], &run->text))
            return false;
    if (run->text.nbytes == 0) {
        cli_error("tempera train: '%s' is empty; give a text to learn from",
                  cli_shown(run->texts.items[0]));
        return false;
    }
    return run->heldout_path == NULL || add_text(run, run->heldout_path, &run->heldout);
}

// stdin can be read once.
static bool check_stdin(const struct run *run)
{
    size_t n = 0;
    for (size_t i = 0; i < run->texts.count; i++)
        n += strcmp(run->texts.items[i], "-") == 0;
    n += run->heldout_path != NULL && strcmp(run->heldout_path, "-") == 0;
    n += run->prompt_text != NULL && strcmp(run->prompt_text, "-") == 0;
    if (n > 1)
        cli_error("tempera train: '-' is stdin, which can be read only once");
    return n <= 1;
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

// To the plan, 0 means "choose"; for these options it is a value.
static void keep_given(const struct run *run, struct tempera_train_options *options)
{
    keep_number(run->min_learning_rate, &options->min_learning_rate);
    keep_number(run->weight_decay, &options->weight_decay);
    keep_count(run->warmup, &options->warmup_steps);
    keep_count(run->evaluate_every, &options->evaluate_every);
    keep_count(run->sample_every, &options->sample_every);
    keep_count(run->checkpoint_every, &options->checkpoint_every);
    if (run->checkpoint_every == 0)
        options->checkpoint_every = TEMPERA_CHECKPOINT_NEVER;
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
        run->text.nbytes, (double)run->minutes, run->executor->n_threads, config, options, error);
    if (status != TEMPERA_OK)
        return status;
    keep_given(run, options);
    if (config->vocab_size == bytes_vocab)
        return tempera_tokenizer_bytes(&run->tokenizer);
    status = tempera_tokenizer_train(&run->tokenizer, run->text.text, run->text.nbytes,
                                     config->vocab_size, error);
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
    if (run->quiet)
        return tempera_model_create(&run->model, &config, options->seed, error);
    fprintf(stderr,
            "%zu bytes of text: vocabulary %u, %u layers, dim %u, %u heads (%u kv), hidden %u, "
            "context %zu\n%.2f million parameters, %llu steps of %zu x %zu tokens, %zu threads\n",
            run->text.nbytes, config.vocab_size, config.n_layers, config.dim, config.n_heads,
            config.n_kv_heads, config.hidden_dim, options->context,
            1e-6 * (double)tempera_model_config_n_parameters(&config),
            (unsigned long long)options->steps, options->batch, options->context, n_threads);
    if (run->text.n_borders > 0)
        fprintf(stderr, "%zu ends of documents within it are trained on (--one-document: none)\n",
                run->text.n_borders);
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

// A later end stretches the schedule: the learning rate may jump up again.
static void say_how_it_goes_on(const struct run *run, const struct tempera_train_options *before,
                               const struct tempera_train_options *after)
{
    uint64_t step, steps;
    if (run->quiet || !read_progress(run->checkpoint_path, &step, &steps))
        return;
    if (step >= after->steps)
        fprintf(stderr,
                "this training has done all of its %llu steps: only the model is written; to go "
                "on, give --steps with more than that\n",
                (unsigned long long)after->steps);
    else if (after->steps != steps)
        fprintf(stderr,
                "%llu steps instead of %llu: the learning rate was %.3g after step %llu, goes on "
                "at %.3g and ends at %.3g\n",
                (unsigned long long)after->steps, (unsigned long long)steps,
                step > 0 ? tempera_train_learning_rate(before, step) : 0, (unsigned long long)step,
                tempera_train_learning_rate(after, step + 1),
                tempera_train_learning_rate(after, after->steps));
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
    const struct tempera_train_options before = *options;
    if (run->steps != 0)
        options->steps = run->steps;
    keep_given(run, options);
    say_how_it_goes_on(run, &before, options);
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
    const struct tempera_corpus corpus = {
        .text = run->text.text,
        .nbytes = run->text.nbytes,
        .borders = run->text.borders,
        .n_borders = run->text.n_borders,
        .heldout =
            run->heldout_path != NULL ? (run->heldout.nbytes > 0 ? run->heldout.text : "") : NULL,
        .heldout_nbytes = run->heldout.nbytes,
        .heldout_borders = run->heldout.borders,
        .n_heldout_borders = run->heldout.n_borders,
    };
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

// An option and a word, quoted for a shell where that is needed.
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
    if (run->one_document)
        fprintf(stderr, " --one-document");
    if (run->sample_prompt[0] != '\0')
        print_words(" -p", run->sample_prompt);
    print_words(" -o", run->out);
    fprintf(stderr, " --resume\n");
}

static void say_when_saved(const struct run *run)
{
    if (run->quiet)
        return;
    if (run->checkpoint_every == NOT_GIVEN)
        fprintf(stderr, "a checkpoint every minute, and on Ctrl-C: %s\n",
                cli_shown(run->checkpoint_path));
    else if (run->checkpoint_every == 0)
        fprintf(stderr, "a checkpoint at the end and on Ctrl-C: %s\n",
                cli_shown(run->checkpoint_path));
    else
        fprintf(stderr, "a checkpoint every %llu steps, and on Ctrl-C: %s\n",
                (unsigned long long)run->checkpoint_every, cli_shown(run->checkpoint_path));
}

// How to go on after the model, the checkpoint or the log could not be written.
static void advise(const struct run *run, enum tempera_status status)
{
    uint64_t step, steps;
    if (status != TEMPERA_DISK_FULL && status != TEMPERA_IO_ERROR)
        return;
    if (status == TEMPERA_DISK_FULL)
        fprintf(stderr, "free some space, or allow larger files; ");
    if (read_progress(run->checkpoint_path, &step, &steps))
        fprintf(stderr,
                "%s holds the training up to step %llu of %llu: once that is fixed, the same "
                "command with --resume goes on from there\n",
                cli_shown(run->checkpoint_path), (unsigned long long)step,
                (unsigned long long)steps);
    else if (status == TEMPERA_DISK_FULL)
        fprintf(stderr, "no checkpoint was written yet: start over after that\n");
}

static int train(struct run *run)
{
    struct tempera_error error = {0};
    signal(SIGPIPE, SIG_IGN); // a training goes on though nobody reads its progress any more
    enum tempera_status status = open_trainer(run, &error);
    if (status != TEMPERA_OK)
        return cli_failed("train", status, &error);
    say_when_saved(run);
    catch_signals();
    struct tempera_train_callbacks callbacks = {run, on_progress, on_sample};
    enum tempera_status ended = tempera_trainer_run(run->trainer, &callbacks, &error);
    cli_progress_end(&run->progress);
    if (ended != TEMPERA_OK && ended != TEMPERA_STOPPED) {
        cli_failed("train", ended, &error);
        advise(run, ended);
        return CLI_FAILED;
    }
    status =
        tempera_model_save(run->out, run->model, run->tokenizer, run->dtype, run->name, &error);
    if (status != TEMPERA_OK) {
        cli_failed("train", status, &error);
        advise(run, status);
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
    cli_documents_free(&run->text);
    cli_documents_free(&run->heldout);
    free(run->sample_prompt);
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
    if (!parse_dtype(run) || !cli_set_isa("train", run->isa) || !check_stdin(run))
        return CLI_USAGE;
    int exit_code;
    run->sample_prompt = cli_read_prompt("train", run->prompt_text != NULL ? run->prompt_text : "",
                                         NULL, &exit_code);
    if (run->sample_prompt == NULL)
        return exit_code;
    run->checkpoint_path = with_ending(run->out, ".state.gguf");
    run->log_path = with_ending(run->out, ".log.jsonl");
    run->name = base_name(run->out);
    if (is_read(run, run->out) || is_read(run, run->checkpoint_path) || is_read(run, run->log_path))
        return CLI_USAGE;
    if (!check_output(run->out) || !check_output(run->checkpoint_path) || !check_log(run) ||
        (!run->resume && !check_unfinished(run)) || !read_texts(run))
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
        {"out", 'o', CLI_FILE, &r.out, "FILE", "the model to write (GGUF)", 0, 0},
        {"minutes", 0, CLI_NUMBER, &r.minutes, "M", "time to plan for (default: 5)", 0.01, 1e6},
        {"held-out", 0, CLI_TEXT, &r.heldout_path, "FILE",
         "text to measure on (default: a twentieth of the text)", 0, 0},
        {"resume", 0, CLI_FLAG, &r.resume, NULL, "go on from the checkpoint next to -o", 0, 0},
        {"steps", 0, CLI_COUNT, &r.steps, "N", "optimiser steps in all", 1, 1e15},
        {"layers", 0, CLI_COUNT, &r.layers, "N", "of the model", 1, 4096},
        {"dim", 0, CLI_COUNT, &r.dim, "N", "width of the model", 1, 1 << 18},
        {"heads", 0, CLI_COUNT, &r.heads, "N", "attention heads", 1, 1 << 16},
        {"kv-heads", 0, CLI_COUNT, &r.kv_heads, "N", "key and value heads (default: as --heads)", 1,
         1 << 16},
        {"hidden", 0, CLI_COUNT, &r.hidden, "N", "width of the feed-forward part", 1, 1 << 20},
        {"context", 0, CLI_COUNT, &r.context, "N", "tokens a sequence", 1, 1 << 20},
        {"batch", 0, CLI_COUNT, &r.batch, "N", "sequences a step", 1, 1 << 16},
        {"vocab", 0, CLI_COUNT, &r.vocab, "N", "tokens; 257 means bytes", 1, 1 << 24},
        {"lr", 0, CLI_NUMBER, &r.learning_rate, "R", "learning rate after warm-up", 1e-9, 1},
        {"min-lr", 0, CLI_NUMBER, &r.min_learning_rate, "R", "learning rate at the end", 0, 1},
        {"warmup", 0, CLI_COUNT, &r.warmup, "N", "steps of warm-up; 0: none", 0, 1e15},
        {"weight-decay", 0, CLI_NUMBER, &r.weight_decay, "D", "on matrices; 0: none", 0, 10},
        {"evaluate-every", 0, CLI_COUNT, &r.evaluate_every, "N", "steps; 0: at the end", 0, 1e15},
        {"sample-every", 0, CLI_COUNT, &r.sample_every, "N", "steps; 0: never", 0, 1e15},
        {"checkpoint-every", 0, CLI_COUNT, &r.checkpoint_every, "N",
         "steps; 0: at the end and on Ctrl-C (default: every minute)", 0, 1e15},
        {"one-document", 0, CLI_FLAG, &r.one_document, NULL, "do not train on the ends of texts", 0,
         0},
        {"prompt", 'p', CLI_TEXT, &r.prompt_text, "TEXT", "what samples go on from", 0, 0},
        {"dtype", 0, CLI_TEXT, &r.dtype_name, "TYPE",
         "of the model written: f16, f32, bf16 (default: f16)", 0, 0},
        {"seed", 0, CLI_COUNT, &r.seed, "N", "same seed, same curve (default: 0)", 0, 9e15},
        {"threads", 0, CLI_COUNT, &r.threads, "N", "0: all processors (default: 0)", 0, 1024},
        CLI_ISA_OPTION(&r.isa),
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
    .details =
        "Trains a small Llama-architecture model. Sizes that aren't given are picked from the "
        "text's size\nand --minutes. TEXT is a file, '-' stdin; UTF-8, or UTF-16 or UTF-32 with a "
        "mark. A document\nends where a text does and at <|endoftext|>; generate "
        "stops there.\nBeside MODEL.gguf: MODEL.log.jsonl, the loss log, and "
        "MODEL.state.gguf, the checkpoint for --resume,\nwritten every minute (or ten times what "
        "writing takes, or a step, whichever is longest): a kill costs\nno more than that.",
    .example = "tempera train data/rhymes.txt -o my.gguf --minutes 1",
    .run = run,
};
