// SPDX-License-Identifier: MIT
// One row of a cross-entropy. Three sweeps: the maximum; the exponentials' sum, with the targets'
// sums beside it; the gradient. An f32 gradient holds the exponentials in between, or, with a
// softcap, the scores; one of 16 bits can't, and they are taken again, without copies in f32 where
// only the logits count.
#include "score/loss/cross_entropy.h"

#include <math.h>

#include "base/exp.h"
#include "kernels/scalars.h"
#include "base/matrix.h"

enum {
    PIECE = TEMPERA_LOSS_PIECE,
    LONG_ROW = 16384, // elements: the next row is fetched while this one is worked on
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

// ------------------------------------------------------------------------------------------------
// The logits as they came

// Logits [at, at + n), where they lie or in buffer.
static const float *logits_at(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                              size_t at, size_t n, float *buffer)
{
    const struct tempera_prepare how = {.dtype = loss->dtype, .scale = 1};
    if (loss->dtype == TEMPERA_F32)
        return (const float *)row->logits + at;
    loss->kernels->convert.prepare(&how, row->logits, at, n, buffer);
    return buffer;
}

static float max_until(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                       size_t end, bool *has_nan)
{
    return loss->dtype == TEMPERA_F32
               ? loss->kernels->pieces.max(row->logits, end, has_nan)
               : loss->kernels->pieces_16bit.max(row->logits, end, loss->dtype, has_nan);
}

// Of equal logits the first is the argmax.
static bool is_argmax(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                      float max)
{
    float y;
    bool has_nan;
    y = *logits_at(loss, row, row->y, 1, &y);
    return y == max && max > -INFINITY &&
           (row->y == 0 || max_until(loss, row, row->y, &has_nan) < max);
}

// ------------------------------------------------------------------------------------------------
// Ordinary rows

// What the row of the gradient holds between the sweeps.
enum held { NOTHING, EXPONENTIALS, SCORES };

struct ordinary {
    enum held held;
    struct tempera_row_sum row; // with S as the exponentials have it
    float s_y, e_y;             // of the class: its score, and that one's exponential
};

static enum held held_by(const struct tempera_loss *loss, const struct tempera_loss_row *row)
{
    if (row->d_logits == NULL || loss->d_dtype != TEMPERA_F32)
        return NOTHING;
    return loss->options.softcap != 0 ? SCORES : EXPONENTIALS;
}

static struct ordinary begin_ordinary(const struct tempera_loss *loss,
                                      const struct tempera_loss_row *row, float max)
{
    struct ordinary o = {.held = held_by(loss, row), .row.max = max};
    float s[2] = {max, 0}, e[2];
    double unused[16] = {0};
    o.row.exponent = tempera_exponent_of(max, &loss->params);
    if (row->probs == NULL)
        s[1] = *tempera_loss_scores(loss, row, max, row->y, 1, &s[1]);
    loss->kernels->pieces.exp_sum(s, 2, &o.row.exponent, e, unused);
    o.s_y = s[1];
    o.row.e_max = (double)e[0];
    o.e_y = e[1];
    return o;
}

// Logits of 16 bits that the kernels read where they lie.
static bool is_half(const struct tempera_loss *loss, const struct tempera_loss_row *row)
{
    return loss->dtype != TEMPERA_F32 && loss->options.softcap == 0 &&
           !tempera_loss_needs_sums(loss, row) && !loss->wants_entropy;
}

// Sums over a row, lane by lane.
struct lanes {
    double sum[16], mass[16], scores[16], entropy[16];
};

static void sweep_piece(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                        const struct ordinary *o, size_t at, size_t n, struct lanes *lanes)
{
    const struct tempera_kernels *k = loss->kernels;
    float score_buffer[PIECE], probs_buffer[PIECE];
    float *held = o->held == NOTHING ? NULL : (float *)row->d_logits + at;
    if (held == NULL && is_half(loss, row)) {
        k->pieces_16bit.exp_sum((const uint16_t *)row->logits + at, n, loss->dtype,
                                &o->row.exponent, score_buffer, lanes->sum);
        return;
    }
    const float *s =
        tempera_loss_scores(loss, row, o->row.max, at, n, o->held == SCORES ? held : score_buffer);
    if (row->probs != NULL) {
        struct tempera_target_mass mass = tempera_loss_mass(loss, row, at, n, probs_buffer);
        k->loss.target_sums(&mass, s, n, lanes->mass, lanes->scores);
    } else if (loss->options.label_smoothing != 0) {
        const float *weights = loss->options.class_weights;
        k->loss.distance_sum(weights != NULL ? weights + at : NULL, s, n, o->row.max,
                             lanes->scores);
    }
    if (loss->wants_entropy)
        k->loss.entropy_sum(s, n, o->row.max, &loss->params, &o->row.exponent, lanes->entropy);
    float *e = o->held == EXPONENTIALS ? held : NULL;
    if (row->next != NULL && loss->cols >= LONG_ROW) {
        size_t nbytes = tempera_dtype_nbytes(loss->dtype);
        const void *next = (const char *)row->next + at * nbytes;
        k->pieces.exp_sum_prefetch(s, n, &o->row.exponent, e, next, nbytes, lanes->sum);
    } else {
        k->pieces.exp_sum(s, n, &o->row.exponent, e, lanes->sum);
    }
}

// The exponentials' lanes are added block by block, as the kernels add those of a whole row.
static void sum_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                    struct ordinary *o, struct lanes *lanes)
{
    size_t block = tempera_row_block(loss->cols);
    for (size_t start = 0; start < loss->cols; start += block) {
        size_t end = start + smaller(loss->cols - start, block);
        for (size_t i = 0; i < 16; i++)
            lanes->sum[i] = 0;
        for (size_t at = start; at < end; at += PIECE)
            sweep_piece(loss, row, o, at, smaller(end - at, PIECE), lanes);
        o->row.sum += tempera_sum_lanes(lanes->sum);
    }
}

