// SPDX-License-Identifier: MIT
// The kernels in plain C, for every processor.
#define TEMPERA_VEC_SCALAR
#define TABLE tempera_kernels_scalar
#define TABLE_ISA TEMPERA_ISA_SCALAR
#define TABLE_NAME "scalar"
#include "kernels/table_tmpl.h"
