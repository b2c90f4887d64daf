// SPDX-License-Identifier: MIT
// The kernels in AArch64 Advanced SIMD.
#define TEMPERA_VEC_NEON
#define TABLE tempera_kernels_neon
#define TABLE_ISA TEMPERA_ISA_NEON
#define TABLE_NAME "neon"
#include "kernels/table_tmpl.h"
