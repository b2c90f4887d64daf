// SPDX-License-Identifier: MIT
// What a training writes, and when: checkpoints by the clock, files of somebody else's, a log that
// can't be written. And what it says of a state that doesn't fit.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "train_setup.h"
#include "train/trainer.h"

enum { WORDY = 1200 };

static const char state_path[] = "test_train_outputs.state.gguf";
static const char log_path[] = "test_train_outputs.log.jsonl";
static const char whole_state[] = "test_train_outputs.whole.state.gguf";
static const char whole_log[] = "test_train_outputs.whole.log.jsonl";

static const char *const files[] = {state_path, log_path, whole_state, whole_log};

static struct training begin(const char *text, const char *state, const char *log)
{
    struct training t = training_small(text, WORDY);
    t.options.checkpoint_path = state;
    t.options.log_path = log;
    CHECK_STATUS(training_begin(&t, 0, NULL), TEMPERA_OK);
    return t;
}

// ------------------------------------------------------------------------------------------------
// By the clock

static double clock_seconds, seconds_a_look; // what it shows, and how much later the next time
static double test_clock(void)
{
    return clock_seconds += seconds_a_look;
}

struct saves {
    ino_t last;
    uint64_t steps[64]; // after which a new state was there
    size_t n;
};

// Called after a step, before its checkpoint: sees the one of the step before.
static bool look_at_state(void *context, const struct tempera_train_report *report)
{
    struct saves *saves = context;
    struct stat info;
    if (stat(state_path, &info) == 0 && info.st_ino != saves->last && saves->n < 64) {
        saves->steps[saves->n++] = report->step - 1;
        saves->last = info.st_ino;
    }
    return true;
}

static struct saves run_by_the_clock(const char *text, double pace, uint64_t every)
{
    struct saves saves = {.n = 0};
    struct tempera_train_callbacks callbacks = {&saves, look_at_state, NULL};
    struct training t = training_small(text, WORDY);
    t.options.checkpoint_path = state_path;
    t.options.log_path = log_path;
    t.options.steps = 40;
    t.options.checkpoint_every = every;
    remove(state_path);
    CHECK_STATUS(training_begin(&t, 0, NULL), TEMPERA_OK);
    clock_seconds = 0;
    seconds_a_look = pace;
    t.trainer->now = test_clock;
    CHECK_STATUS(tempera_trainer_run(t.trainer, &callbacks, NULL), TEMPERA_OK);
    training_end(&t);
    return saves;
}

// The clock is looked at three times a step, and five with a checkpoint.
static void checkpoints_by_the_clock(void)
{
    char *text = wordy_text(WORDY, 1);
    // a step takes 9 s, writing 3 s: every minute, that is every seventh step
    struct saves saves = run_by_the_clock(text, 3, TEMPERA_CHECKPOINT_BY_TIME);
    CHECK(saves.n >= 5 && saves.n <= 6);
    for (size_t i = 1; i < saves.n; i++)
        CHECK_EQ_U64(saves.steps[i] - saves.steps[i - 1], 7);
    // writing takes 20 s, ten times that are 200 s: no more than a tenth of the time
    saves = run_by_the_clock(text, 20, TEMPERA_CHECKPOINT_BY_TIME);
    CHECK(saves.n > 5);
    CHECK_EQ_U64(saves.steps[0], 1); // a step of more than a minute
    for (size_t i = 1; i < saves.n; i++)
        CHECK_EQ_U64(saves.steps[i] - saves.steps[i - 1], 4);
    CHECK_EQ_SIZE(run_by_the_clock(text, 20, TEMPERA_CHECKPOINT_NEVER).n, 0);
    saves = run_by_the_clock(text, 0, 10);
    CHECK_EQ_SIZE(saves.n, 3); // and a fourth in the end, which nobody looks at
    remove_files(files, COUNT_OF(files));
    free(text);
}

