// SPDX-License-Identifier: MIT
// Cross-entropy where the vocabulary lies in shards: on several machines or cards, each with some
// columns of the logits, as tensor parallelism has it (Megatron-LM, Shoeybi et al. 2019, arXiv
// 1909.08053). examples/tensor_parallel.c does it over MPI. Read next: calibration.h.
//
//     each shard    tempera_shard_statistics: three numbers a row
//     once          all-reduce these with tempera_shard_merge (or gather them and merge)
//     each shard    tempera_shard_cross_entropy: the loss, the same everywhere, and the gradient of
//                   its own columns
//
// One exchange of 24 bytes a row is enough. For the shards A and B of a row, with m the maximum, S
// the sum of exp((z - m) / T) and z_y the target's score, which one shard has:
//
//     m = max(m_A, m_B),  S = S_A exp((m_A - m) / T) + S_B exp((m_B - m) / T)
//     loss = ln S - (z_y - m) / T,  dloss/dz = (exp((z - m) / T) / S - onehot(y)) / T
//
// Error bounds, for any cut into shards:
//     quantity        bound
//     S               2^-22 S; another order of merging changes it by less than 2^-51 S a merge
//     row loss        ulp / 2 + 2^-22, as in loss.h; two cuts differ by at most twice that
//     d_logits        2^-21 p times gradient_scale / T (and / N for MEAN), + ulp / 2
// Merging gives the same bits with its arguments swapped. For one cut and one order of
// merging, bits don't depend on the executor or the instruction set.
//
// Edges, by row, are those of loss.h: NaN in any shard, +inf, all masked, the target masked; every
// shard reports the same. T must be in (0, +inf). No function allocates or starts a thread.
#ifndef TEMPERA_SHARDS_H
#define TEMPERA_SHARDS_H

#include <tempera/loss.h>
#include <tempera/matrix.h>
#include <tempera/parallel.h>
#include <tempera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

// A row's statistics: of one shard, or merged. Doubles without padding, to be sent as they are.
struct tempera_row_statistics {
    double max;    // -inf where all is masked; NaN where there is a NaN
    double sum;    // of exp((z - max) / T); where max is +inf, how many scores are
    double target; // z_y; -inf where another shard has it, or none (an ignored row)
};

// Later versions may append fields; struct_size says which of them the caller knows.
struct tempera_shard_options {
    size_t struct_size;
    float temperature;                // T in (0, +inf); 1 by default
    size_t first_class;               // the class of the shard's first column; 0 by default
    size_t n_classes;                 // of the whole vocabulary; set it
    int32_t ignore_index;             // TEMPERA_IGNORE_INDEX by default
    enum tempera_reduction reduction; // MEAN by default
    float gradient_scale;             // multiplies the gradient only; 1 by default
};

TEMPERA_API struct tempera_shard_options tempera_shard_options_default(void);

// statistics[rows] of the shard logits[rows, cols], any dtype, whose columns are the classes from
// first_class on. classes[rows] are those of the whole vocabulary. Returns the worst row's status
// as this shard sees it (ALL_MASKED, NAN_INPUT), or INVALID_ARGUMENT, TARGET_OUT_OF_RANGE (a class
// that is neither ignored nor below n_classes): then nothing is written.
TEMPERA_API enum tempera_status
tempera_shard_statistics(const struct tempera_matrix *logits, const int32_t *classes,
                         const struct tempera_shard_options *options,
                         struct tempera_row_statistics *statistics,
                         const struct tempera_executor *executor);

// Merges others[rows] into statistics[rows], row by row; the same T as above. INVALID_ARGUMENT for
// NULL or a T outside (0, +inf).
TEMPERA_API enum tempera_status tempera_shard_merge(struct tempera_row_statistics *statistics,
                                                    const struct tempera_row_statistics *others,
                                                    size_t rows, float temperature);

// What to compute besides the status; every pointer may be NULL. Set struct_size. Outputs may
// overlap neither inputs nor each other, but for d_logits in place.
struct tempera_shard_outputs {
    size_t struct_size;
    const struct tempera_matrix *d_logits; // [rows, cols] of the shard, any dtype; may be exactly
                                           // the logits (in place)
    float *row_loss;                       // [rows], before reduction; 0 for ignored rows
    float *row_logsumexp;                  // [rows], of z / T; 0 for ignored rows
    enum tempera_status *row_status;       // [rows]
    double *loss;                          // the reduced loss; the sum for NONE
    size_t *count;                         // rows that count
};

// Loss and gradient of a shard, from statistics[rows] merged over all shards; the same options,
// classes and logits as before. Status as in loss.h; NAN_INPUT also for statistics that no row can
// have, such as a sum that isn't above 0 or a target above the maximum.
TEMPERA_API enum tempera_status
tempera_shard_cross_entropy(const struct tempera_matrix *logits, const int32_t *classes,
                            const struct tempera_row_statistics *statistics,
                            const struct tempera_shard_options *options,
                            const struct tempera_shard_outputs *outputs,
                            const struct tempera_executor *executor);

#ifdef __cplusplus
}
#endif
#endif
