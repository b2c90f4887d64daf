// SPDX-License-Identifier: MIT
// The kernels in plain C for x86 with an FMA instruction; compiled with -mfma.
#define TEMPERA_VEC_SCALAR
#define TABLE tempera_kernels_scalar_fma
#define TABLE_ISA TEMPERA_ISA_SCALAR
#define TABLE_NAME "scalar, fma"
#include "kernels/table_tmpl.h"