// lanes: filled as far as the row needs them.
static struct tempera_loss_sweep finish_sweep(const struct tempera_loss *loss,
                                              const struct tempera_loss_row *row,
                                              const struct ordinary *o, struct lanes *lanes)
{
    struct tempera_loss_sweep sweep = {.entropy = 0};
    double m = (double)o->row.max, T = loss->params.T;
    sweep.ln_S = tempera_ln_sum(&o->row);
    sweep.logsumexp = m / T + sweep.ln_S;
    if (row->probs == NULL) {
        sweep.class_loss = sweep.ln_S - ((double)o->s_y - m) / T;
        sweep.p_y = o->s_y == -INFINITY ? 0 : (double)o->e_y / o->row.sum;
        sweep.is_masked = o->s_y == -INFINITY && tempera_loss_class_mass(loss, row->y) != 0;
    }
    if (loss->wants_entropy)
        sweep.entropy = sweep.ln_S - tempera_sum_lanes(lanes->entropy) / o->row.sum / T;
    double mass = loss->class_weights_sum, scores = 0;
    if (tempera_loss_needs_sums(loss, row))
        scores = tempera_sum_lanes(lanes->scores);
    if (row->probs != NULL) {
        mass = tempera_sum_lanes(lanes->mass);
        scores -= mass * m;
    }
    sweep.has_nan = mass - mass != 0; // infinite masses, too
    sweep.is_masked |= !sweep.has_nan && scores - scores != 0;
    tempera_loss_add_up(loss, row, mass, scores / T, &sweep);
    return sweep;
}

static struct tempera_loss_sweep sweep_row(const struct tempera_loss *loss,
                                           const struct tempera_loss_row *row, struct ordinary *o)
{
    struct lanes lanes;
    if (tempera_loss_needs_sums(loss, row) || loss->wants_entropy)
        lanes = (struct lanes){.mass = {0}};
    sum_row(loss, row, o, &lanes);
    return finish_sweep(loss, row, o, &lanes);
}

