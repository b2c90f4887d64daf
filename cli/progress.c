// SPDX-License-Identifier: MIT
#define _DEFAULT_SOURCE // TIOCGWINSZ
#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { USUAL_COLUMNS = 80 };

static const double redraw_pause = 0.2, line_pause = 10; // seconds

double cli_seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void cli_duration(double seconds, char *text, size_t nbytes)
{
    unsigned long total = seconds > 0 ? (unsigned long)(seconds + 0.5) : 0;
    if (total >= 3600)
        snprintf(text, nbytes, "%luh%02lum", total / 3600, total / 60 % 60);
    else
        snprintf(text, nbytes, "%lum%02lus", total / 60, total % 60);
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0';
}

size_t cli_terminal_columns(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    const char *columns = getenv("COLUMNS");
    long n = columns != NULL ? strtol(columns, NULL, 10) : 0;
    return n > 0 ? (size_t)n : USUAL_COLUMNS;
}

struct cli_progress cli_progress_begin(void)
{
    bool has_escapes = is_set("TERM") && strcmp(getenv("TERM"), "dumb") != 0;
    return (struct cli_progress){
        .redraws = isatty(STDERR_FILENO) && has_escapes && !is_set("NO_COLOR"),
        .last_line = -INFINITY,
    };
}

bool cli_progress_due(const struct cli_progress *progress)
{
    double pause = progress->redraws ? redraw_pause : line_pause;
    return cli_seconds_now() - progress->last_line >= pause;
}

// The length of as many whole parts as fit, or of what fits of the first.
static size_t fitting(const char *line, size_t columns)
{
    size_t length = strlen(line);
    if (length <= columns)
        return length;
    size_t fits = 0;
    for (size_t i = 1; i <= columns; i++)
        if (line[i] == ' ' && line[i + 1] == ' ')
            fits = i;
    return fits > 0 ? fits : columns;
}

void cli_progress_draw(struct cli_progress *progress, const char *line, bool kept)
{
    if (!progress->redraws) {
        fprintf(stderr, "%s\n", line);
    } else if (kept) {
        fprintf(stderr, "\r\033[K%s\n", line);
    } else {
        // A cursor after the last column may already stand in the next line.
        size_t columns = cli_terminal_columns(STDERR_FILENO);
        fprintf(stderr, "\r\033[K%.*s", (int)fitting(line, columns > 1 ? columns - 1 : 1), line);
    }
    progress->stands = progress->redraws && !kept;
    progress->last_line = cli_seconds_now();
}

void cli_progress_end(struct cli_progress *progress)
{
    if (progress->stands)
        fputc('\n', stderr);
    progress->stands = false;
}

void cli_progress_clear(struct cli_progress *progress)
{
    if (progress->stands)
        fputs("\r\033[K", stderr);
    progress->stands = false;
}
