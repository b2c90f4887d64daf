// SPDX-License-Identifier: MIT
// Whole rows. Short rows are processed in batches, phase by phase: all maxima, then all sums, then
// all quotients. Rows do not depend on each other within a phase, so the processor overlaps them; a
// row of 64 elements alone is mostly waiting for its own maximum and sum.
#ifndef TEMPERA_KERNELS_WHOLE_ROWS_TMPL_H
#define TEMPERA_KERNELS_WHOLE_ROWS_TMPL_H

#include "base/exp.h"
#include "kernels/pieces_tmpl.h"
#include "kernels/scalars.h"

// A batch has at most so many rows, and elements, which stay in the first-level cache.
enum { BATCH_ROWS = 16, BATCH_ELEMENTS = 2048 };

// Lengths of rows for which softmax uses non-temporal stores. `bench/peers/run` measures them, and
// BATCH_*, with its shapes of 4096 rows.
enum { STREAM_MIN = 512, STREAM_MAX = 4096 };

static inline size_t rows_per_batch(size_t n)
{
    size_t rows = n >= BATCH_ELEMENTS ? 1 : BATCH_ELEMENTS / n;
    return rows < BATCH_ROWS ? rows : BATCH_ROWS;
}

static inline double row_sum(const float *z, size_t n, const struct tempera_exponent *x, float *e,
                             struct prefetch prefetch)
{
    size_t block = tempera_row_block(n);
    double sum = 0;
    for (size_t at = 0; at < n; at += block) {
        sum += v_sum64(exp_sum_of(z + at, n - at < block ? n - at : block, x,
                                  e == NULL ? NULL : e + at, v_zero64(), prefetch));
        if (prefetch.next != NULL)
            prefetch.next = (const float *)prefetch.next + block;
    }
    return sum;
}

// What to prefetch during row r of a batch of `count`: the same row of the next batch.
static inline struct prefetch prefetch_after(const struct tempera_rows *rows, size_t r,
                                             size_t count)
{
    bool exists = r + count < rows->n_rows;
    const float *next = exists ? rows->in + (r + count) * rows->in_stride : NULL;
    return (struct prefetch){next, sizeof *next};
}

// Maxima and sums of up to `count` rows from `first` on. Returns how many come before the first
// that is not an f32 row.
static inline size_t sum_batch(const struct tempera_rows *rows, size_t first, size_t count,
                               const struct tempera_temperature_params *params, bool store,
                               struct tempera_row_sum *sums)
{
    for (size_t r = 0; r < count; r++) {
        bool has_nan;
        sums[r].max = max_of(rows->in + (first + r) * rows->in_stride, rows->n, &has_nan);
        if (has_nan || !tempera_max_fits_f32(sums[r].max))
            count = r;
    }
    for (size_t r = 0; r < count; r++)
        sums[r].exponent = tempera_exponent_of(sums[r].max, params);
    for (size_t r = 0; r < count; r++) {
        const float *z = rows->in + (first + r) * rows->in_stride;
        struct prefetch prefetch = prefetch_after(rows, first + r, count);
        if (store)
            sums[r].sum = row_sum(z, rows->n, &sums[r].exponent,
                                  rows->out + (first + r) * rows->out_stride, prefetch);
        else
            sums[r].sum = row_sum(z, rows->n, &sums[r].exponent, NULL, prefetch);
    }
    return count;
}

static inline bool uses_stream(const struct tempera_rows *rows)
{
    return rows->stream && rows->n >= STREAM_MIN && rows->n <= STREAM_MAX;
}

// With non-temporal stores. The exponentials stay on the stack, so that each line of the result is
// written once and never read: 0.72 of the time for 4096 x 4096 (bench/peers/run).
static size_t softmax_rows_streamed(const struct tempera_rows *rows,
                                    const struct tempera_temperature_params *params)
{
    float e[STREAM_MAX] __attribute__((aligned(64)));
    size_t r = 0;
    for (; r < rows->n_rows; r++) {
        bool has_nan;
        const float *z = rows->in + r * rows->in_stride;
        float max = max_of(z, rows->n, &has_nan), high, low;
        if (has_nan || !tempera_max_fits_f32(max))
            break;
        struct tempera_exponent x = tempera_exponent_of(max, params);
        double sum = row_sum(z, rows->n, &x, e, prefetch_after(rows, r, 1));
        tempera_split_inverse(1, sum, &high, &low);
        scale_loop(e, rows->n, high, low, rows->out + r * rows->out_stride, true);
    }
    v_stream_end();
    return r;
}

