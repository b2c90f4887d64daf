// SPDX-License-Identifier: MIT
#include "peer.h"

#include <tempera/tempera.h>

const char *const peer_name = "tempera";

static struct tempera_thread_pool *pool;

bool peer_open(const struct job *job)
{
    return tempera_thread_pool_open(&pool, job->threads) == TEMPERA_OK;
}

void peer_run(const struct job *job)
{
    struct tempera_matrix z = tempera_matrix_const_f32(job->z, job->rows, job->cols);
    struct tempera_matrix p = tempera_matrix_f32(job->p, job->rows, job->cols);
    tempera_softmax(&z, NULL, &p, NULL,
                    job->threads > 1 ? tempera_thread_pool_executor(pool) : NULL);
}

void peer_close(void)
{
    tempera_thread_pool_close(&pool);
}
