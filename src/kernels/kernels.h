// SPDX-License-Identifier: MIT
// The row kernels: all arithmetic on scores goes through this table, and no other file of the score
// path depends on an instruction set. Every table gives the same bits (docs/NUMERICS.md).
//
// Kernels work on f32 without masks; `convert.prepare` converts any other input. Only the kernels
// that look for a maximum accept NaNs. Arguments are not checked: score/ handles the special cases.
#ifndef TEMPERA_KERNELS_KERNELS_H
#define TEMPERA_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/cpu.h>
#include <tempera/matrix.h>

enum {
    // Elements whose sum is taken at once, by one thread; longer rows: tempera_row_block.
    TEMPERA_ROW_BLOCK = 16384,
    // Scores of which the sampler knows the maximum.
    TEMPERA_MAXIMA_BLOCK = 128,
    // Masses, each at most 2^51.5, whose sum fits in 64 bits.
    TEMPERA_MASSES_PER_SUM = 4096,
};

// Constants derived from T. exp(x / T) = 2^(x L), L = log2(e) / T.
struct tempera_temperature_params {
    double T, L, underflow_distance; // 152 / L: a score that far below the maximum has p = 0
    float L_high, L_low;
    float inverse_T[2]; // 1 / T as two floats
    bool fits_f32;      // L is within [2^-100, 2^120]; otherwise rows go to tempera_f64_*
};

// Constants derived from T and a row's maximum m: e(x) = exp((x - m) / T) 2^(51 + r) with
// |r| <= 1/2, the same r for the whole row. Relative error below 2^-23.
struct tempera_exponent {
    float shift, lowest, L_high, L_low, magic;
};

// Rows of f32 in memory.
struct tempera_rows {
    const float *in;
    float *out; // may be in, with the same stride
    size_t in_stride, out_stride, n_rows, n;
    // Write out with non-temporal stores, for results that will not be in a cache after the call
    // anyway: its lines are then not read first. Requires rows aligned to 64 bytes, and out != in.
    bool stream;
};

// The sum of an f32 row: no NaN, a finite maximum below 2^103.
struct tempera_row_sum {
    float max;
    double e_max; // e(max)
    double sum;   // of e(x_i)
    struct tempera_exponent exponent;
};

enum tempera_divergence_kind {
    TEMPERA_KL_FORWARD, // KL(p || q), p the teacher's row and q the student's
    TEMPERA_KL_REVERSE, // KL(q || p)
    TEMPERA_MIXTURE,    // beta KL(p || m) + (1 - beta) KL(q || m), m = beta p + (1 - beta) q
};

// Of two rows with finite maxima, entries of -inf allowed: log p = (t - max) / T - ln S, and q.
struct tempera_divergence {
    enum tempera_divergence_kind kind;
    double teacher_max, teacher_ln_S, student_max, student_ln_S, inverse_T, beta;
    double V, scale; // of the gradient, scale (slope - q V)
};

struct tempera_prepare {
    enum tempera_dtype dtype;
    const uint32_t *mask; // one bit an element, or NULL
    const void *add;      // the additive mask's row, or NULL
    enum tempera_dtype add_dtype;
    float scale, softcap; // softcap 0: none
};

// The masses of a loss's targets: t_i = weights_i (fraction probs_i + floor). NULL weights count as
// 1, NULL probs as 0; both arrays start at the piece, not at the row.
struct tempera_target_mass {
    const float *weights, *probs;
    float fraction, floor;
};

// The gradient of a cross-entropy: (e_i (high + low) - target_i), times the softcap's slope.
struct tempera_loss_map {
    struct tempera_target_mass target;
    float high, low;
    float e_masked; // e(-inf): an e up to this counts as 0, however large the factor is
    float softcap;  // 0: none
};

// In groups, by the kind of data: "who uses the sampler's kernels" is one search for "->sampler.".
struct tempera_kernels {
    enum tempera_isa isa;
    const char *name;

    // Whole f32 rows. Each stops before the first row that is not an f32 row (see tempera_row_sum)
    // and returns the number of rows done.
    struct {
        size_t (*softmax)(const struct tempera_rows *rows,
                          const struct tempera_temperature_params *params);
        size_t (*log_softmax)(const struct tempera_rows *rows,
                              const struct tempera_temperature_params *params);
        // sums[n_rows]; rows->out: NULL, or where the e(x_i) go
        size_t (*sum)(const struct tempera_rows *rows,
                      const struct tempera_temperature_params *params,
                      struct tempera_row_sum *sums);
    } rows;

