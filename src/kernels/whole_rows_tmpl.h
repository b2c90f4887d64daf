// SPDX-License-Identifier: MIT
// Whole rows. Short rows are worked on in groups, phase by phase: all maxima, all sums, all
// quotients. Within a phase rows don't wait for one another, which for rows of 64 elements is most
// of the time.
#ifndef TEMPERA_KERNELS_WHOLE_ROWS_TMPL_H
#define TEMPERA_KERNELS_WHOLE_ROWS_TMPL_H

enum { MOST_ROWS = 16, GROUP_ELEMENTS = 2048 };
enum { STREAM_LEAST = 512, STREAM_MOST = 4096 };

static inline size_t rows_per_group(size_t n)
{
    size_t rows = n >= GROUP_ELEMENTS ? 1 : GROUP_ELEMENTS / n;
    return rows < MOST_ROWS ? rows : MOST_ROWS;
}

static inline double row_sum(const float *z, size_t n, const struct tempera_exponent *x, float *e,
                             struct upcoming upcoming)
{
    size_t block = tempera_row_block(n);
    double sum = 0;
    for (size_t at = 0; at < n; at += block) {
        sum += v_sum64(exp_sum_of(z + at, n - at < block ? n - at : block, x,
                                  e == NULL ? NULL : e + at, v_zero64(), upcoming));
        if (upcoming.next != NULL)
            upcoming.next = (const float *)upcoming.next + block;
    }
    return sum;
}

// The row of the next group that is fetched while row r of a group of `count` is worked on.
static inline struct upcoming after_row(const struct tempera_rows *rows, size_t r, size_t count)
{
    bool exists = r + count < rows->n_rows;
    const float *next = exists ? rows->in + (r + count) * rows->in_stride : NULL;
    return (struct upcoming){next, sizeof *next};
}

// Maxima and sums of up to `count` rows from `first` on; ends before one that isn't ordinary.
static inline size_t sum_group(const struct tempera_rows *rows, size_t first, size_t count,
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
        struct upcoming upcoming = after_row(rows, first + r, count);
        if (store)
            sums[r].sum = row_sum(z, rows->n, &sums[r].exponent,
                                  rows->out + (first + r) * rows->out_stride, upcoming);
        else
            sums[r].sum = row_sum(z, rows->n, &sums[r].exponent, NULL, upcoming);
    }
    return count;
}

// A row whose result goes past the caches keeps its exponentials here, so that each line of memory
// is written once and never read: 0.72 of the time for 4096 x 4096.
static inline bool softmax_streams(const struct tempera_rows *rows)
{
    return rows->stream && rows->n >= STREAM_LEAST && rows->n <= STREAM_MOST;
}

static size_t softmax_rows_past_caches(const struct tempera_rows *rows,
                                       const struct tempera_temperature_params *params)
{
    float e[STREAM_MOST] __attribute__((aligned(64)));
    size_t r = 0;
    for (; r < rows->n_rows; r++) {
        bool has_nan;
        const float *z = rows->in + r * rows->in_stride;
        float max = max_of(z, rows->n, &has_nan), high, low;
        if (has_nan || !tempera_max_fits_f32(max))
            break;
        struct tempera_exponent x = tempera_exponent_of(max, params);
        double sum = row_sum(z, rows->n, &x, e, after_row(rows, r, 1));
        tempera_split_inverse(1, sum, &high, &low);
        scale_by(e, rows->n, high, low, rows->out + r * rows->out_stride, true);
    }
    v_stream_end();
    return r;
}

// ------------------------------------------------------------------------------------------------
// Sixteen short rows at once: their maxima, sums and quotients are the lanes of vectors, since in a
// row of 64 elements they cost as much as half of the exponentials. `4096 x 64` of
// bench/peers/run shows it.

struct sixteen {
    f32x16 max;
    f64x16 sum;
    struct exponents exponents;
};

