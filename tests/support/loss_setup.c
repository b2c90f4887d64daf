// SPDX-License-Identifier: MIT
#include "loss_setup.h"

struct small small_of(float a, float b, float c, float d, float e, float f, int32_t y0, int32_t y1)
{
    return (struct small){.rows = 2,
                          .cols = 3,
                          .z = {a, b, c, d, e, f},
                          .classes = {y0, y1},
                          .options = tempera_cross_entropy_options_default()};
}

void ask(struct small *s)
{
    struct tempera_matrix logits = tempera_matrix_f32(s->z, s->rows, s->cols);
    struct tempera_matrix d = tempera_matrix_f32(s->d, s->rows, s->cols);
    struct tempera_matrix probs = tempera_matrix_f32(s->q, s->rows, s->cols);
    struct tempera_targets targets = {s->soft ? NULL : s->classes, s->soft ? &probs : NULL};
    struct tempera_cross_entropy_outputs outputs = {
        .struct_size = sizeof outputs,
        .d_logits = &d,
        .row_loss = s->row_loss,
        .row_logsumexp = s->lse,
        .row_status = s->row_status,
        .loss = &s->loss,
        .count = &s->count,
        .row_entropy = s->entropy,
        .row_correct = s->soft ? NULL : s->correct,
        .n_correct = s->soft ? NULL : &s->n_correct,
        .weight_sum = &s->weight_sum,
        .z_loss = &s->z_loss,
    };
    memset(s->d, 0x55, sizeof s->d);
    s->status = tempera_cross_entropy(&logits, &targets, &s->options, &outputs, s->executor);
}

void check_zeros(const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK(values[i] == 0);
}
