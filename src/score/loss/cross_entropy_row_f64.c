// SPDX-License-Identifier: MIT
#include "score/loss/cross_entropy_row_f64.h"

#include <math.h>

#include "base/exp.h"
#include "base/size.h"
#include "score/loss/cross_entropy_terms.h"

enum { PIECE = TEMPERA_LOSS_PIECE };

struct f64_row {
    const struct tempera_loss *loss;
    const struct tempera_loss_row *row;
    float max;
    double sum; // S = sum exp((s - m) / T); with scores of +inf, their number
};

// (s - m) / T. Beside scores of +inf, which are equal, nothing else counts.
static double distance(const struct f64_row *r, float s)
{
    if (r->max == INFINITY)
        return s == INFINITY ? 0 : -INFINITY;
    return ((double)s - (double)r->max) / r->loss->params.T;
}

static double t_of(const struct tempera_target_mass *mass, size_t i)
{
    double t = (double)mass->floor;
    if (mass->probs != NULL)
        t += (double)mass->fraction * (double)mass->probs[i];
    return mass->weights != NULL ? t * (double)mass->weights[i] : t;
}

// S in four lanes, which don't wait for one another, and the entropy: -sum p ln p = ln S -
// sum e d / S.
static void find_sum(struct f64_row *r, struct tempera_loss_sweep *sweep)
{
    float buffer[PIECE];
    double lanes[4] = {0, 0, 0, 0}, products = 0;
    for (size_t at = 0; at < r->loss->cols; at += PIECE) {
        size_t n = tempera_min(r->loss->cols - at, PIECE);
        const float *s = tempera_loss_scores(r->loss, r->row, r->max, at, n, buffer);
        for (size_t i = 0; i < n; i++) {
            double d = distance(r, s[i]), e = tempera_exp(d);
            lanes[i % 4] += e;
            if (e != 0)
                products += e * d;
        }
    }
    r->sum = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
    sweep->ln_S = tempera_log(r->sum);
    sweep->logsumexp =
        r->max == INFINITY ? INFINITY : (double)r->max / r->loss->params.T + sweep->ln_S;
    sweep->entropy = sweep->ln_S - products / r->sum;
}

static void find_target_sums(const struct f64_row *r, struct tempera_loss_sweep *sweep)
{
    float s_buffer[PIECE], probs_buffer[PIECE];
    double mass = 0, scores = 0;
    for (size_t at = 0; at < r->loss->cols; at += PIECE) {
        size_t n = tempera_min(r->loss->cols - at, PIECE);
        const float *s = tempera_loss_scores(r->loss, r->row, r->max, at, n, s_buffer);
        struct tempera_target_mass piece =
            tempera_loss_piece_mass(r->loss, r->row, at, n, probs_buffer);
        for (size_t i = 0; i < n; i++) {
            double t = t_of(&piece, i), d = distance(r, s[i]);
            mass += t;
            if (t != 0 && d == -INFINITY)
                sweep->is_masked = true;
            else if (t != 0)
                scores += t * d;
        }
    }
    sweep->has_nan = mass - mass != 0;
    tempera_loss_set_cross_entropy(r->loss, r->row, mass, scores, sweep);
}

static void map_row(const struct f64_row *r, const struct tempera_loss_slopes *slopes)
{
    float s_buffer[PIECE], probs_buffer[PIECE], out[PIECE];
    for (size_t at = 0; at < r->loss->cols; at += PIECE) {
        size_t n = tempera_min(r->loss->cols - at, PIECE);
        const float *s = tempera_loss_scores(r->loss, r->row, r->max, at, n, s_buffer);
        struct tempera_target_mass piece =
            tempera_loss_piece_mass(r->loss, r->row, at, n, probs_buffer);
        for (size_t i = 0; i < n; i++) {
            double p = tempera_exp(distance(r, s[i])) / r->sum;
            bool is_class = r->row->probs == NULL && at + i == r->row->y;
            double g = is_class ? slopes->at_y
                                : slopes->factor * p - tempera_loss_target_slope(&piece, slopes, i);
            out[i] = (float)(g * tempera_loss_cap_slope(r->loss, (double)s[i]));
        }
        tempera_loss_store(r->loss, r->row, at, n, out);
    }
}

static void find_class(const struct f64_row *r, struct tempera_loss_sweep *sweep)
{
    float s_y;
    s_y = *tempera_loss_scores(r->loss, r->row, r->max, r->row->y, 1, &s_y);
    double d = distance(r, s_y);
    sweep->class_loss = sweep->ln_S - d;
    sweep->p_y = tempera_exp(d) / r->sum;
    sweep->is_masked = d == -INFINITY && tempera_loss_class_mass(r->loss, r->row->y) != 0;
}

void tempera_cross_entropy_row_f64(const struct tempera_loss *loss,
                                   const struct tempera_loss_row *row, float max,
                                   struct tempera_loss_result *result)
{
    const double z = (double)loss->options.z_loss;
    struct f64_row r = {.loss = loss, .row = row, .max = max};
    struct tempera_loss_sweep sweep = {.class_loss = 0};
    bool is_empty = max == -INFINITY;
    if (!is_empty)
        find_sum(&r, &sweep);
    if (!is_empty && row->probs == NULL)
        find_class(&r, &sweep);
    if (tempera_loss_needs_sums(loss, row))
        find_target_sums(&r, &sweep);
    else
        tempera_loss_set_cross_entropy(loss, row, 0, 0, &sweep);
    *result = (struct tempera_loss_result){TEMPERA_NAN_INPUT, NAN, NAN, NAN, NAN, false};
    if (sweep.has_nan)
        return;
    if (is_empty) {
        *result = (struct tempera_loss_result){
            TEMPERA_ALL_MASKED, INFINITY, z == 0 ? 0 : INFINITY, -INFINITY, 0, false};
        return;
    }
    sweep.is_masked |= max == INFINITY && z != 0;
    struct tempera_loss_slopes slopes;
    tempera_loss_set_result(loss, row, &sweep, &slopes, result);
    if (row->d_logits != NULL && result->status == TEMPERA_OK)
        map_row(&r, &slopes);
}
