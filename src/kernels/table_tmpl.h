// SPDX-License-Identifier: MIT
// The whole translation unit of a table: the includer defines which vectors (TEMPERA_VEC_*), the
// table's symbol, its isa and its name. Each template includes what it uses, so the order is free.
#include "kernels/backward_tmpl.h"
#include "kernels/convert_tmpl.h"
#include "kernels/divergence_tmpl.h"
#include "kernels/kernels.h"
#include "kernels/loss_tmpl.h"
#include "kernels/masses_tmpl.h"
#include "kernels/moments_tmpl.h"
#include "kernels/philox_tmpl.h"
#include "kernels/pieces_tmpl.h"
#include "kernels/rows_16bit_tmpl.h"
#include "kernels/scan_tmpl.h"
#include "kernels/whole_rows_tmpl.h"

const struct tempera_kernels TABLE = {
    .isa = TABLE_ISA,
    .name = TABLE_NAME,
    .rows.softmax = softmax_rows,
    .rows.log_softmax = log_softmax_rows,
    .rows.sum = sum_rows,
    .pieces.max = max_piece,
    .pieces.exp_one = exp_one,
    .pieces.exp_sum = exp_sum_piece,
    .pieces.exp_sum_prefetch = exp_sum_prefetch,
    .pieces.moments = moments,
    .pieces.scale = scale_piece,
    .pieces.log_map = log_map_piece,
    .pieces_16bit.max = max_16bit,
    .pieces_16bit.exp_sum = exp_sum_16bit,
    .pieces_16bit.scale = scale_16bit,
    .pieces_16bit.softmax = softmax_16bit,
    .pieces_16bit.log_map = log_map_16bit,
    .convert.prepare = prepare,
    .convert.narrow = narrow,
    .backward.dot = dot,
    .backward.map = backward_map,
    .loss.target_sums = target_sums,
    .loss.distance_sum = distance_sum,
    .loss.gradient = loss_gradient,
    .loss.entropy_sum = entropy_sum,
    .loss.softcap_below = softcap_below,
    .loss.divergence = divergence,
    .sampler.block_maxima = block_maxima,
    .sampler.gather = gather,
    .sampler.deviation = deviation,
    .sampler.masses = masses,
    .sampler.mass_sum = mass_sum,
    .sampler.mass_sum_gather = mass_sum_gather,
    .sampler.mass_gaps = mass_gaps,
    .sampler.mass_squares = mass_squares,
    .sampler.random_bits = random_bits,
};
