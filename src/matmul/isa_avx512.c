// SPDX-License-Identifier: MIT
// Products with small M in AVX-512; compiled with -mavx512f, bw, dq, vl.
#define TEMPERA_VEC_AVX512
#define TABLE tempera_small_m_avx512
#define TILE_ROWS 8
#define TILE_VECTORS 3
#include "matmul/small_m_tmpl.h"
