// SPDX-License-Identifier: MIT
// Checkpoints: a run that was stopped, or killed at any moment, and resumed gives the
// bits of the run that never was. A damaged or foreign state is refused; a full disk keeps the old.
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "train_setup.h"
#include "train/trainer.h"

enum { WORDY = 1200 };

static const char state_path[] = "test_train_resume.state.gguf";
static const char log_path[] = "test_train_resume.log.jsonl";
static const char whole_state[] = "test_train_resume.whole.state.gguf";
static const char whole_log[] = "test_train_resume.whole.log.jsonl";

static const char *const files[] = {state_path, log_path, whole_state, whole_log};

// The run that nothing happens to, into the files whole_*.
static void run_whole(const char *text, uint64_t steps)
{
    struct training t = training_small(text, WORDY);
    t.options.steps = steps;
    t.options.checkpoint_path = whole_state;
    t.options.log_path = whole_log;
    CHECK_STATUS(training_begin(&t, 2, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, NULL), TEMPERA_OK);
    training_end(&t);
}

// A trainer over state_path and log_path, its model unlike any that was trained.
static struct training begin_other(const char *text, uint64_t steps)
{
    struct training t = training_small(text, WORDY);
    t.options.steps = steps;
    t.options.checkpoint_path = state_path;
    t.options.log_path = log_path;
    CHECK_STATUS(training_begin(&t, 1, NULL), TEMPERA_OK);
    return t;
}

struct stop {
    uint64_t at;
};

static bool stop_at(void *context, const struct tempera_train_report *report)
{
    const struct stop *stop = context;
    return report->step < stop->at;
}

// Runs to step `at`, which writes state_path.
static void run_until(const char *text, uint64_t steps, uint64_t at)
{
    struct stop stop = {at};
    struct tempera_train_callbacks callbacks = {&stop, stop_at, NULL};
    struct training t = begin_other(text, steps);
    CHECK_STATUS(tempera_trainer_run(t.trainer, &callbacks, NULL), TEMPERA_STOPPED);
    training_end(&t);
}

// ------------------------------------------------------------------------------------------------
// The same bits

static void a_stopped_run_goes_on_with_the_same_bits(void)
{
    char *text = wordy_text(WORDY, 1);
    run_whole(text, 12);
    for (uint64_t at = 1; at < 12; at += 3) {
        run_until(text, 12, at);
        struct training t = begin_other(text, 12);
        struct tempera_error error = {0};
        t.trainer->weights[5] = 99; // nothing of what was there before is left
        CHECK_STATUS(tempera_trainer_resume(t.trainer, state_path, &error), TEMPERA_OK);
        CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, &error), TEMPERA_OK);
        training_end(&t);
        check_same_files(state_path, whole_state);
        check_same_files(log_path, whole_log);
    }
    remove_files(files, COUNT_OF(files));
    free(text);
}

static void the_log_is_cut_back(void)
{
    char *text = wordy_text(WORDY, 1);
    run_whole(text, 12);
    run_until(text, 12, 5);
    FILE *log = fopen(log_path, "ab"); // what a killed run had written after its last checkpoint
    fputs("{\"step\":6,\"tokens\":288,\"loss\":4.", log);
    fclose(log);
    struct training t = begin_other(text, 12);
    CHECK_STATUS(tempera_trainer_resume(t.trainer, state_path, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, NULL), TEMPERA_OK);
    training_end(&t);
    check_same_files(log_path, whole_log);

    run_until(text, 12, 5);
    log = fopen(log_path, "r+b"); // another log of the same length isn't taken for ours
    fputs("x", log);
    fclose(log);
    struct tempera_error error = {0};
    t = begin_other(text, 12);
    t.trainer->weights[5] = 99;
    CHECK_STATUS(tempera_trainer_resume(t.trainer, state_path, &error), TEMPERA_STATE_MISMATCH);
    CHECK(strstr(error.message, log_path) != NULL);
    CHECK(t.trainer->step == 0 && t.trainer->weights[5] == 99); // nothing was resumed
    remove(log_path); // one that is gone is started afresh
    CHECK_STATUS(tempera_trainer_resume(t.trainer, state_path, &error), TEMPERA_OK);
    training_end(&t);
    remove_files(files, COUNT_OF(files));
    free(text);
}