// The clock leaves no trace in any file.
static void the_clock_changes_no_bit(void)
{
    char *text = wordy_text(WORDY, 1);
    for (int slow = 0; slow < 2; slow++) {
        struct training t =
            begin(text, slow ? state_path : whole_state, slow ? log_path : whole_log);
        clock_seconds = 0;
        seconds_a_look = slow ? 70 : 0;
        t.trainer->now = test_clock;
        CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, NULL), TEMPERA_OK);
        training_end(&t);
    }
    check_same_files(state_path, whole_state);
    check_same_files(log_path, whole_log);
    remove_files(files, COUNT_OF(files));
    free(text);
}

// ------------------------------------------------------------------------------------------------
// Somebody else's files

static void check_kept(const char *path, const char *content)
{
    size_t n;
    char *bytes = read_file(path, &n);
    CHECK_EQ_SIZE(n, strlen(content));
    CHECK_MEM(bytes, content, n);
    free(bytes);
}

static void run_refuses(const char *text, const char *path, const char *content, const char *what)
{
    struct tempera_error error = {0};
    write_file(path, content, strlen(content));
    struct training t = begin(text, state_path, log_path);
    CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, &error), TEMPERA_IO_ERROR);
    if (!CHECK(strstr(error.message, what) != NULL && strstr(error.message, path) != NULL))
        printf("# %s\n", error.message);
    CHECK_EQ_U64(t.trainer->step, 0);
    training_end(&t);
    check_kept(path, content);
    remove_files(files, COUNT_OF(files));
}

static void files_of_others_are_left_alone(void)
{
    char *text = wordy_text(WORDY, 1);
    run_refuses(text, log_path, "my notes on logs\n", "not a loss log");
    run_refuses(text, log_path, "{\"st", "not a loss log");
    run_refuses(text, state_path, "the state of the art\n", "not a training state");
    run_refuses(text, state_path, "GGUF and then something\n", "not a training state");
    // a model is not a state
    struct training t = begin(text, NULL, NULL);
    CHECK_STATUS(tempera_model_save(state_path, t.model, t.tokenizer, TEMPERA_F32, "m", NULL),
                 TEMPERA_OK);
    training_end(&t);
    t = begin(text, state_path, NULL);
    CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, NULL), TEMPERA_IO_ERROR);
    training_end(&t);
    // a log and a state of an earlier run are, and so is what is not a file of its own
    for (int round = 0; round < 2; round++) {
        remove(round == 0 ? state_path : "");
        t = begin(text, state_path, log_path);
        CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, NULL), TEMPERA_OK);
        training_end(&t);
    }
    t = begin(text, NULL, "/dev/null");
    CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, NULL), TEMPERA_OK);
    training_end(&t);
    remove_files(files, COUNT_OF(files));
    free(text);
}

// ------------------------------------------------------------------------------------------------
// A log that can't be written

// The log is a pipe whose reader is gone.
static void run_with_a_dying_log(const char *text)
{
    int ends[2];
    char path[64];
    CHECK_EQ_INT(pipe(ends), 0);
    signal(SIGPIPE, SIG_IGN);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
    struct tempera_error error = {0};
    struct training t = begin(text, state_path, path);
    close(ends[0]);
    CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, &error), TEMPERA_IO_ERROR);
    CHECK_EQ_U64(t.trainer->step, 1);
    CHECK(strstr(error.message, "loss log") != NULL);
    CHECK(strstr(error.message, "all that was trained is in") != NULL);
    CHECK(strstr(error.message, state_path) != NULL);
    training_end(&t);
    close(ends[1]);
}

// The step is in the state, and its line too: resumed with a log that can be written, nothing is
// missing.
static void a_log_that_cannot_be_written(void)
{
    char *text = wordy_text(WORDY, 1);
    struct training t = begin(text, whole_state, whole_log);
    CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, NULL), TEMPERA_OK);
    training_end(&t);
    run_with_a_dying_log(text);
    t = begin(text, state_path, log_path);
    CHECK_STATUS(tempera_trainer_resume(t.trainer, state_path, NULL), TEMPERA_OK);
    CHECK_EQ_U64(t.trainer->step, 1);
    CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, NULL), TEMPERA_OK);
    training_end(&t);
    check_same_files(log_path, whole_log);
    check_same_files(state_path, whole_state);
    remove_files(files, COUNT_OF(files));
    free(text);
}