// Whether f32 holds the targets' part of the gradient. Up to a scale of 1 it does, as it held the
// masses; beyond, the largest of them decides.
static bool holds_targets(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                          const struct tempera_loss_slopes *slopes)
{
    float buffer[PIECE], largest = 0;
    if (!tempera_loss_needs_sums(loss, row) || fabs(slopes->scale) <= 1)
        return true;
    for (size_t at = 0; row->probs != NULL && at < loss->cols; at += PIECE) {
        size_t n = smaller(loss->cols - at, PIECE);
        struct tempera_target_mass piece = tempera_loss_mass(loss, row, at, n, buffer);
        float magnitude = tempera_largest_magnitude(piece.probs, n);
        largest = magnitude > largest ? magnitude : largest;
    }
    double most = fabs(slopes->floor) + fabs(slopes->share) * (double)largest;
    return most * loss->largest_class_weight <= 0x1p120;
}

// Whether the kernels' map can do a row: no factor leaves what f32 holds well, and nothing on the
// way is infinite, which would make a NaN where it meets a 0.
static bool is_held_by_f32(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                           const struct ordinary *o, const struct tempera_loss_slopes *slopes)
{
    return tempera_loss_is_held_by_f32(slopes->factor / o->row.sum) &&
           tempera_loss_is_held_by_f32(slopes->share) &&
           tempera_loss_is_held_by_f32(slopes->floor) &&
           tempera_loss_is_held_by_f32((double)loss->options.softcap) &&
           holds_targets(loss, row, slopes);
}

// A gradient in double where f32 doesn't hold it.
static void map_in_double(const struct tempera_loss *loss, const struct ordinary *o,
                          const struct tempera_target_mass *piece,
                          const struct tempera_loss_slopes *slopes, float nothing, const float *e,
                          const float *s, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        double p = e[i] > nothing ? (double)e[i] / o->row.sum : 0;
        double g = slopes->factor * p - tempera_loss_target_slope(piece, slopes, i);
        out[i] = (float)(g * tempera_loss_cap_slope(loss, (double)s[i]));
    }
}

// map: NULL where the row is done in double.
static void map_piece(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                      const struct ordinary *o, const struct tempera_loss_slopes *slopes,
                      struct tempera_loss_map *map, float nothing, size_t at, size_t n)
{
    float s_buffer[PIECE], e_buffer[PIECE], probs_buffer[PIECE];
    double unused[16] = {0};
    float *held = o->held == NOTHING ? NULL : (float *)row->d_logits + at;
    const float *s = held, *e = held;
    if (o->held == NOTHING)
        s = tempera_loss_scores(loss, row, o->row.max, at, n, s_buffer);
    if (o->held != EXPONENTIALS) {
        loss->kernels->pieces.exp_sum(s, n, &o->row.exponent, e_buffer, unused);
        e = e_buffer;
    }
    struct tempera_target_mass piece = tempera_loss_mass(loss, row, at, n, probs_buffer);
    float *out = held != NULL ? held : e_buffer;
    if (map != NULL) {
        map->target = (struct tempera_target_mass){piece.weights, piece.probs, (float)slopes->share,
                                                   (float)slopes->floor};
        loss->kernels->loss.gradient(map, e, s, n, out);
    } else {
        map_in_double(loss, o, &piece, slopes, nothing, e, s, n, out);
    }
    tempera_loss_store(loss, row, at, n, out);
}

static void map_pieces(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                       const struct ordinary *o, const struct tempera_loss_slopes *slopes,
                       struct tempera_loss_map *map)
{
    float nothing = (float)loss->kernels->pieces.exp_one(-INFINITY, &o->row.exponent);
    if (map != NULL)
        map->e_masked = nothing;
    for (size_t at = 0; at < loss->cols; at += PIECE)
        map_piece(loss, row, o, slopes, map, nothing, at, smaller(loss->cols - at, PIECE));
}

static void map_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                    const struct ordinary *o, const struct tempera_loss_slopes *slopes)
{
    struct tempera_loss_map map = {.softcap = loss->options.softcap};
    double at_y = slopes->at_y * tempera_loss_cap_slope(loss, (double)o->s_y);
    bool in_double = !is_held_by_f32(loss, row, o, slopes);
    // In `scale`, what a masked score has is below 2^-152 of the factor: 0 up to a factor of 4.
    bool is_plain = !in_double && !tempera_loss_needs_sums(loss, row) && fabs(slopes->factor) <= 4;
    if (!in_double)
        tempera_split_inverse(slopes->factor, o->row.sum, &map.high, &map.low);
    if (is_plain && o->held == EXPONENTIALS)
        loss->kernels->pieces.scale(row->d_logits, loss->cols, map.high, map.low, row->d_logits);
    else if (is_plain && is_half(loss, row) && loss->d_dtype == loss->dtype)
        loss->kernels->pieces_16bit.softmax(row->logits, loss->cols, loss->dtype, &o->row.exponent,
                                            map.high, map.low, row->d_logits);
    else
        map_pieces(loss, row, o, slopes, in_double ? NULL : &map);
    if (row->probs == NULL) {
        const float value = (float)at_y;
        tempera_loss_store(loss, row, row->y, 1, &value);
    }
}

