// SPDX-License-Identifier: MIT
// Three loops over the row's blocks: maxima, sums, results. One thread sums in the same blocks, and
// between the loops the blocks' numbers are combined in order: no bit depends on how many threads
// there are.
#include "score/softmax/long_row.h"

#include "base/fpenv.h"
#include "base/size.h"
#include "kernels/scalars.h"

enum { MOST_BLOCKS = 65 }; // see tempera_row_block

struct split {
    const struct tempera_kernels *kernels;
    const struct tempera_temperature_params *params;
    const float *z;
    float *out;
    size_t n, block, n_blocks, n_chunks;
    bool is_log;
    void (*phase)(struct split *s, size_t block);
    float maxima[MOST_BLOCKS];
    bool has_nan[MOST_BLOCKS];
    double sums[MOST_BLOCKS];
    struct tempera_row_sum row;
    double ln_S;
    float high, low;
};

bool tempera_long_row_pays(size_t n_rows, size_t n, const struct tempera_executor *executor)
{
    return executor != NULL && n_rows < executor->n_threads && n >= 2 * (size_t)TEMPERA_ROW_BLOCK;
}

static size_t length_of(const struct split *s, size_t block)
{
    return tempera_min(s->n - block * s->block, s->block);
}

static void find_maximum(struct split *s, size_t block)
{
    s->maxima[block] =
        s->kernels->pieces.max(s->z + block * s->block, length_of(s, block), &s->has_nan[block]);
}

static void sum_block(struct split *s, size_t block)
{
    size_t at = block * s->block;
    double lanes[16] = {0};
    s->kernels->pieces.exp_sum(s->z + at, length_of(s, block), &s->row.exponent,
                               s->is_log ? NULL : s->out + at, lanes);
    s->sums[block] = tempera_sum_lanes(lanes);
}

static void finish_block(struct split *s, size_t block)
{
    size_t at = block * s->block, n = length_of(s, block);
    if (s->is_log)
        s->kernels->pieces.log_map(s->z + at, n, s->row.max, s->params, s->ln_S, s->out + at);
    else
        s->kernels->pieces.scale(s->out + at, n, s->high, s->low, s->out + at);
}

// A thread's blocks lie side by side and are the same in all three loops: they stay in its cache.
static void run_chunk(void *context, size_t chunk)
{
    struct split *s = context;
    size_t first = chunk * s->n_blocks / s->n_chunks, end = (chunk + 1) * s->n_blocks / s->n_chunks;
    struct tempera_fpenv env = tempera_fpenv_enter();
    for (size_t block = first; block < end; block++)
        s->phase(s, block);
    tempera_fpenv_leave(env);
}

static void run_phase(struct split *s, void (*phase)(struct split *s, size_t block),
                      const struct tempera_executor *executor)
{
    s->phase = phase;
    tempera_parallel_for(executor, s->n_chunks, run_chunk, s);
}

// Returns false if it isn't an f32 row.
static bool join_maxima(struct split *s)
{
    bool has_nan = false;
    s->row.max = s->maxima[0];
    for (size_t b = 0; b < s->n_blocks; b++) {
        has_nan |= s->has_nan[b];
        s->row.max = s->maxima[b] > s->row.max ? s->maxima[b] : s->row.max;
    }
    if (has_nan || !s->params->fits_f32 || !tempera_max_fits_f32(s->row.max))
        return false;
    s->row.exponent = tempera_exponent_of(s->row.max, s->params);
    return true;
}

static void join_sums(struct split *s)
{
    s->row.sum = 0;
    for (size_t b = 0; b < s->n_blocks; b++)
        s->row.sum += s->sums[b];
    s->row.e_max = s->kernels->pieces.exp_one(s->row.max, &s->row.exponent);
    s->ln_S = tempera_ln_sum(&s->row);
    tempera_split_inverse(1, s->row.sum, &s->high, &s->low);
}

bool tempera_long_row(const struct tempera_kernels *kernels,
                      const struct tempera_temperature_params *params, const float *z, size_t n,
                      bool is_log, float *out, const struct tempera_executor *executor)
{
    struct split s = {.kernels = kernels,
                      .params = params,
                      .z = z,
                      .out = out,
                      .n = n,
                      .block = tempera_row_block(n),
                      .is_log = is_log};
    s.n_blocks = tempera_ceil_div(n, s.block);
    s.n_chunks = tempera_min(executor->n_threads, s.n_blocks);
    run_phase(&s, find_maximum, executor);
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&s);
    bool fits_f32 = join_maxima(&s);
    tempera_fpenv_carry(&fits_f32);
    tempera_fpenv_leave(env);
    if (!fits_f32)
        return false;
    run_phase(&s, sum_block, executor);
    env = tempera_fpenv_enter();
    join_sums(&s);
    tempera_fpenv_leave(env);
    run_phase(&s, finish_block, executor);
    return true;
}
