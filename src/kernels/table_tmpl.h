// SPDX-License-Identifier: MIT
// The whole of a table's translation unit: the includer defines which vectors (TEMPERA_VEC_*), the
// table's symbol, its isa and its name.
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/exp.h"
#include "base/philox.h"
#include "kernels/kernels.h"
#include "kernels/scalars.h"
#include "simd/vec.h"

#include "kernels/exp_tmpl.h"
#include "kernels/pieces_tmpl.h"

#include "kernels/whole_rows_tmpl.h"

#include "kernels/divergence_tmpl.h"
#include "kernels/moments_tmpl.h"

#include "kernels/backward_tmpl.h"
#include "kernels/scan_tmpl.h"
#include "kernels/convert_tmpl.h"
#include "kernels/rows_16bit_tmpl.h"
#include "kernels/loss_tmpl.h"
#include "kernels/philox_tmpl.h"
#include "kernels/masses_tmpl.h"

const struct tempera_kernels TABLE = {
    .isa = TABLE_ISA,
    .name = TABLE_NAME,
    .softmax_rows = softmax_rows,
    .log_softmax_rows = log_softmax_rows,
    .sum_rows = sum_rows,
    .moments = moments,
    .divergence = divergence,
    .max = max_piece,
    .exp_one = exp_one,
    .exp_sum = exp_sum_piece,
    .scale = scale_piece,
    .log_map = log_map_piece,
    .prepare = prepare,
    .narrow = narrow,
    .max_16bit = max_16bit,
    .exp_sum_16bit = exp_sum_16bit,
    .scale_16bit = scale_16bit,
    .softmax_16bit = softmax_16bit,
    .log_map_16bit = log_map_16bit,
    .dot = dot,
    .backward_map = backward_map,
    .target_sums = target_sums,
    .distance_sum = distance_sum,
    .loss_map = loss_map,
    .entropy_sum = entropy_sum,
    .softcap_below = softcap_below,
    .exp_sum_ahead = exp_sum_ahead,
    .block_maxima = block_maxima,
    .gather = gather,
    .deviation = deviation,
    .masses = masses,
    .mass_sum = mass_sum,
    .mass_sum_gather = mass_sum_gather,
    .mass_gaps = mass_gaps,
    .mass_squares = mass_squares,
    .random_bits = random_bits,
};