// Neither log nor checkpoint: the message says both, and a full disk is one for either.
static void neither_log_nor_checkpoint(void)
{
    char *text = wordy_text(WORDY, 1);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {300, 300};
        struct tempera_error error = {0};
        struct training t = begin(text, state_path, log_path);
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        enum tempera_status status = tempera_trainer_run(t.trainer, NULL, &error);
        bool good = status == TEMPERA_DISK_FULL && strstr(error.message, "loss log") != NULL &&
                    strstr(error.message, "no checkpoint either") != NULL;
        _exit(good ? 0 : 1);
    }
    int result = -1;
    CHECK(child > 0 && waitpid(child, &result, 0) == child);
    CHECK_EQ_INT(result, 0);
    struct stat info;
    CHECK(stat(log_path, &info) == 0 && info.st_size > 0 && info.st_size <= 300);
    CHECK(stat(state_path, &info) != 0);
    remove_files(files, COUNT_OF(files));
    free(text);
}

// A log that can't be read isn't "another log": here it is a folder.
static void a_log_that_cannot_be_read(void)
{
    char *text = wordy_text(WORDY, 1);
    struct tempera_error error = {0};
    struct training t = begin(text, state_path, log_path);
    CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, NULL), TEMPERA_OK);
    training_end(&t);
    remove(log_path);
    CHECK_EQ_INT(mkdir(log_path, 0700), 0);
    t = begin(text, state_path, log_path);
    CHECK_STATUS(tempera_trainer_resume(t.trainer, state_path, &error), TEMPERA_IO_ERROR);
    CHECK(strstr(error.message, "Is a directory") != NULL);
    training_end(&t);
    CHECK_EQ_INT(rmdir(log_path), 0);
    remove_files(files, COUNT_OF(files));
    free(text);
}

// ------------------------------------------------------------------------------------------------
// States that don't fit

static void check_resume_says(struct training *t, const char *what)
{
    struct tempera_error error = {0};
    t->options.checkpoint_path = state_path;
    CHECK_STATUS(training_begin(t, 0, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_trainer_resume(t->trainer, state_path, &error), TEMPERA_STATE_MISMATCH);
    if (!CHECK(strstr(error.message, what) != NULL))
        printf("# %s\n", error.message);
    training_end(t);
}

static void what_differs_is_named(void)
{
    char *text = wordy_text(WORDY, 1), *other = wordy_text(WORDY, 2);
    const size_t borders[] = {400, 800};
    struct training t = begin(text, state_path, NULL);
    CHECK(t.trainer->data.n_heldout > 0);
    CHECK_STATUS(tempera_trainer_run(t.trainer, NULL, NULL), TEMPERA_OK);
    training_end(&t);
    t = training_small(other, WORDY);
    check_resume_says(&t, "belongs to another text");
    t = training_small(text, WORDY);
    t.corpus.heldout = other;
    t.corpus.heldout_nbytes = 200;
    check_resume_says(&t, "belongs to another held-out text");
    t = training_small(text, WORDY);
    t.corpus.borders = borders;
    t.corpus.n_borders = 2;
    check_resume_says(&t, "has 0 borders between documents, and 2 here");
    remove_files(files, COUNT_OF(files));
    free(text);
    free(other);
}

int main(int argc, char **argv)
{
    remove_files(files, COUNT_OF(files));
    static const struct check_test tests[] = {
        {"checkpoints are written by the clock", checkpoints_by_the_clock},
        {"the clock changes no bit", the_clock_changes_no_bit},
        {"files of others are left alone", files_of_others_are_left_alone},
        {"a log that can't be written ends in a state", a_log_that_cannot_be_written},
        {"if neither log nor checkpoint can be written, the message says both",
         neither_log_nor_checkpoint},
        {"a log that can't be read is an IO_ERROR, not another run's log",
         a_log_that_cannot_be_read},
        {"what differs from a state is named", what_differs_is_named},
    };
    return CHECK_RUN(tests, argc, argv);
}
