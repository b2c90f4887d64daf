// SPDX-License-Identifier: MIT
// Three sweeps: the maximum; the exponentials' sum, with the targets' sums beside it; the gradient.
// path_of says how the last two are done, as far as types, sizes and options decide; the rest is up
// to the row's values (do_pieces, gradient_path_of).
#include "score/loss/cross_entropy_row.h"

#include <math.h>

#include "base/exp.h"
#include "base/matrix.h"
#include "base/size.h"
#include "kernels/scalars.h"
#include "score/loss/cross_entropy_row_f64.h"
#include "score/loss/cross_entropy_terms.h"

enum {
    PIECE = TEMPERA_LOSS_PIECE,
    LONG_ROW = 16384, // elements: the next row is fetched while this one is worked on
};

// ------------------------------------------------------------------------------------------------
// Paths

// How the sum is found. "Extras": a softcap, smoothing or soft targets, row_entropy. The other
// options (temperature, class weights, focal, z-loss, ignored rows, reduction) go with every path:
// they change a row's few numbers only. "argmax": row_correct.
//
// path   | logits  | gradient        | columns     | extras | argmax
// WHOLE  | f32     | f32, or none    | to PIECE    | no     | no
// 16BIT  | 16 bits | 16 bits or none | any         | no     | yes
// PIECES | any     | any             | any         | yes    | yes
// F64    | any     | any             | any         | yes    | yes
//
// Each leaves a row whose scores or temperature f32 can't hold to F64, cross_entropy_row_f64.c.
enum sum_path {
    SUM_WHOLE,  // maximum and sum at once, by the kernels: half the time for rows of 64
    SUM_16BIT,  // pieces of 16 bits where they lie
    SUM_PIECES, // pieces of f32 where they lie, or of copies
};

// What the gradient's row holds between the sum and the gradient. One of 16 bits can hold nothing:
// exponentials are computed again.
enum held { NOTHING, EXPONENTIALS, SCORES };

// How the gradient follows. The first two handle neither softcap, smoothing, soft targets nor a
// factor above 4; PIECES_F64 handles factors and targets that f32 doesn't hold well.
enum gradient_path {
    GRADIENT_SCALED,     // held exponentials, one multiplication each
    GRADIENT_16BIT,      // 16 bits to the same type, where they lie
    GRADIENT_PIECES,     // the kernels' loss.gradient
    GRADIENT_PIECES_F64, // in double
};

struct path {
    enum sum_path sum;
    enum held held;
};

static struct path path_of(const struct tempera_loss *loss, const struct tempera_loss_row *row)
{
    bool has_gradient = row->d_logits != NULL, has_softcap = loss->options.softcap != 0;
    bool has_extras = has_softcap || tempera_loss_needs_sums(loss, row) || loss->wants_entropy;
    struct path path = {SUM_PIECES, NOTHING};
    if (has_gradient && loss->d_dtype == TEMPERA_F32)
        path.held = has_softcap ? SCORES : EXPONENTIALS;
    bool is_in_place = !has_gradient || path.held == EXPONENTIALS;
    if (loss->dtype == TEMPERA_F32 && is_in_place && loss->cols <= PIECE && !has_extras &&
        !loss->wants_correct)
        path.sum = SUM_WHOLE;
    else if (loss->dtype != TEMPERA_F32 && path.held == NOTHING && !has_extras)
        path.sum = SUM_16BIT;
    return path;
}

// ------------------------------------------------------------------------------------------------
// The logits as given

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
// The sum

struct f32_row {
    struct path path;
    struct tempera_row_sum row; // with S as the exponentials have it
    float s_y, e_y;             // of the class: its score, and that one's exponential
};

