// SPDX-License-Identifier: MIT
// A contestant in C: peer.c talks with compare.py, and one file for each contestant gives what is
// declared here.
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stddef.h>

struct job {
    size_t rows, cols, threads;
    float *z, *p; // logits and results: [rows, cols]
};

extern const char *const peer_name; // with its version, the head of its column

// A version number that is a macro, as text for the name.
#define TEXT(x) TEXT_OF(x)
#define TEXT_OF(x) #x

// Prepares a job, which may take time. False ends the program.
bool peer_open(const struct job *job);

// The softmax of all rows: this is timed.
void peer_run(const struct job *job);

void peer_close(void);

#endif
