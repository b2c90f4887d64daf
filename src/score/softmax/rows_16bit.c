// SPDX-License-Identifier: MIT
// A long row's exponentials (f32) do not fit its 16-bit result. Those that fit are kept between the
// sum and the quotients, the others are computed twice: 46 % of a row of 128256, or 94 % in place.
// Short rows are done in groups, phase by phase, as in kernels/whole_rows_tmpl.h.
#include "score/softmax/rows_16bit.h"

#include "base/size.h"
#include "kernels/scalars.h"

enum { PIECE = 2048, KEPT = 4 * PIECE };
enum { MOST_ROWS = 16, GROUP_ELEMENTS = 2048 };

static size_t rows_per_group(size_t n)
{
    return n >= GROUP_ELEMENTS ? 1 : tempera_min(GROUP_ELEMENTS / n, MOST_ROWS);
}

static const uint16_t *row_in(const struct tempera_rows_16bit *rows, size_t r)
{
    return rows->in + r * rows->in_stride;
}

static uint16_t *row_out(const struct tempera_rows_16bit *rows, size_t r)
{
    return rows->out + r * rows->out_stride;
}

// ------------------------------------------------------------------------------------------------
// Where exponentials are kept

// The last ones of a row lie in a buffer; some before them where its result goes, which is filled
// from the beginning on and needs half as much.
struct buffers {
    float *early; // + at, for pieces at in [PIECE, early_end)
    size_t early_end;
    float *late; // + at - late_start
    size_t late_start;
};

static struct buffers buffers_of(const struct tempera_rows_16bit *rows, size_t r, float *late)
{
    uint16_t *out = row_out(rows, r);
    size_t n = rows->n, shift = (uintptr_t)out % sizeof(float) / sizeof *out;
    bool is_apart = rows->out != rows->in && n > KEPT;
    return (struct buffers){
        .early = (float *)(void *)(out + shift),
        .early_end = is_apart ? (n - shift) / 2 / PIECE * PIECE : 0,
        .late = late,
        .late_start = n > KEPT ? tempera_round_up(n - KEPT, PIECE) : 0,
    };
}

// NULL: nowhere. The first piece can't lie where its own result goes.
static float *buffer_at(const struct buffers *buffers, size_t at)
{
    if (at >= buffers->late_start)
        return buffers->late + (at - buffers->late_start);
    return at >= PIECE && at < buffers->early_end ? buffers->early + at : NULL;
}

// ------------------------------------------------------------------------------------------------
// Sums

// Maxima and exponents of up to `count` rows from `first` on; ends before one that isn't an f32
// row.
static size_t find_exponents(const struct tempera_rows_16bit *rows, size_t first, size_t count,
                             struct tempera_row_sum *sums)
{
    for (size_t r = 0; r < count; r++) {
        bool has_nan;
        sums[r].max = rows->kernels->pieces_16bit.max(row_in(rows, first + r), rows->n, rows->dtype,
                                                      &has_nan);
        if (has_nan || !tempera_max_fits_f32(sums[r].max))
            count = r;
    }
    for (size_t r = 0; r < count; r++)
        sums[r].exponent = tempera_exponent_of(sums[r].max, rows->params);
    return count;
}

// buffers: NULL, or where the exponentials go that are kept.
static double sum_of(const struct tempera_rows_16bit *rows, size_t r,
                     const struct tempera_exponent *x, const struct buffers *buffers)
{
    float unused[PIECE];
    double lanes[16] = {0}, sum = 0;
    size_t n = rows->n, block = tempera_row_block(n);
    for (size_t at = 0; at < n; at += PIECE) {
        float *e = buffers != NULL ? buffer_at(buffers, at) : NULL;
        size_t end = at + tempera_min(rows->n - at, PIECE);
        rows->kernels->pieces_16bit.exp_sum(row_in(rows, r) + at, end - at, rows->dtype, x,
                                            e != NULL ? e : unused, lanes);
        if (end % block == 0 || end == n) {
            sum += tempera_sum_lanes(lanes);
            memset(lanes, 0, sizeof lanes);
        }
    }
    return sum;
}

// ------------------------------------------------------------------------------------------------
// Softmax

static void write_quotients(const struct tempera_rows_16bit *rows, size_t r,
                            const struct tempera_exponent *x, const struct buffers *buffers,
                            float high, float low)
{
    const struct tempera_kernels *k = rows->kernels;
    for (size_t at = 0; at < rows->n; at += PIECE) {
        const float *e = buffer_at(buffers, at);
        size_t n = tempera_min(rows->n - at, PIECE);
        uint16_t *out = row_out(rows, r) + at;
        if (e != NULL)
            k->pieces_16bit.scale(e, n, rows->dtype, high, low, out);
        else
            k->pieces_16bit.softmax(row_in(rows, r) + at, n, rows->dtype, x, high, low, out);
    }
}

size_t tempera_softmax_rows_16bit(const struct tempera_rows_16bit *rows)
{
    float late[KEPT];
    size_t step = rows_per_group(rows->n), kept_stride = tempera_round_up(rows->n, 64), done = 0;
    while (done < rows->n_rows) {
        struct tempera_row_sum sums[MOST_ROWS];
        struct buffers buffers[MOST_ROWS];
        float high[MOST_ROWS], low[MOST_ROWS];
        size_t wanted = tempera_min(rows->n_rows - done, step);
        size_t count = find_exponents(rows, done, wanted, sums);
        for (size_t r = 0; r < count; r++) {
            buffers[r] = buffers_of(rows, done + r, late + r * kept_stride);
            sums[r].sum = sum_of(rows, done + r, &sums[r].exponent, &buffers[r]);
        }
        for (size_t r = 0; r < count; r++)
            tempera_split_inverse(1, sums[r].sum, &high[r], &low[r]);
        for (size_t r = 0; r < count; r++)
            write_quotients(rows, done + r, &sums[r].exponent, &buffers[r], high[r], low[r]);
        done += count;
        if (count < wanted)
            break;
    }
    return done;
}

// ------------------------------------------------------------------------------------------------
// Log-softmax

size_t tempera_log_softmax_rows_16bit(const struct tempera_rows_16bit *rows)
{
    size_t step = rows_per_group(rows->n), done = 0;
    while (done < rows->n_rows) {
        struct tempera_row_sum sums[MOST_ROWS];
        double ln_S[MOST_ROWS];
        size_t wanted = tempera_min(rows->n_rows - done, step);
        size_t count = find_exponents(rows, done, wanted, sums);
        for (size_t r = 0; r < count; r++) {
            sums[r].sum = sum_of(rows, done + r, &sums[r].exponent, NULL);
            sums[r].e_max = rows->kernels->pieces.exp_one(sums[r].max, &sums[r].exponent);
        }
        for (size_t r = 0; r < count; r++)
            ln_S[r] = tempera_ln_sum(&sums[r]);
        for (size_t r = 0; r < count; r++)
            rows->kernels->pieces_16bit.log_map(row_in(rows, done + r), rows->n, rows->dtype,
                                                sums[r].max, rows->params, ln_S[r],
                                                row_out(rows, done + r));
        done += count;
        if (count < wanted)
            break;
    }
    return done;
}