    // Pieces of a row. A piece starts at a multiple of 64, so that an element's lane, its index
    // modulo 16, and its group of 64 do not depend on how the row is cut.
    struct {
        float (*max)(const float *z, size_t n, bool *has_nan);
        // e(z)
        double (*exp_one)(float z, const struct tempera_exponent *x);
        // Adds e(z_i) to the 16 lanes, and stores it unless e is NULL. e may be z.
        void (*exp_sum)(const float *z, size_t n, const struct tempera_exponent *x, float *e,
                        double lanes[16]);
        // exp_sum that prefetches next[n], of nbytes each, meanwhile.
        void (*exp_sum_prefetch)(const float *z, size_t n, const struct tempera_exponent *x,
                                 float *e, const void *next, size_t nbytes, double lanes[16]);
        // With x_i = z_i - max, or 0 where that is below `lowest`, adds e(z_i), e(z_i) x_i and
        // e(z_i) x_i^2 to the lanes. T at most 2^60, so that all of them stay in f32's range.
        void (*moments)(const float *z, size_t n, const struct tempera_exponent *x, float max,
                        float lowest, double sums[3][16]);
        // out_i = e_i (high + low). out may be e.
        void (*scale)(const float *e, size_t n, float high, float low, float *out);
        // out_i = min(0, (z_i - max) / T - ln_S). out may be z.
        void (*log_map)(const float *z, size_t n, float max,
                        const struct tempera_temperature_params *params, double ln_S, float *out);
    } pieces;

    // The same for pieces of f16 or bf16, results of the same type. e[n rounded up to 64].
    struct {
        float (*max)(const uint16_t *z, size_t n, enum tempera_dtype dtype, bool *has_nan);
        void (*exp_sum)(const uint16_t *z, size_t n, enum tempera_dtype dtype,
                        const struct tempera_exponent *x, float *e, double lanes[16]);
        void (*scale)(const float *e, size_t n, enum tempera_dtype dtype, float high, float low,
                      uint16_t *out);
        // exp_sum and scale in one: out_i = e(z_i) (high + low). out may be z.
        void (*softmax)(const uint16_t *z, size_t n, enum tempera_dtype dtype,
                        const struct tempera_exponent *x, float high, float low, uint16_t *out);
        void (*log_map)(const uint16_t *z, size_t n, enum tempera_dtype dtype, float max,
                        const struct tempera_temperature_params *params, double ln_S,
                        uint16_t *out);
    } pieces_16bit;

    // Other types to f32 and back.
    struct {
        // x_i = cap(z_i scale) + add_i for i in [first, first + n), -inf where masked
        void (*prepare)(const struct tempera_prepare *how, const void *z, size_t first, size_t n,
                        float *x);
        // To nearest, ties to even.
        void (*narrow)(const float *x, size_t n, enum tempera_dtype dtype, void *out);
    } convert;

    // The softmax's backward pass.
    struct {
        // Adds p_i dp_i to the lanes; returns the largest of |dp_i| and 2^98 |p_i|, NaN if there
        // is a NaN.
        float (*dot)(const float *p, const float *dp, size_t n, double lanes[16]);
        // out_i = p_i (dp_i - dot) / T. out may be p or dp.
        void (*map)(const float *p, const float *dp, size_t n, double dot,
                    const struct tempera_temperature_params *params, float *out);
    } backward;

