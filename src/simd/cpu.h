// SPDX-License-Identifier: MIT
// What the processor and the operating system can run.
#ifndef TEMPERA_SIMD_CPU_H
#define TEMPERA_SIMD_CPU_H

#include <stdint.h>

// A set of enum tempera_isa bits. Asks the processor at each call.
uint32_t tempera_simd_detect(void);

#endif
