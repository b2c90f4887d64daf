// SPDX-License-Identifier: MIT
// The kernels in AVX2; compiled with -mavx2 -mfma -mf16c.
#define TEMPERA_VEC_AVX2
#define TABLE tempera_kernels_avx2
#define TABLE_ISA TEMPERA_ISA_AVX2
#define TABLE_NAME "avx2"
#include "kernels/table_tmpl.h"