    // Cross-entropy and distillation. s: scores, -inf among them; e: their exponentials.
    struct {
        // Adds t_i, and t_i s_i where t_i is not 0, to the lanes.
        void (*target_sums)(const struct tempera_target_mass *target, const float *s, size_t n,
                            double mass[16], double scores[16]);
        // Adds w_i (s_i - max) to the lanes, where w_i is not 0; NULL weights count as 1.
        void (*distance_sum)(const float *weights, const float *s, size_t n, float max,
                             double lanes[16]);
        // s is read only for the softcap's slope. out may be e or s.
        void (*gradient)(const struct tempera_loss_map *map, const float *e, const float *s,
                         size_t n, float *out);
        // Adds e(s_i) (s_i - max) to the lanes.
        void (*entropy_sum)(const float *s, size_t n, float max,
                            const struct tempera_temperature_params *params,
                            const struct tempera_exponent *x, double lanes[16]);
        // s_i = min(cap(z_i), most) for i in [first, first + n); s may be z + first if z is f32.
        void (*softcap_below)(const struct tempera_prepare *how, const void *z, size_t first,
                              size_t n, float most, float *s);
        // Adds the divergence's terms and the slopes, whose sum is V, to the lanes; stores the
        // gradient unless out is NULL. out may be t or s. The sum is infinite where a row has mass
        // and the other has none.
        void (*divergence)(const struct tempera_divergence *how, const float *t, const float *s,
                           size_t n, float *out, double sums[2][16]);
    } loss;

    // The sampler. Scores of -inf are not candidates.
    struct {
        // The largest score, ignoring NaNs. maxima[ceil(n / TEMPERA_MAXIMA_BLOCK)]: the largest of
        // each block; a zero among them may have either sign. *is_finite: all scores are.
        float (*block_maxima)(const float *z, size_t n, float *maxima, bool *is_finite);
        // Copies the scores in [floor, ceiling], in order, with their ids: ids[n], or first, first
        // + 1, ... if that is NULL. No ids are written if out_ids is NULL as well. Returns the
        // number copied. out and out_ids may be z and ids; their size is n rounded up to 16.
        size_t (*gather)(const float *z, const int32_t *ids, size_t n, int32_t first, float floor,
                         float ceiling, float *out, int32_t *out_ids);
        // Adds max - z_i and its square to the lanes, in double.
        void (*deviation)(const float *z, size_t n, float max, double sums[16], double squares[16]);
        // w_i = e(z_i) rounded to the nearest integer, ties to even
        void (*masses)(const float *z, size_t n, const struct tempera_exponent *x, uint64_t *w);
        // The sum of w_i; n at most TEMPERA_MASSES_PER_SUM, as in all of the following sums.
        uint64_t (*mass_sum)(const float *z, size_t n, const struct tempera_exponent *x);
        // mass_sum, and gather of the scores from `floor` on, which is above -inf, with their ids;
        // *n_kept is their number.
        uint64_t (*mass_sum_gather)(const float *z, size_t n, const struct tempera_exponent *x,
                                    int32_t first, float floor, float *out, int32_t *out_ids,
                                    size_t *n_kept);
        // The sums of w_i and of e(z_i) x_i, rounded, with the gap x_i = min((max - z_i) / T,
        // 1024), all in f32; inverse_T = (float)(1 / T).
        void (*mass_gaps)(const float *z, size_t n, const struct tempera_exponent *x, float max,
                          float inverse_T, uint64_t sums[2]);
        // The sum of (e(z_i) 2^-26)^2, rounded, in f32.
        uint64_t (*mass_squares)(const float *z, size_t n, const struct tempera_exponent *x);
        // bits[n]: the lower 64 bits of Philox blocks; ids[n] are added to the counter's first
        // word.
        void (*random_bits)(const uint32_t key[2], const uint32_t counter[4], const int32_t *ids,
                            size_t n, uint64_t *bits);
    } sampler;
};

extern const struct tempera_kernels tempera_kernels_scalar;
#if defined(__x86_64__)
extern const struct tempera_kernels tempera_kernels_scalar_fma; // the same C, with the instruction
extern const struct tempera_kernels tempera_kernels_avx2;
extern const struct tempera_kernels tempera_kernels_avx512;
#elif defined(__aarch64__)
extern const struct tempera_kernels tempera_kernels_neon;
#endif

// The active table.
const struct tempera_kernels *tempera_kernels_active(void);

// Table i of those that are compiled in and that the processor can run; NULL after the last.
const struct tempera_kernels *tempera_kernels_at(size_t i);

// Makes a table the active one, also one that is never chosen by itself, such as C without FMA.
void tempera_kernels_use(const struct tempera_kernels *table);

// Element i of a mask.
static inline bool tempera_mask_allows(const uint32_t *mask, size_t i)
{
    return mask == NULL || (mask[i / 32] >> (i % 32) & 1) != 0;
}

#endif