static struct f32_row begin_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                                struct path path, float max)
{
    struct f32_row o = {.path = path, .row.max = max};
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

// Sums over a row, lane by lane.
struct lanes {
    double sum[16], mass[16], scores[16], entropy[16];
};

static void sweep_piece(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                        const struct f32_row *o, size_t at, size_t n, struct lanes *lanes)
{
    const struct tempera_kernels *k = loss->kernels;
    float score_buffer[PIECE], probs_buffer[PIECE];
    float *held = o->path.held == NOTHING ? NULL : (float *)row->d_logits + at;
    if (o->path.sum == SUM_16BIT) {
        k->pieces_16bit.exp_sum((const uint16_t *)row->logits + at, n, loss->dtype,
                                &o->row.exponent, score_buffer, lanes->sum);
        return;
    }
    const float *s = tempera_loss_scores(loss, row, o->row.max, at, n,
                                         o->path.held == SCORES ? held : score_buffer);
    if (row->probs != NULL) {
        struct tempera_target_mass mass = tempera_loss_piece_mass(loss, row, at, n, probs_buffer);
        k->loss.target_sums(&mass, s, n, lanes->mass, lanes->scores);
    } else if (loss->options.label_smoothing != 0) {
        const float *weights = loss->options.class_weights;
        k->loss.distance_sum(weights != NULL ? weights + at : NULL, s, n, o->row.max,
                             lanes->scores);
    }
    if (loss->wants_entropy)
        k->loss.entropy_sum(s, n, o->row.max, &loss->params, &o->row.exponent, lanes->entropy);
    float *e = o->path.held == EXPONENTIALS ? held : NULL;
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
                    struct f32_row *o, struct lanes *lanes)
{
    size_t block = tempera_row_block(loss->cols);
    for (size_t start = 0; start < loss->cols; start += block) {
        size_t end = start + tempera_min(loss->cols - start, block);
        for (size_t i = 0; i < 16; i++)
            lanes->sum[i] = 0;
        for (size_t at = start; at < end; at += PIECE)
            sweep_piece(loss, row, o, at, tempera_min(end - at, PIECE), lanes);
        o->row.sum += tempera_sum_lanes(lanes->sum);
    }
}

// lanes: filled as far as the row needs them.
static struct tempera_loss_sweep finish_sweep(const struct tempera_loss *loss,
                                              const struct tempera_loss_row *row,
                                              const struct f32_row *o, struct lanes *lanes)
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
    tempera_loss_set_cross_entropy(loss, row, mass, scores / T, &sweep);
    return sweep;
}

static struct tempera_loss_sweep sweep_row(const struct tempera_loss *loss,
                                           const struct tempera_loss_row *row, struct f32_row *o)
{
    struct lanes lanes;
    if (tempera_loss_needs_sums(loss, row) || loss->wants_entropy)
        lanes = (struct lanes){.mass = {0}};
    sum_row(loss, row, o, &lanes);
    return finish_sweep(loss, row, o, &lanes);
}

// ------------------------------------------------------------------------------------------------
// The gradient

// Whether f32 holds the targets' part of the gradient. With a scale of at most 1 it does, as it
// held the target masses; above, the largest of them decides.
static bool holds_targets(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                          const struct tempera_loss_slopes *slopes)
{
    float buffer[PIECE], largest = 0;
    if (!tempera_loss_needs_sums(loss, row) || fabs(slopes->scale) <= 1)
        return true;
    for (size_t at = 0; row->probs != NULL && at < loss->cols; at += PIECE) {
        size_t n = tempera_min(loss->cols - at, PIECE);
        struct tempera_target_mass piece = tempera_loss_piece_mass(loss, row, at, n, buffer);
        float magnitude = tempera_largest_magnitude(piece.probs, n);
        largest = magnitude > largest ? magnitude : largest;
    }
    double most = fabs(slopes->floor) + fabs(slopes->probs) * (double)largest;
    return most * loss->largest_class_weight <= 0x1p120;
}

static enum gradient_path gradient_path_of(const struct tempera_loss *loss,
                                           const struct tempera_loss_row *row,
                                           const struct f32_row *o,
                                           const struct tempera_loss_slopes *slopes)
{
    // Every factor is 0 or in [2^-120, 2^60], and nothing on the way is infinite, which would make
    // a NaN where it meets a 0.
    bool fits_f32 = tempera_loss_factor_fits_f32(slopes->factor / o->row.sum) &&
                    tempera_loss_factor_fits_f32(slopes->probs) &&
                    tempera_loss_factor_fits_f32(slopes->floor) &&
                    tempera_loss_factor_fits_f32((double)loss->options.softcap) &&
                    holds_targets(loss, row, slopes);
    if (!fits_f32)
        return GRADIENT_PIECES_F64;
    // With `scale`, a masked score's gradient is below 2^-152 of the factor: 0 up to a factor of 4.
    if (tempera_loss_needs_sums(loss, row) || fabs(slopes->factor) > 4)
        return GRADIENT_PIECES;
    if (o->path.held == EXPONENTIALS)
        return GRADIENT_SCALED;
    return o->path.sum == SUM_16BIT && loss->d_dtype == loss->dtype ? GRADIENT_16BIT
                                                                    : GRADIENT_PIECES;
}

