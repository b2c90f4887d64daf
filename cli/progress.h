// SPDX-License-Identifier: MIT
// Progress on stderr: in a terminal one line that is redrawn and fits it; elsewhere, and in one
// without escape sequences (TERM unset or dumb) or where NO_COLOR asks for none, a plain line every
// ten seconds.
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

struct cli_progress {
    bool redraws;     // one line in place
    bool stands;      // such a line is there, without its end
    double last_line; // when, in seconds
};

// Before the first line, which is due at once.
struct cli_progress cli_progress_begin(void);
bool cli_progress_due(const struct cli_progress *progress);

// ASCII text of parts with two blanks between them, the most important first: a line to be redrawn
// loses those at its end for which the terminal is too narrow. kept: the line is whole, and stays.
void cli_progress_draw(struct cli_progress *progress, const char *line, bool kept);

// Leaves the line there, or takes it away, so that other text may follow.
void cli_progress_end(struct cli_progress *progress);
void cli_progress_clear(struct cli_progress *progress);

// Columns of the terminal at a file descriptor, or of COLUMNS if its size isn't known. Asked again
// for each line: a window can be made smaller.
size_t cli_terminal_columns(int fd);

// "1m05s", "2h03m".
void cli_duration(double seconds, char *text, size_t nbytes);

// From a clock that never goes back.
double cli_seconds_now(void);

#endif
