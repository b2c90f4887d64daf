// SPDX-License-Identifier: MIT
// The row kernels: all arithmetic on scores goes through this table, and nothing else knows an
// instruction set. Every table gives the same bits (docs/NUMERICS.md).
//
// Kernels work on f32 without masks: `prepare` makes that of any input. They never see a NaN but in
// `max`, and no bad arguments; the edges of the contract are handled above, in score/.
#ifndef TEMPERA_KERNELS_KERNELS_H
#define TEMPERA_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/cpu.h>
#include <tempera/matrix.h>

// A row's sums are taken in blocks of this many elements, longer ones for very long rows: see
// tempera_row_block in scalars.h. A block may be one thread's work.
enum { TEMPERA_ROW_BLOCK = 16384 };

// Of how many scores the sampler knows the maximum.
enum { TEMPERA_MAXIMA_BLOCK = 128 };

// So many masses can be added in 64 bits.
enum { TEMPERA_MASSES_PER_SUM = 4096 };

// What the temperature alone decides. exp(x / T) = 2^(x L), L = log2(e) / T.
struct tempera_temperature_params {
    double T, L, underflow_distance; // 152 / L: a score so far below the maximum has p = 0
    float L_high, L_low;
    float inverse_T[2]; // 1 / T as two floats
    bool fits_f32;      // L is within [2^-100, 2^120]: else rows go to tempera_wide_*
};

// How one row's exponentials are taken: e(x) = exp((x - m) / T) 2^(51 + r) with |r| <= 1/2, the
// same r for the whole row. Relative error below 2^-23.
struct tempera_exponent {
    float shift, lowest, L_high, L_low, magic;
};

// Rows of f32 in memory.
struct tempera_rows {
    const float *in;
    float *out; // may be in, with the same stride
    size_t in_stride, out_stride, n_rows, n;
    // out won't be in the caches after the call, whatever is done: it may be written past them,
    // which saves reading it first. Its rows begin at multiples of 64 bytes, and it isn't in.
    bool stream;
};

// An ordinary row: finite maximum below 2^103, no NaN.
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
    const uint32_t *mask; // NULL, or a bit an element
    const void *add;      // NULL, or the additive mask's row
    enum tempera_dtype add_dtype;
    float scale, softcap; // softcap 0: none
};

// Masses of targets: t_i = weights_i (share probs_i + floor). NULL weights count as 1, NULL probs
// as 0. Both begin with the piece at hand.
struct tempera_mass {
    const float *weights, *probs;
    float share, floor;
};

// The gradient of a cross-entropy: (e_i (high + low) - target_i), times the softcap's slope.
struct tempera_loss_map {
    struct tempera_mass target;
    float high, low;
    float nothing; // e(-inf): so small an e counts 0, however large the factor is
    float softcap; // 0: none
};

struct tempera_kernels {
    enum tempera_isa isa;
    const char *name;

    // ---- Whole rows. They stop before the first row that isn't ordinary and return how many rows
    // they have done.
    size_t (*softmax_rows)(const struct tempera_rows *rows,
                           const struct tempera_temperature_params *params);
    size_t (*log_softmax_rows)(const struct tempera_rows *rows,
                               const struct tempera_temperature_params *params);
    // sums[n_rows]; rows->out: NULL, or where the e(x_i) go
    size_t (*sum_rows)(const struct tempera_rows *rows,
                       const struct tempera_temperature_params *params,
                       struct tempera_row_sum *sums);

    // ---- Pieces of a row, each from an index that is a multiple of 64 on.
    float (*max)(const float *z, size_t n, bool *has_nan);
    // e(z)
    double (*exp_one)(float z, const struct tempera_exponent *x);
    // Adds e(z_i) to the 16 lanes, and stores it unless e is NULL. e may be z.
    void (*exp_sum)(const float *z, size_t n, const struct tempera_exponent *x, float *e,
                    double lanes[16]);
    // out_i = e_i (high + low). out may be e.
    void (*scale)(const float *e, size_t n, float high, float low, float *out);
    // out_i = min(0, (z_i - max) / T - ln_S). out may be z.
    void (*log_map)(const float *z, size_t n, float max,
                    const struct tempera_temperature_params *params, double ln_S, float *out);