// ------------------------------------------------------------------------------------------------
// A whole batch of 16 short rows: their maxima, sums and quotients are the lanes of vectors. In a
// row of 64 elements these cost half as much as the exponentials (`bench/peers/run`, 4096 x 64).

struct sixteen_rows {
    f32x16 max;
    f64x16 sum;
    struct exponents exponents;
};

// tempera_exponent_of for 16 maxima. False, and nothing done, if one of them is -inf, too large for
// an f32 row, or so far from 0 that it needs a shift.
static inline bool find_exponents(struct sixteen_rows *batch,
                                  const struct tempera_temperature_params *params)
{
    const double limit = 500 / params->L;
    f32x16 most = v_set(limit < 0x1p100 ? (float)limit : 0x1p100f);
    if (v_any(v_less(most, v_magnitude(batch->max))))
        return false;
    const f64x16 integer = v_set64(0x1.8p52);
    f64x16 m = v_widen(batch->max), distance = v_mul64(m, v_set64(params->L));
    f64x16 M = v_sub64(v_add64(distance, integer), integer);
    batch->exponents = (struct exponents){
        .shift = v_set(0),
        .lowest = v_narrow(v_sub64(m, v_set64(params->underflow_distance))),
        .L_high = v_set(params->L_high),
        .L_low = v_set(params->L_low),
        .magic = v_narrow(v_sub64(v_set64(0x1.8p23 + 51), M)),
    };
    return true;
}

ALWAYS_INLINE bool sum_sixteen(const struct tempera_rows *rows, size_t first,
                               const struct tempera_temperature_params *params, bool store,
                               struct sixteen_rows *batch)
{
    const float *z = rows->in + first * rows->in_stride;
    f32x16 maxima[16];
    f64x16 sums[16];
    m16 nan = v_none();
    for (size_t r = 0; r < 16; r++)
        maxima[r] = max_lanes_of(z + r * rows->in_stride, rows->n, &nan);
    batch->max = v_add(v_max_of_each(maxima), v_set(0)); // -0 becomes +0
    if (v_any(nan) || !find_exponents(batch, params))
        return false;
    float magic[16], lowest[16];
    v_store(magic, batch->exponents.magic);
    v_store(lowest, batch->exponents.lowest);
    for (size_t r = 0; r < 16; r++) {
        const struct tempera_exponent x = {0, lowest[r], params->L_high, params->L_low, magic[r]};
        float *e = store ? rows->out + (first + r) * rows->out_stride : NULL;
        sums[r] = exp_sum_of(z + r * rows->in_stride, rows->n, &x, e, v_zero64(),
                             prefetch_after(rows, first + r, 16));
    }
    batch->sum = v_sum64_of_each(sums);
    return true;
}

static bool softmax_sixteen(const struct tempera_rows *rows, size_t first,
                            const struct tempera_temperature_params *params)
{
    struct sixteen_rows batch;
    float high[16], low[16];
    if (!sum_sixteen(rows, first, params, true, &batch))
        return false;
    // tempera_split_inverse
    f64x16 inverse = v_div64(v_set64(1), batch.sum);
    f32x16 truncated = v_truncate(inverse);
    v_store(high, truncated);
    v_store(low, v_narrow(v_sub64(inverse, v_widen(truncated))));
    for (size_t r = 0; r < 16; r++) {
        float *p = rows->out + (first + r) * rows->out_stride;
        scale_loop(p, rows->n, high[r], low[r], p, false);
    }
    return true;
}

static bool log_softmax_sixteen(const struct tempera_rows *rows, size_t first,
                                const struct tempera_temperature_params *params)
{
    struct sixteen_rows batch;
    float max[16];
    double ln_S[16];
    if (!sum_sixteen(rows, first, params, false, &batch))
        return false;
    // tempera_ln_sum
    v_store(max, batch.max);
    v_store64(ln_S, v_div64(batch.sum, v_widen(exp16_each(batch.max, &batch.exponents, false))));
    for (size_t r = 0; r < 16; r++)
        ln_S[r] = tempera_log(ln_S[r]);
    for (size_t r = 0; r < 16; r++) {
        const float *z = rows->in + (first + r) * rows->in_stride;
        log_map_loop(z, rows->n, max[r], params, ln_S[r],
                     rows->out + (first + r) * rows->out_stride, false);
    }
    return true;
}