// A gradient in double where f32 doesn't hold it.
static void map_in_double(const struct tempera_loss *loss, const struct f32_row *o,
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
                      const struct f32_row *o, const struct tempera_loss_slopes *slopes,
                      struct tempera_loss_map *map, float nothing, size_t at, size_t n)
{
    float s_buffer[PIECE], e_buffer[PIECE], probs_buffer[PIECE];
    double unused[16] = {0};
    float *held = o->path.held == NOTHING ? NULL : (float *)row->d_logits + at;
    const float *s = held, *e = held;
    if (o->path.held == NOTHING)
        s = tempera_loss_scores(loss, row, o->row.max, at, n, s_buffer);
    if (o->path.held != EXPONENTIALS) {
        loss->kernels->pieces.exp_sum(s, n, &o->row.exponent, e_buffer, unused);
        e = e_buffer;
    }
    struct tempera_target_mass piece = tempera_loss_piece_mass(loss, row, at, n, probs_buffer);
    float *out = held != NULL ? held : e_buffer;
    if (map != NULL) {
        map->target = (struct tempera_target_mass){piece.weights, piece.probs, (float)slopes->probs,
                                                   (float)slopes->floor};
        loss->kernels->loss.gradient(map, e, s, n, out);
    } else {
        map_in_double(loss, o, &piece, slopes, nothing, e, s, n, out);
    }
    tempera_loss_store(loss, row, at, n, out);
}

static void map_pieces(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                       const struct f32_row *o, const struct tempera_loss_slopes *slopes,
                       struct tempera_loss_map *map)
{
    float nothing = (float)loss->kernels->pieces.exp_one(-INFINITY, &o->row.exponent);
    if (map != NULL)
        map->e_masked = nothing;
    for (size_t at = 0; at < loss->cols; at += PIECE)
        map_piece(loss, row, o, slopes, map, nothing, at, tempera_min(loss->cols - at, PIECE));
}

static void map_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                    const struct f32_row *o, const struct tempera_loss_slopes *slopes)
{
    struct tempera_loss_map map = {.softcap = loss->options.softcap};
    double at_y = slopes->at_y * tempera_loss_cap_slope(loss, (double)o->s_y);
    enum gradient_path path = gradient_path_of(loss, row, o, slopes);
    if (path != GRADIENT_PIECES_F64)
        tempera_split_inverse(slopes->factor, o->row.sum, &map.high, &map.low);
    switch (path) {
    case GRADIENT_SCALED:
        loss->kernels->pieces.scale(row->d_logits, loss->cols, map.high, map.low, row->d_logits);
        break;
    case GRADIENT_16BIT:
        loss->kernels->pieces_16bit.softmax(row->logits, loss->cols, loss->dtype, &o->row.exponent,
                                            map.high, map.low, row->d_logits);
        break;
    case GRADIENT_PIECES:
        map_pieces(loss, row, o, slopes, &map);
        break;
    case GRADIENT_PIECES_F64:
        map_pieces(loss, row, o, slopes, NULL);
        break;
    }
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
                       const struct f32_row *o, const struct tempera_loss_sweep *sweep,
                       struct tempera_loss_result *result)
{
    struct tempera_loss_slopes slopes;
    if (sweep->has_nan) {
        set_nan(result);
        return;
    }
    tempera_loss_set_result(loss, row, sweep, &slopes, result);
    if (row->d_logits != NULL && result->status == TEMPERA_OK)
        map_row(loss, row, o, &slopes);
}

// SUM_WHOLE. False: it isn't an f32 row.
static bool do_whole_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                         struct path path, struct tempera_loss_result *result)
{
    struct f32_row o = {.path = path};
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

static float softcap_of(const struct tempera_loss *loss, float x)
{
    const struct tempera_prepare how = {
        .dtype = TEMPERA_F32, .scale = 1, .softcap = loss->options.softcap};
    loss->kernels->convert.prepare(&how, &x, 0, 1, &x);
    return x;
}

// SUM_16BIT, SUM_PIECES and F64.
static void do_pieces(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                      struct path path, struct tempera_loss_result *result)
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
    if (loss->params.fits_f32 && tempera_max_fits_f32(max)) {
        struct f32_row o = begin_row(loss, row, path, max);
        struct tempera_loss_sweep sweep = sweep_row(loss, row, &o);
        finish_row(loss, row, &o, &sweep, result);
    } else {
        tempera_cross_entropy_row_f64(loss, row, max, result);
    }
    result->is_correct = is_correct;
}

void tempera_cross_entropy_row(const struct tempera_loss *loss, const struct tempera_loss_row *row,
                               struct tempera_loss_result *result)
{
    struct path path = path_of(loss, row);
    if (path.sum != SUM_WHOLE || !do_whole_row(loss, row, path, result))
        do_pieces(loss, row, path, result);
    if (result->status != TEMPERA_OK && row->d_logits != NULL)
        tempera_row_fill(row->d_logits, loss->d_dtype, loss->cols,
                         result->status == TEMPERA_NAN_INPUT);
}
