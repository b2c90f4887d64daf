// SPDX-License-Identifier: MIT
// The kernels in AVX-512; compiled with -mavx512f, bw, dq, vl.
#define TEMPERA_VEC_AVX512
#define TABLE tempera_kernels_avx512
#define TABLE_ISA TEMPERA_ISA_AVX512
#define TABLE_NAME "avx512"
#include "kernels/table_tmpl.h"