// False, and nothing done: a row isn't ordinary, or its maximum so far from 0 that its exponent is
// taken in another way.
static inline bool find_exponents(struct sixteen *group,
                                  const struct tempera_temperature_params *params)
{
    const double nearness = 500 / params->L;
    f32x16 far = v_set(nearness < 0x1p100 ? (float)nearness : 0x1p100f);
    if (v_any(v_less(far, v_magnitude(group->max))))
        return false;
    // As tempera_exponent_of
    const f64x16 integer = v_set64(0x1.8p52);
    f64x16 m = v_widen(group->max), distance = v_mul64(m, v_set64(params->L));
    f64x16 M = v_sub64(v_add64(distance, integer), integer);
    group->exponents = (struct exponents){
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
                               struct sixteen *group)
{
    const float *z = rows->in + first * rows->in_stride;
    f32x16 maxima[16];
    f64x16 sums[16];
    m16 nan = v_none();
    for (size_t r = 0; r < 16; r++)
        maxima[r] = max_lanes_of(z + r * rows->in_stride, rows->n, &nan);
    group->max = v_add(v_max_of_each(maxima), v_set(0)); // -0 becomes +0
    if (v_any(nan) || !find_exponents(group, params))
        return false;
    float magic[16], lowest[16];
    v_store(magic, group->exponents.magic);
    v_store(lowest, group->exponents.lowest);
    for (size_t r = 0; r < 16; r++) {
        const struct tempera_exponent x = {0, lowest[r], params->L_high, params->L_low, magic[r]};
        float *e = store ? rows->out + (first + r) * rows->out_stride : NULL;
        sums[r] = exp_sum_of(z + r * rows->in_stride, rows->n, &x, e, v_zero64(),
                             after_row(rows, first + r, 16));
    }
    group->sum = v_sum64_of_each(sums);
    return true;
}

static bool softmax_sixteen(const struct tempera_rows *rows, size_t first,
                            const struct tempera_temperature_params *params)
{
    struct sixteen group;
    float high[16], low[16];
    if (!sum_sixteen(rows, first, params, true, &group))
        return false;
    // As tempera_split_inverse
    f64x16 inverse = v_div64(v_set64(1), group.sum);
    f32x16 truncated = v_truncate(inverse);
    v_store(high, truncated);
    v_store(low, v_narrow(v_sub64(inverse, v_widen(truncated))));
    for (size_t r = 0; r < 16; r++) {
        float *p = rows->out + (first + r) * rows->out_stride;
        scale_by(p, rows->n, high[r], low[r], p, false);
    }
    return true;
}

static bool log_softmax_sixteen(const struct tempera_rows *rows, size_t first,
                                const struct tempera_temperature_params *params)
{
    struct sixteen group;
    float max[16];
    double ln_S[16];
    if (!sum_sixteen(rows, first, params, false, &group))
        return false;
    // As tempera_ln_sum
    v_store(max, group.max);
    v_store64(ln_S, v_div64(group.sum, v_widen(exp16_by(group.max, &group.exponents, false))));
    for (size_t r = 0; r < 16; r++)
        ln_S[r] = tempera_log(ln_S[r]);
    for (size_t r = 0; r < 16; r++) {
        const float *z = rows->in + (first + r) * rows->in_stride;
        log_map_of(z, rows->n, max[r], params, ln_S[r], rows->out + (first + r) * rows->out_stride,
                   false);
    }
    return true;
}

static bool sums_of_sixteen(const struct tempera_rows *rows, size_t first,
                            const struct tempera_temperature_params *params,
                            struct tempera_row_sum *sums)
{
    struct sixteen group;
    float max[16], e_max[16], magic[16], lowest[16];
    double sum[16];
    bool done = rows->out != NULL ? sum_sixteen(rows, first, params, true, &group)
                                  : sum_sixteen(rows, first, params, false, &group);
    if (!done)
        return false;
    v_store(max, group.max);
    v_store(e_max, exp16_by(group.max, &group.exponents, false));
    v_store(magic, group.exponents.magic);
    v_store(lowest, group.exponents.lowest);
    v_store64(sum, group.sum);
    for (size_t r = 0; r < 16; r++)
        sums[r] = (struct tempera_row_sum){max[r],
                                           (double)e_max[r],
                                           sum[r],
                                           {0, lowest[r], params->L_high, params->L_low, magic[r]}};
    return true;
}

// ------------------------------------------------------------------------------------------------
// As the table has them

static size_t softmax_rows(const struct tempera_rows *rows,
                           const struct tempera_temperature_params *params)
{
    if (softmax_streams(rows))
        return softmax_rows_past_caches(rows, params);
    size_t step = rows_per_group(rows->n), done = 0;
    while (done < rows->n_rows) {
        struct tempera_row_sum sums[MOST_ROWS];
        float high[MOST_ROWS], low[MOST_ROWS];
        size_t wanted = rows->n_rows - done < step ? rows->n_rows - done : step;
        if (wanted == 16 && softmax_sixteen(rows, done, params)) {
            done += 16;
            continue;
        }
        size_t count = sum_group(rows, done, wanted, params, true, sums);
        for (size_t r = 0; r < count; r++)
            tempera_split_inverse(1, sums[r].sum, &high[r], &low[r]);
        for (size_t r = 0; r < count; r++) {
            float *p = rows->out + (done + r) * rows->out_stride;
            scale_by(p, rows->n, high[r], low[r], p, false);
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
    size_t step = rows_per_group(rows->n), done = 0;
    while (done < rows->n_rows) {
        struct tempera_row_sum sums[MOST_ROWS];
        double ln_S[MOST_ROWS];
        size_t wanted = rows->n_rows - done < step ? rows->n_rows - done : step;
        if (wanted == 16 && !rows->stream && log_softmax_sixteen(rows, done, params)) {
            done += 16;
            continue;
        }
        size_t count = sum_group(rows, done, wanted, params, false, sums);
        for (size_t r = 0; r < count; r++)
            sums[r].e_max = exp_one(sums[r].max, &sums[r].exponent);
        for (size_t r = 0; r < count; r++)
            ln_S[r] = tempera_ln_sum(&sums[r]);
        for (size_t r = 0; r < count; r++) {
            const float *z = rows->in + (done + r) * rows->in_stride;
            float *out = rows->out + (done + r) * rows->out_stride;
            if (rows->stream)
                log_map_of(z, rows->n, sums[r].max, params, ln_S[r], out, true);
            else
                log_map_of(z, rows->n, sums[r].max, params, ln_S[r], out, false);
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
    size_t step = rows_per_group(rows->n), done = 0;
    while (done < rows->n_rows) {
        size_t wanted = rows->n_rows - done < step ? rows->n_rows - done : step;
        if (wanted == 16 && sums_of_sixteen(rows, done, params, sums + done)) {
            done += 16;
            continue;
        }
        size_t count = sum_group(rows, done, wanted, params, rows->out != NULL, sums + done);
        for (size_t r = 0; r < count; r++)
            sums[done + r].e_max = exp_one(sums[done + r].max, &sums[done + r].exponent);
        done += count;
        if (count < wanted)
            break;
    }
    return done;
}

#endif