    // ---- Other types, masks and what comes before a softmax.
    // x_i = cap(z_i scale) + add_i for i in [first, first + n), -inf where masked
    void (*prepare)(const struct tempera_prepare *how, const void *z, size_t first, size_t n,
                    float *x);
    // To nearest even.
    void (*narrow)(const float *x, size_t n, enum tempera_dtype dtype, void *out);

    // ---- Pieces of rows of f16 or bf16, from multiples of 64 on, results of the same type. e has
    // room for n rounded up to 64.
    float (*max_16bit)(const uint16_t *z, size_t n, enum tempera_dtype dtype, bool *has_nan);
    void (*exp_sum_16bit)(const uint16_t *z, size_t n, enum tempera_dtype dtype,
                          const struct tempera_exponent *x, float *e, double lanes[16]);
    void (*scale_16bit)(const float *e, size_t n, enum tempera_dtype dtype, float high, float low,
                        uint16_t *out);
    // Both at once: out_i = e(z_i) (high + low). out may be z.
    void (*softmax_16bit)(const uint16_t *z, size_t n, enum tempera_dtype dtype,
                          const struct tempera_exponent *x, float high, float low, uint16_t *out);
    void (*log_map_16bit)(const uint16_t *z, size_t n, enum tempera_dtype dtype, float max,
                          const struct tempera_temperature_params *params, double ln_S,
                          uint16_t *out);

    // ---- Calibration. With x_i = z_i - max, or 0 where that is below `lowest`, adds e(z_i),
    // e(z_i) x_i and e(z_i) x_i^2 to the lanes. T at most 2^60, so that all stays in f32's range.
    void (*moments)(const float *z, size_t n, const struct tempera_exponent *x, float max,
                    float lowest, double sums[3][16]);

    // ---- Distillation. Adds the divergence's terms and the slopes, whose sum is V, to the lanes,
    // an element's lane being its index modulo 16; and stores the gradient unless out is NULL. out
    // may be t or s. An infinite sum: there is mass where the other row has none.
    void (*divergence)(const struct tempera_divergence *how, const float *t, const float *s,
                       size_t n, float *out, double sums[2][16]);

    // ---- Backward. Adds p_i dp_i to the lanes; returns the largest of |dp_i| and 2^98 |p_i|, NaN
    // if there is a NaN.
    float (*dot)(const float *p, const float *dp, size_t n, double lanes[16]);
    // out_i = p_i (dp_i - dot) / T. out may be p or dp.
    void (*backward_map)(const float *p, const float *dp, size_t n, double dot,
                         const struct tempera_temperature_params *params, float *out);

    // ---- Cross-entropy. s: scores, -inf among them; e: their exponentials.
    // Adds t_i, and t_i s_i where t_i isn't 0, to the lanes.
    void (*target_sums)(const struct tempera_mass *target, const float *s, size_t n,
                        double mass[16], double scores[16]);
    // Adds w_i (s_i - max) to the lanes, where w_i isn't 0; NULL weights count as 1.
    void (*distance_sum)(const float *weights, const float *s, size_t n, float max,
                         double lanes[16]);
    // s is read only for the softcap's slope. out may be e or s.
    void (*loss_map)(const struct tempera_loss_map *map, const float *e, const float *s, size_t n,
                     float *out);
    // Adds e(s_i) (s_i - max) to the lanes.
    void (*entropy_sum)(const float *s, size_t n, float max,
                        const struct tempera_temperature_params *params,
                        const struct tempera_exponent *x, double lanes[16]);
    // s_i = min(cap(z_i), most) for i in [first, first + n); s may be z + first if z is f32.
    void (*softcap_below)(const struct tempera_prepare *how, const void *z, size_t first, size_t n,
                          float most, float *s);
    // exp_sum that fetches next[n], of nbytes each, into the cache meanwhile.
    void (*exp_sum_ahead)(const float *z, size_t n, const struct tempera_exponent *x, float *e,
                          const void *next, size_t nbytes, double lanes[16]);