static bool sums_of_sixteen(const struct tempera_rows *rows, size_t first,
                            const struct tempera_temperature_params *params,
                            struct tempera_row_sum *sums)
{
    struct sixteen_rows batch;
    float max[16], e_max[16], magic[16], lowest[16];
    double sum[16];
    bool done = rows->out != NULL ? sum_sixteen(rows, first, params, true, &batch)
                                  : sum_sixteen(rows, first, params, false, &batch);
    if (!done)
        return false;
    v_store(max, batch.max);
    v_store(e_max, exp16_each(batch.max, &batch.exponents, false));
    v_store(magic, batch.exponents.magic);
    v_store(lowest, batch.exponents.lowest);
    v_store64(sum, batch.sum);
    for (size_t r = 0; r < 16; r++)
        sums[r] = (struct tempera_row_sum){max[r],
                                           (double)e_max[r],
                                           sum[r],
                                           {0, lowest[r], params->L_high, params->L_low, magic[r]}};
    return true;
}

// ------------------------------------------------------------------------------------------------
// Members of the table

static size_t softmax_rows(const struct tempera_rows *rows,
                           const struct tempera_temperature_params *params)
{
    if (uses_stream(rows))
        return softmax_rows_streamed(rows, params);
    size_t batch_rows = rows_per_batch(rows->n), done = 0;
    while (done < rows->n_rows) {
        struct tempera_row_sum sums[BATCH_ROWS];
        float high[BATCH_ROWS], low[BATCH_ROWS];
        size_t wanted = rows->n_rows - done < batch_rows ? rows->n_rows - done : batch_rows;
        if (wanted == 16 && softmax_sixteen(rows, done, params)) {
            done += 16;
            continue;
        }
        size_t count = sum_batch(rows, done, wanted, params, true, sums);
        for (size_t r = 0; r < count; r++)
            tempera_split_inverse(1, sums[r].sum, &high[r], &low[r]);
        for (size_t r = 0; r < count; r++) {
            float *p = rows->out + (done + r) * rows->out_stride;
            scale_loop(p, rows->n, high[r], low[r], p, false);
        }
        done += count;
        if (count < wanted)
            break;
    }
    return done;
}

static size_t log_softmax_rows(const struct tempera_rows *rows,
                               const struct tempera_temperature_params *params)
{
    size_t batch_rows = rows_per_batch(rows->n), done = 0;
    while (done < rows->n_rows) {
        struct tempera_row_sum sums[BATCH_ROWS];
        double ln_S[BATCH_ROWS];
        size_t wanted = rows->n_rows - done < batch_rows ? rows->n_rows - done : batch_rows;
        if (wanted == 16 && !rows->stream && log_softmax_sixteen(rows, done, params)) {
            done += 16;
            continue;
        }
        size_t count = sum_batch(rows, done, wanted, params, false, sums);
        for (size_t r = 0; r < count; r++)
            sums[r].e_max = exp_one(sums[r].max, &sums[r].exponent);
        for (size_t r = 0; r < count; r++)
            ln_S[r] = tempera_ln_sum(&sums[r]);
        for (size_t r = 0; r < count; r++) {
            const float *z = rows->in + (done + r) * rows->in_stride;
            float *out = rows->out + (done + r) * rows->out_stride;
            if (rows->stream)
                log_map_loop(z, rows->n, sums[r].max, params, ln_S[r], out, true);
            else
                log_map_loop(z, rows->n, sums[r].max, params, ln_S[r], out, false);
        }
        done += count;
        if (count < wanted)
            break;
    }
    if (rows->stream)
        v_stream_end();
    return done;
}

static size_t sum_rows(const struct tempera_rows *rows,
                       const struct tempera_temperature_params *params,
                       struct tempera_row_sum *sums)
{
    size_t batch_rows = rows_per_batch(rows->n), done = 0;
    while (done < rows->n_rows) {
        size_t wanted = rows->n_rows - done < batch_rows ? rows->n_rows - done : batch_rows;
        if (wanted == 16 && sums_of_sixteen(rows, done, params, sums + done)) {
            done += 16;
            continue;
        }
        size_t count = sum_batch(rows, done, wanted, params, rows->out != NULL, sums + done);
        for (size_t r = 0; r < count; r++)
            sums[done + r].e_max = exp_one(sums[done + r].max, &sums[done + r].exponent);
        done += count;
        if (count < wanted)
            break;
    }
    return done;
}

#endif