static void more_steps_can_be_asked_for(void)
{
    char *text = wordy_text(WORDY, 1);
    run_whole(text, 12);
    struct training t = begin_other(text, 20);
    t.options.log_path = NULL;
    struct tempera_error error = {0};
    CHECK_STATUS(tempera_trainer_resume(t.trainer, whole_state, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, &error), TEMPERA_OK);
    CHECK_EQ_U64(t.trainer->step, 20);
    training_end(&t);
    t = begin_other(text, 11);
    CHECK_STATUS(tempera_trainer_resume(t.trainer, whole_state, &error), TEMPERA_STATE_MISMATCH);
    CHECK(strstr(error.message, "12") != NULL && strstr(error.message, "11") != NULL);
    training_end(&t);
    remove_files(files, COUNT_OF(files));
    free(text);
}

// ------------------------------------------------------------------------------------------------
// Killed

enum { KILL_STEPS = 200 };

// In a child: takes up the state if there is one, and trains to the end.
static void train_in_child(const char *text)
{
    struct training t = training_small(text, WORDY);
    t.options.steps = KILL_STEPS;
    t.options.checkpoint_every = 2;
    t.options.checkpoint_path = state_path;
    t.options.log_path = log_path;
    if (training_begin(&t, 2, NULL) != TEMPERA_OK)
        _exit(2);
    if (access(state_path, F_OK) == 0 &&
        tempera_trainer_resume(t.trainer, state_path, NULL) != TEMPERA_OK)
        _exit(3);
    _exit(tempera_trainer_run(t.trainer, NULL, NULL) == TEMPERA_OK ? 0 : 4);
}

