// SPDX-License-Identifier: MIT
// Products with small M in AVX2 with FMA; compiled with -mavx2, fma, f16c.
#define TEMPERA_VEC_AVX2
#define TABLE tempera_small_m_avx2
#define TILE_ROWS 6
#define TILE_VECTORS 1
#include "matmul/small_m_tmpl.h"
