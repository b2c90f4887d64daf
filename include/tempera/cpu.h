// SPDX-License-Identifier: MIT
// Which instruction sets the processor has, and which one the score path uses. The results' bits do
// not depend on the choice; only the time does.
#ifndef TEMPERA_CPU_H
#define TEMPERA_CPU_H

#include <stdint.h>

#include <tempera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

// Instruction sets, as bits. SCALAR, plain C, is always there.
enum tempera_isa {
    TEMPERA_ISA_SCALAR = 1,
    TEMPERA_ISA_AVX2 = 2,   // AVX2, FMA and F16C
    TEMPERA_ISA_AVX512 = 4, // AVX-512 F, BW, DQ, VL
    TEMPERA_ISA_NEON = 8,   // AArch64 Advanced SIMD
};

// The instruction sets that this processor and operating system can run, as a set of bits.
TEMPERA_API uint32_t tempera_cpu_detected(void);

// The instruction sets that this build has kernels for, as a set of bits.
TEMPERA_API uint32_t tempera_cpu_compiled(void);

// The instruction set in use: the best that is detected, compiled and allowed.
TEMPERA_API enum tempera_isa tempera_cpu_active(void);

// Restricts the choice to the instruction sets in `mask`, for tests and the command line. The
// environment variable TEMPERA_ISA (scalar, avx2, avx512, neon), read at the first use, does the
// same for one of them; an unknown name there is ignored. Status: UNSUPPORTED, and nothing changes,
// if no detected and compiled one is left. Call it before other threads use the library.
TEMPERA_API enum tempera_status tempera_cpu_set_mask(uint32_t mask);

// "scalar", "avx2", "avx512", "neon"; "?" for a value that is not one of the enum.
TEMPERA_API const char *tempera_isa_name(enum tempera_isa isa);

// The instruction set with this name; 0 if there is none, or for NULL.
TEMPERA_API uint32_t tempera_isa_from_name(const char *name);

// The processor's name, such as "AMD EPYC 9B14", or "unknown". Never NULL.
TEMPERA_API const char *tempera_cpu_name(void);

#ifdef __cplusplus
}
#endif
#endif