static void killed_at_any_moment(void)
{
    char *text = wordy_text(WORDY, 1);
    remove_files(files, COUNT_OF(files));
    struct training whole = training_small(text, WORDY);
    whole.options.steps = KILL_STEPS;
    whole.options.checkpoint_every = 2; // the options are in the state, too
    whole.options.checkpoint_path = whole_state;
    whole.options.log_path = whole_log;
    CHECK_STATUS(training_begin(&whole, 1, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_run(whole.trainer, NULL, NULL), TEMPERA_OK);
    training_end(&whole);

    size_t n_killed = 0;
    bool finished = false;
    // Early at first, to meet every part of the start, then ever later, without an end: a child
    // gets there however slow it is, such as under a sanitizer that sleeps for a second at exit.
    double longest_s = 0.004;
    fflush(stdout);
    for (int attempt = 0; attempt < 1000 && !finished;
         attempt++, longest_s *= check_is_small() ? 1.3 : 1.03) {
        pid_t child = fork();
        if (child == 0)
            train_in_child(text);
        if (!CHECK(child > 0))
            break;
        double pause_s = longest_s * (double)check_random_below(1000000) / 1e6;
        struct timespec pause = {(time_t)pause_s, (long)(fmod(pause_s, 1) * 1e9)};
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        int how;
        CHECK(waitpid(child, &how, 0) == child);
        n_killed += (bool)WIFSIGNALED(how);
        finished = WIFEXITED(how);
        if (finished)
            CHECK_EQ_INT(WEXITSTATUS(how), 0);
    }
    CHECK(finished);
    CHECK(n_killed > 0);
    printf("# killed %zu times\n", n_killed);
    check_same_files(state_path, whole_state);
    check_same_files(log_path, whole_log);
    remove_files(files, COUNT_OF(files));
    free(text);
}

// ------------------------------------------------------------------------------------------------
// Refused

static void check_refused(struct training *t, const char *word)
{
    struct tempera_error error = {0};
    size_t nbytes = t->trainer->n * sizeof(float);
    float *before = malloc(nbytes);
    memcpy(before, t->trainer->weights, nbytes);
    CHECK_STATUS(tempera_trainer_resume(t->trainer, whole_state, &error), TEMPERA_STATE_MISMATCH);
    if (strstr(error.message, word) == NULL)
        CHECK_EQ_STR(error.message, word);
    CHECK_EQ_INT(error.status, TEMPERA_STATE_MISMATCH);
    CHECK_MEM(t->trainer->weights, before, nbytes);
    CHECK_EQ_U64(t->trainer->step, 0);
    free(before);
    training_end(t);
}

static void states_of_other_runs_are_refused(void)
{
    char *text = wordy_text(WORDY, 1);
    run_whole(text, 12);
    text[17] ^= 1; // another text
    struct training t = training_small(text, WORDY);
    t.options.steps = 12;
    CHECK_STATUS(training_begin(&t, 1, NULL), TEMPERA_OK);
    check_refused(&t, "another text");
    text[17] ^= 1;

    t = training_small(text, WORDY);
    t.corpus.heldout = "another text to measure on";
    t.corpus.heldout_nbytes = 26;
    CHECK_STATUS(training_begin(&t, 1, NULL), TEMPERA_OK);
    check_refused(&t, "text");

    t = training_small(text, WORDY);
    t.options.seed++;
    CHECK_STATUS(training_begin(&t, 1, NULL), TEMPERA_OK);
    check_refused(&t, "seed");

    t = training_small(text, WORDY);
    t.options.learning_rate = 0.5f;
    CHECK_STATUS(training_begin(&t, 1, NULL), TEMPERA_OK);
    check_refused(&t, "learning_rate");

    t = training_small(text, WORDY);
    t.options.batch = 2;
    CHECK_STATUS(training_begin(&t, 1, NULL), TEMPERA_OK);
    check_refused(&t, "batch");
    remove_files(files, COUNT_OF(files));
    free(text);
}

static void states_of_other_shapes_are_refused(void)
{
    char *text = wordy_text(WORDY, 1);
    run_whole(text, 12);
    struct training t = training_small(text, WORDY);
    CHECK_STATUS(training_begin(&t, 1, NULL), TEMPERA_OK);
    struct tempera_model_config config = *tempera_model_get_config(t.model);
    training_end(&t);
    const struct tempera_model_config other[] = {
        {.n_layers = 1},  {.dim = 32},       {.hidden_dim = 64},
        {.n_kv_heads = 2}, {.rope_base = 5e3f}, {.context_length = 48}};
    for (size_t i = 0; i < COUNT_OF(other); i++) {
        struct tempera_model_config c = config;
        c.n_layers = other[i].n_layers ? other[i].n_layers : c.n_layers;
        c.dim = other[i].dim ? other[i].dim : c.dim;
        c.hidden_dim = other[i].hidden_dim ? other[i].hidden_dim : c.hidden_dim;
        c.n_kv_heads = other[i].n_kv_heads ? other[i].n_kv_heads : c.n_kv_heads;
        c.rope_base = other[i].rope_base > 0 ? other[i].rope_base : c.rope_base;
        c.context_length = other[i].context_length ? other[i].context_length : c.context_length;
        t = training_small(text, WORDY);
        CHECK_STATUS(tempera_model_create(&t.model, &c, 7, NULL), TEMPERA_OK);
        CHECK_STATUS(training_begin(&t, 1, NULL), TEMPERA_OK);
        check_refused(&t, "shape");
    }
    remove_files(files, COUNT_OF(files));
    free(text);
}

static void other_files_are_refused(void)
{
    struct training t = training_small(humpty, sizeof humpty - 1);
    CHECK_STATUS(training_begin(&t, 1, NULL), TEMPERA_OK);
    struct tempera_error error = {0};
    CHECK_STATUS(tempera_trainer_resume(t.trainer, "no-such-file", &error),
                 TEMPERA_FILE_NOT_FOUND);
    CHECK_STATUS(tempera_model_save(whole_state, t.model, t.tokenizer, TEMPERA_F32, "x", &error),
                 TEMPERA_OK);
    struct tempera_model *model;
    struct tempera_tokenizer *tokenizer;
    struct tempera_train_options options;
    CHECK_STATUS(tempera_checkpoint_open(whole_state, &model, &tokenizer, &options, &error),
                 TEMPERA_STATE_MISMATCH);
    CHECK(model == NULL && tokenizer == NULL);
    check_refused(&t, "no training state");
    write_file(whole_state, "not a model", 11);
    t = training_small(humpty, sizeof humpty - 1);
    CHECK_STATUS(training_begin(&t, 1, NULL), TEMPERA_OK);
    CHECK(tempera_trainer_resume(t.trainer, whole_state, &error) >= TEMPERA_BAD_FORMAT);
    training_end(&t);
    remove_files(files, COUNT_OF(files));
}

// Finds bytes in bytes; both may hold NULs.
static char *find_bytes(char *bytes, size_t n, const char *key)
{
    size_t length = strlen(key);
    for (size_t i = 0; i + length <= n; i++)
        if (memcmp(bytes + i, key, length) == 0)
            return bytes + i;
    return NULL;
}

static void other_versions_are_refused(void)
{
    char *text = wordy_text(WORDY, 1);
    run_whole(text, 2);
    size_t n;
    char *bytes = read_file(whole_state, &n);
    static const char key[] = "tempera.train.version";
    char *at = find_bytes(bytes, n, key);
    if (CHECK(at != NULL)) {
        at[sizeof key - 1 + 4] = 2; // after the type of the value
        write_file(whole_state, bytes, n);
        struct training t = training_small(text, WORDY);
        CHECK_STATUS(training_begin(&t, 1, NULL), TEMPERA_OK);
        check_refused(&t, "version 2");
    }
    free(bytes);
    remove_files(files, COUNT_OF(files));
    free(text);
}

// One bit of every 97th byte: the file is refused, or nothing that training needs has changed.
static void damaged_states_are_refused(void)
{
    char *text = wordy_text(WORDY, 1);
    run_whole(text, 12);
    struct training t = training_small(text, WORDY);
    CHECK_STATUS(training_begin(&t, 1, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_resume(t.trainer, whole_state, NULL), TEMPERA_OK);
    size_t n, nbytes = t.trainer->n * sizeof(float), n_refused = 0, n_flips = 0;
    float *good = malloc(3 * nbytes);
    memcpy(good, t.trainer->weights, nbytes);
    memcpy(good + t.trainer->n, t.trainer->first, nbytes);
    memcpy(good + 2 * t.trainer->n, t.trainer->second, nbytes);
    char *bytes = read_file(whole_state, &n);
    for (size_t at = 0; at < n; at += 97 * check_stride(16), n_flips++) {
        char kept = bytes[at];
        bytes[at] ^= (char)(1 << check_random_below(8));
        write_file(state_path, bytes, n);
        bytes[at] = kept;
        enum tempera_status status = tempera_trainer_resume(t.trainer, state_path, NULL);
        n_refused += status != TEMPERA_OK;
        if (status == TEMPERA_OK) {
            CHECK_EQ_U64(t.trainer->step, 12);
            CHECK_MEM(t.trainer->weights, good, nbytes);
            CHECK_MEM(t.trainer->first, good + t.trainer->n, nbytes);
            CHECK_MEM(t.trainer->second, good + 2 * t.trainer->n, nbytes);
        }
        struct tempera_model *model = NULL;
        struct tempera_tokenizer *tokenizer = NULL;
        struct tempera_train_options options;
        tempera_checkpoint_open(state_path, &model, &tokenizer, &options, NULL);
        tempera_tokenizer_close(&tokenizer);
        tempera_model_close(&model);
    }
    CHECK(n_refused * 10 > n_flips * 9); // nearly all of the file is weights and moments
    printf("# %zu of %zu flips refused, the others harmless\n", n_refused, n_flips);
    free(bytes);
    free(good);
    training_end(&t);
    remove_files(files, COUNT_OF(files));
    free(text);
}

static void truncated_states_are_refused(void)
{
    char *text = wordy_text(WORDY, 1);
    run_whole(text, 2);
    size_t n;
    char *bytes = read_file(whole_state, &n);
    struct training t = training_small(text, WORDY);
    CHECK_STATUS(training_begin(&t, 1, NULL), TEMPERA_OK);
    for (size_t length = 0; length < n; length += n / 50 + 1) {
        write_file(state_path, bytes, length);
        CHECK(tempera_trainer_resume(t.trainer, state_path, NULL) >= TEMPERA_BAD_FORMAT);
    }
    free(bytes);
    training_end(&t);
    remove_files(files, COUNT_OF(files));
    free(text);
}

// ------------------------------------------------------------------------------------------------
// The rest

static void a_checkpoint_knows_what_it_was_made_with(void)
{
    char *text = wordy_text(WORDY, 1);
    run_whole(text, 12);
    struct training t = {.corpus = {.text = text, .nbytes = WORDY}};
    struct training usual = training_small(text, WORDY);
    struct tempera_error error = {0};
    CHECK_STATUS(
        tempera_checkpoint_open(whole_state, &t.model, &t.tokenizer, &t.options, &error),
        TEMPERA_OK);
    const struct tempera_train_options *o = &t.options, *u = &usual.options;
    CHECK_EQ_SIZE(o->struct_size, sizeof *o);
    CHECK(o->steps == u->steps && o->batch == u->batch && o->context == u->context &&
          o->warmup_steps == u->warmup_steps && o->seed == u->seed &&
          o->evaluate_every == u->evaluate_every && o->sample_every == u->sample_every &&
          o->checkpoint_every == u->checkpoint_every);
    CHECK(o->learning_rate == u->learning_rate && o->beta1 == u->beta1 && o->beta2 == u->beta2 &&
          o->min_learning_rate == u->min_learning_rate && o->epsilon == u->epsilon &&
          o->weight_decay == u->weight_decay && o->clip_norm == u->clip_norm);
    CHECK(o->checkpoint_path == NULL && o->log_path == NULL);
    t.options.steps = 15;
    CHECK_STATUS(training_begin(&t, 2, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_resume(t.trainer, whole_state, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, &error), TEMPERA_OK);
    training_end(&t);

    // and it is a model: its weights can be loaded and talk
    struct tempera_model *model = NULL;
    struct tempera_tokenizer *tokenizer = NULL;
    CHECK_STATUS(tempera_model_load(whole_state, &model, &tokenizer, &error), TEMPERA_OK);
    tempera_model_close(&model);
    tempera_tokenizer_close(&tokenizer);
    remove_files(files, COUNT_OF(files));
    free(text);
}

// With learned tokens: what the state holds goes on to the same bits as what was there before.
static void a_checkpoint_carries_its_tokenizer(void)
{
    char *text = wordy_text(4 * WORDY, 1);
    struct tempera_error error = {0};
    struct training t = training_small(text, 4 * WORDY);
    t.options.checkpoint_path = whole_state;
    CHECK_STATUS(tempera_tokenizer_train(&t.tokenizer, text, 4 * WORDY, 280, &error), TEMPERA_OK);
    CHECK_STATUS(training_begin(&t, 1, &error), TEMPERA_OK);
    struct tempera_train_report report;
    for (int i = 0; i < 5; i++)
        CHECK_STATUS(tempera_trainer_step(t.trainer, &report, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_save(t.trainer, state_path, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, &error), TEMPERA_OK);
    training_end(&t);

    struct training again = {.corpus = {.text = text, .nbytes = 4 * WORDY}};
    CHECK_STATUS(tempera_checkpoint_open(state_path, &again.model, &again.tokenizer,
                                         &again.options, &error),
                 TEMPERA_OK);
    CHECK_EQ_SIZE(tempera_tokenizer_n_tokens(again.tokenizer), 280);
    again.options.checkpoint_path = state_path;
    CHECK_STATUS(training_begin(&again, 2, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_resume(again.trainer, state_path, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_run(again.trainer, NULL, &error), TEMPERA_OK);
    training_end(&again);
    check_same_files(state_path, whole_state);

    t = training_small(text, 4 * WORDY); // other merges are another text
    CHECK_STATUS(tempera_tokenizer_train(&t.tokenizer, text + 7, 2 * WORDY, 280, &error),
                 TEMPERA_OK);
    CHECK_STATUS(training_begin(&t, 1, &error), TEMPERA_OK);
    check_refused(&t, "text");
    remove_files(files, COUNT_OF(files));
    free(text);
}

// A file-size limit stands for a disk that fills up in the middle of a save.
static void a_full_disk_keeps_the_old_state(void)
{
    char *text = wordy_text(WORDY, 1);
    run_until(text, 12, 4);
    size_t n, n_after;
    char *before = read_file(state_path, &n);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct training t = begin_other(text, 12);
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {n / 2, n / 2};
        struct tempera_error error = {0};
        if (tempera_trainer_resume(t.trainer, state_path, NULL) != TEMPERA_OK ||
            setrlimit(RLIMIT_FSIZE, &limit) != 0)
            _exit(2);
        enum tempera_status status = tempera_trainer_run(t.trainer, NULL, &error);
        _exit((status == TEMPERA_DISK_FULL || status == TEMPERA_IO_ERROR) && error.message[0] ? 0
                                                                                             : 3);
    }
    int how;
    CHECK(waitpid(child, &how, 0) == child && WIFEXITED(how));
    CHECK_EQ_INT(WEXITSTATUS(how), 0);
    char *after = read_file(state_path, &n_after);
    CHECK_EQ_SIZE(n_after, n);
    CHECK_MEM(after, before, n);
    free(before);
    free(after);

    run_whole(text, 12); // and the run goes on from there to the same end
    struct training t = begin_other(text, 12);
    CHECK_STATUS(tempera_trainer_resume(t.trainer, state_path, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, NULL), TEMPERA_OK);
    training_end(&t);
    check_same_files(state_path, whole_state);
    check_same_files(log_path, whole_log);
    remove_files(files, COUNT_OF(files));
    free(text);
}

int main(int argc, char **argv)
{
    remove_files(files, COUNT_OF(files));
    static const struct check_test tests[] = {
        {"a stopped run goes on with the same bits", a_stopped_run_goes_on_with_the_same_bits},
        {"the log is cut back", the_log_is_cut_back},
        {"more steps can be asked for", more_steps_can_be_asked_for},
        {"a run killed at any moment can be resumed", killed_at_any_moment},
        {"states of other runs are refused", states_of_other_runs_are_refused},
        {"states of other shapes are refused", states_of_other_shapes_are_refused},
        {"other files are refused", other_files_are_refused},
        {"other versions are refused", other_versions_are_refused},
        {"damaged states are refused", damaged_states_are_refused},
        {"truncated states are refused", truncated_states_are_refused},
        {"a checkpoint knows what it was made with", a_checkpoint_knows_what_it_was_made_with},
        {"a checkpoint carries its tokenizer", a_checkpoint_carries_its_tokenizer},
        {"a full disk keeps the old state", a_full_disk_keeps_the_old_state},
    };
    return CHECK_RUN(tests, argc, argv);
}
