// SPDX-License-Identifier: MIT
// f64 rows: those whose temperature or maximum is out of the f32 kernels' range, that is T below
// 1.1e-36 or above 1.8e30, or scores from 1e31 on. Plain C in double, as such rows are rare.
#ifndef TEMPERA_KERNELS_ROWS_F64_H
#define TEMPERA_KERNELS_ROWS_F64_H

#include <stddef.h>
#include <stdint.h>

// Each for any T in (0, inf) and a finite maximum.
double tempera_f64_sum(const float *z, size_t n, float max, double T);
void tempera_f64_softmax(const float *z, size_t n, float max, double T, double sum, float *p);
void tempera_f64_log_softmax(const float *z, size_t n, float max, double T, double ln_S,
                             float *log_p);
// w_i = exp((z_i - max) / T) 2^51, rounded to nearest
void tempera_f64_masses(const float *z, size_t n, float max, double T, uint64_t *w);
void tempera_f64_backward(const float *p, const float *dp, size_t n, double dot, double T,
                          float *out);

#endif