static void set_nan(struct tempera_loss_result *result)
{
    *result = (struct tempera_loss_result){TEMPERA_NAN_INPUT, NAN, NAN, NAN, NAN, false};
}

static void finish_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                       const struct ordinary *o, const struct tempera_loss_sweep *sweep,
                       struct tempera_loss_result *result)
{
    struct tempera_loss_slopes slopes;
    if (sweep->has_nan) {
        set_nan(result);
        return;
    }
    tempera_loss_of_row(loss, row, sweep, &slopes, result);
    if (row->d_logits != NULL && result->status == TEMPERA_OK)
        map_row(loss, row, o, &slopes);
}

static void ordinary_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                         float max, struct tempera_loss_result *result)
{
    struct ordinary o = begin_ordinary(loss, row, max);
    struct tempera_loss_sweep sweep = sweep_row(loss, row, &o);
    finish_row(loss, row, &o, &sweep, result);
}

// A short row of which only exponentials are needed: the kernels find its maximum and their sum at
// once, which for rows of 64 is half the time. False: it isn't ordinary.
static bool do_short_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                         struct tempera_loss_result *result)
{
    struct ordinary o = {.held = held_by(loss, row)};
    const struct tempera_rows rows = {
        .in = row->logits, .out = row->d_logits, .n_rows = 1, .n = loss->cols};
    o.s_y = ((const float *)row->logits)[row->y];
    if (!loss->params.fits_f32 || loss->kernels->rows.sum(&rows, &loss->params, &o.row) == 0)
        return false;
    if (row->d_logits != NULL)
        o.e_y = ((const float *)row->d_logits)[row->y];
    struct tempera_loss_sweep sweep = finish_sweep(loss, row, &o, NULL);
    finish_row(loss, row, &o, &sweep, result);
    return true;
}

static bool is_short(const struct tempera_loss *loss, const struct tempera_loss_row *row)
{
    return loss->cols <= PIECE && loss->dtype == TEMPERA_F32 &&
           (row->d_logits == NULL || held_by(loss, row) == EXPONENTIALS) &&
           loss->options.softcap == 0 && !tempera_loss_needs_sums(loss, row) &&
           !loss->wants_entropy && !loss->wants_correct;
}

// ------------------------------------------------------------------------------------------------

static float softcap_of(const struct tempera_loss *loss, float x)
{
    const struct tempera_prepare how = {
        .dtype = TEMPERA_F32, .scale = 1, .softcap = loss->options.softcap};
    loss->kernels->convert.prepare(&how, &x, 0, 1, &x);
    return x;
}

static void do_any_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                       struct tempera_loss_result *result)
{
    bool has_nan;
    float max = max_until(loss, row, loss->cols, &has_nan);
    if (has_nan) {
        set_nan(result);
        return;
    }
    bool is_correct = loss->wants_correct && is_argmax(loss, row, max);
    if (loss->options.softcap != 0)
        max = softcap_of(loss, max);
    if (loss->params.fits_f32 && tempera_max_fits_f32(max))
        ordinary_row(loss, row, max, result);
    else
        tempera_loss_row_f64(loss, row, max, result);
    result->is_correct = is_correct;
}

void tempera_loss_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                      struct tempera_loss_result *result)
{
    if (!is_short(loss, row) || !do_short_row(loss, row, result))
        do_any_row(loss, row, result);
    if (result->status != TEMPERA_OK && row->d_logits != NULL)
        tempera_row_fill(row->d_logits, loss->d_dtype, loss->cols,
                         result->status == TEMPERA_NAN_INPUT);
}