    // ---- The sampler. Scores of -inf are no candidates.
    // The largest score, NaNs passed over; maxima[ceil(n / TEMPERA_MAXIMA_BLOCK)]: the largest of
    // each block, of either sign where it is 0. *is_finite: all scores are.
    float (*block_maxima)(const float *z, size_t n, float *maxima, bool *is_finite);
    // Copies the scores in [floor, ceiling], in order, with their ids: ids[n], or first, first + 1,
    // ... where that is NULL; without any where out_ids is NULL, too. Returns how many. out and
    // out_ids may be z and ids, and have room for n rounded up to 16.
    size_t (*gather)(const float *z, const int32_t *ids, size_t n, int32_t first, float floor,
                     float ceiling, float *out, int32_t *out_ids);
    // Adds max - z_i and its square to the lanes, in double.
    void (*deviation)(const float *z, size_t n, float max, double sums[16], double squares[16]);
    // w_i = e(z_i) rounded to the nearest integer, ties to even
    void (*masses)(const float *z, size_t n, const struct tempera_exponent *x, uint64_t *w);
    // The sum of w_i; n at most TEMPERA_MASSES_PER_SUM.
    uint64_t (*mass_sum)(const float *z, size_t n, const struct tempera_exponent *x);
    // mass_sum, and gather of the scores from `floor` on, which is above -inf, with their ids; so
    // many are *n_kept.
    uint64_t (*mass_sum_gather)(const float *z, size_t n, const struct tempera_exponent *x,
                                int32_t first, float floor, float *out, int32_t *out_ids,
                                size_t *n_kept);
    // The sums of w_i and of e(z_i) x_i, rounded, with x_i = min((max - z_i) / T, 1024), all in
    // f32; inverse_T = (float)(1 / T), n as for mass_sum.
    void (*mass_gaps)(const float *z, size_t n, const struct tempera_exponent *x, float max,
                      float inverse_T, uint64_t sums[2]);
    // The sum of (e(z_i) 2^-26)^2, rounded, in f32; n as for mass_sum.
    uint64_t (*mass_squares)(const float *z, size_t n, const struct tempera_exponent *x);
    // bits[n]: the lower 64 bits of Philox blocks; ids[n] are added to the counter's first word.
    void (*random_bits)(const uint32_t key[2], const uint32_t counter[4], const int32_t *ids,
                        size_t n, uint64_t *bits);
};

extern const struct tempera_kernels tempera_kernels_scalar;
#if defined(__x86_64__)
extern const struct tempera_kernels tempera_kernels_scalar_fma; // the same C, with the instruction
extern const struct tempera_kernels tempera_kernels_avx2;
extern const struct tempera_kernels tempera_kernels_avx512;
#elif defined(__aarch64__)
extern const struct tempera_kernels tempera_kernels_neon;
#endif

// The table in use.
const struct tempera_kernels *tempera_kernels(void);

// Table number i of those that are compiled and that the processor can run; NULL beyond the last.
const struct tempera_kernels *tempera_kernels_at(size_t i);

// Puts a table in use, also one that the public choice passes over, such as C without FMA.
void tempera_kernels_use(const struct tempera_kernels *table);

// ------------------------------------------------------------------------------------------------
// What is the same for all tables

struct tempera_temperature_params tempera_temperature_params_of(double T);

// The fixed tree in which 16 lanes are added; they are changed.
double tempera_sum_lanes(double lanes[16]);

// ln of the sum of exp((x_i - max) / T)
double tempera_ln_sum(const struct tempera_row_sum *sum);

// ------------------------------------------------------------------------------------------------
// Rows that are not ordinary: any T in (0, inf), any finite maximum, in double.

double tempera_f64_sum(const float *z, size_t n, float max, double T);
void tempera_f64_softmax(const float *z, size_t n, float max, double T, double sum, float *p);
void tempera_f64_log_softmax(const float *z, size_t n, float max, double T, double ln_S,
                             float *log_p);
// w_i = exp((z_i - max) / T) 2^51, rounded to nearest
void tempera_f64_masses(const float *z, size_t n, float max, double T, uint64_t *w);
void tempera_f64_backward(const float *p, const float *dp, size_t n, double dot, double T,
                          float *out);

// Element i of a mask.
static inline bool tempera_mask_allows(const uint32_t *mask, size_t i)
{
    return mask == NULL || (mask[i / 32] >> (i % 32) & 1) != 0;
}

#endif
