// SPDX-License-Identifier: MIT
// The row kernels: all arithmetic on scores goes through this table, and nothing else knows an
// instruction set. The table's entries work on one row, are given what the row was found to be,
// and never see bad arguments.
//
// mask: NULL, or one bit an element (bit 1: allowed); masked elements are not read. All scores
// that reach a kernel other than `find` are allowed and no NaN; T is in (0, +inf) and max finite:
// the edges of the contract are handled above, in score/.
#ifndef TEMPERA_KERNELS_H
#define TEMPERA_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/cpu.h>

// What one read of a row tells.
struct tempera_row {
    float max;       // of the allowed scores; -inf if there is none above
    size_t n_max;    // allowed scores equal to max
    size_t n_finite; // allowed scores above -inf
    bool has_nan;    // among the allowed
};

struct tempera_kernels {
    enum tempera_isa isa;

    struct tempera_row (*find)(const float *z, const uint32_t *mask, size_t n);

    // S = sum of exp((z_i - max) / T)
    double (*sum_exp)(const float *z, const uint32_t *mask, size_t n, float max, float T);

    // p_i = exp((z_i - max) / T) / S, 0 where masked. p may be z.
    void (*softmax)(const float *z, const uint32_t *mask, size_t n, float max, float T, double S,
                    float *p);

    // log p_i = (z_i - max) / T - ln_S, at most 0; -inf where masked. log_p may be z.
    void (*log_softmax)(const float *z, const uint32_t *mask, size_t n, float max, float T,
                        double ln_S, float *log_p);

    // sum of q_i (ln_S - (z_i - max) / T), terms with q_i = 0 left out
    double (*soft_loss)(const float *z, const float *q, size_t n, float max, float T, double ln_S);

    // g_i = scale (weight p_i - q_i); q NULL: 0. g may be z.
    void (*gradient)(const float *z, const float *q, size_t n, float max, float T, double S,
                     double weight, double scale, float *g);

    // dz_i = p_i (dp_i - sum_j p_j dp_j) / T; returns false if the sum is no number. dz may be p
    // or dp.
    bool (*softmax_backward)(const float *p, const float *dp, size_t n, float T, float *dz);

    // w_i = exp((z_i - max) / T) 2^51, rounded to nearest
    void (*masses)(const float *z, size_t n, float max, double T, uint64_t *w);
};

// The plain versions in double: what the others are tested against.
extern const struct tempera_kernels tempera_kernels_reference;

// The table in use.
const struct tempera_kernels *tempera_kernels(void);

// Element i of a mask.
static inline bool tempera_mask_allows(const uint32_t *mask, size_t i)
{
    return mask == NULL || (mask[i / 32] >> (i % 32) & 1) != 0;
}

#endif
