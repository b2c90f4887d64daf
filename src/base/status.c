// SPDX-License-Identifier: MIT
// The names and sentences of enum tempera_status. Both are looked up in one table whose order is
// free: a status is found by its pinned value. A test walks every value.
#include <stddef.h>

#include <tempera/status.h>

struct status_words {
    enum tempera_status status;
    const char *name;
    const char *text;
};

#define WORDS(status, text) {TEMPERA_##status, "TEMPERA_" #status, text}

static const struct status_words all_words[] = {
    WORDS(OK, "success"),

    WORDS(ALL_MASKED, "a row of scores has no allowed entry"),
    WORDS(TARGET_MASKED, "the loss's target is a masked entry"),
    WORDS(NAN_INPUT, "a row of scores contains a NaN"),

    WORDS(INVALID_ARGUMENT, "an argument is outside its allowed range"),
    WORDS(UNSUPPORTED, "this version does not support the request"),
    WORDS(TARGET_OUT_OF_RANGE, "a target class is not a column of the scores"),
    WORDS(TOKEN_OUT_OF_RANGE, "a token id is outside the vocabulary"),
    WORDS(BUFFER_TOO_SMALL, "a buffer is smaller than its size query says"),
    WORDS(NOT_FOUND, "what was asked for is not there"),

    WORDS(OUT_OF_MEMORY, "out of memory"),
    WORDS(NO_THREADS, "the system refused to start a thread"),

    WORDS(IO_ERROR, "reading or writing failed"),
    WORDS(FILE_NOT_FOUND, "the file does not exist or cannot be read"),
    WORDS(DISK_FULL, "the disk is full"),

    WORDS(BAD_FORMAT, "the file is damaged or not of the expected format"),
    WORDS(TRUNCATED_FILE, "the file ends too early"),
    WORDS(BAD_TOKENIZER, "the tokenizer in the file contradicts itself"),

    WORDS(BAD_MODEL, "the model in the file is incomplete or has a wrong shape"),
    WORDS(CONTEXT_FULL, "more tokens than the model's context holds"),
    WORDS(TEXT_TOO_SHORT, "the text is too short"),
    WORDS(STATE_MISMATCH, "the saved state belongs to another model, text or version"),
    WORDS(UNSAFE_LIBRARY, "the matrix library cannot be called from several threads"),
    WORDS(TRAINING_DIVERGED, "training diverged: the loss or a gradient is not finite"),
    WORDS(STOPPED, "stopped at the caller's request"),
};

static const struct status_words unknown_words = {
    TEMPERA_OK, "TEMPERA_UNKNOWN_STATUS", "a status this version does not know"};

static const struct status_words *find_words(enum tempera_status status)
{
    for (size_t i = 0; i < sizeof all_words / sizeof *all_words; i++)
        if (all_words[i].status == status)
            return &all_words[i];
    return &unknown_words;
}

const char *tempera_status_name(enum tempera_status status)
{
    return find_words(status)->name;
}

const char *tempera_status_text(enum tempera_status status)
{
    return find_words(status)->text;
}
