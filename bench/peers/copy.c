// SPDX-License-Identifier: MIT
// No contestant, but a floor for all: what moving the memory takes, on one thread.
#include "peer.h"

#include <string.h>

const char *const peer_name = "copy";

bool peer_open(const struct job *job)
{
    (void)job;
    return true;
}

void peer_run(const struct job *job)
{
    memcpy(job->p, job->z, job->rows * job->cols * sizeof *job->p);
}

void peer_close(void) {}
