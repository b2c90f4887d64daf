// SPDX-License-Identifier: MIT
// The loss log: one JSON object a line, written through to the file after every step.
#ifndef TEMPERA_TRAIN_LOG_H
#define TEMPERA_TRAIN_LOG_H

#include <stdint.h>

#include <tempera/train.h>

enum { TEMPERA_LOG_LINE_NBYTES = 512 }; // of the longest line

// The training state remembers length and digest of the log, so that a resume can cut off what
// was written after the state and can tell another log from its own.
struct tempera_loss_log {
    const char *path; // borrowed; NULL: no log is kept
    int fd;           // -1: not open
    uint64_t nbytes;
    uint64_t digest;
    // The line that could not be written; a saved state has it, and a resume writes it.
    char pending[TEMPERA_LOG_LINE_NBYTES];
    size_t n_pending;
};

// A log that isn't open yet.
struct tempera_loss_log tempera_loss_log_of(const char *path);

// Creates the file, or empties it. IO_ERROR for a file that is not empty and not a loss log.
enum tempera_status tempera_loss_log_create(struct tempera_loss_log *log,
                                            struct tempera_error *error);

// Opens the log, which isn't open yet, of a state with this length and digest, cuts it there and
// writes the line that is pending. A file that is missing or empty is started over.
// STATE_MISMATCH if it is another log.
enum tempera_status tempera_loss_log_resume(struct tempera_loss_log *log, uint64_t nbytes,
                                            uint64_t digest, struct tempera_error *error);

// Appends a line. If that fails, the file is cut back to what it was, and the line is pending.
enum tempera_status tempera_loss_log_append(struct tempera_loss_log *log,
                                            const struct tempera_train_report *report,
                                            struct tempera_error *error);

// Writes the line that is pending, if there is one.
enum tempera_status tempera_loss_log_catch_up(struct tempera_loss_log *log,
                                              struct tempera_error *error);

// Returns when everything is on the disk.
enum tempera_status tempera_loss_log_sync(const struct tempera_loss_log *log,
                                          struct tempera_error *error);

void tempera_loss_log_close(struct tempera_loss_log *log);

// Writes the shortest decimal, of at least 15 digits tried, that reads back as `value`, with a
// point in any locale; infinities and NaN, which JSON lacks, as strings. Returns its length.
enum { TEMPERA_NUMBER_NBYTES = 32 };
int tempera_format_number(double value, char text[TEMPERA_NUMBER_NBYTES]);

#endif
