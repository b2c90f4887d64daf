// SPDX-License-Identifier: MIT
// The caller's floating-point modes (rounding, flush to zero) must not change a result, and must
// be found again afterwards. Every public score function, and every task that it gives to an
// executor, runs between enter and leave. Arithmetic between them belongs into functions behind
// the kernel table or marked noinline, which the compiler can't move across.
#ifndef TEMPERA_BASE_FPENV_H
#define TEMPERA_BASE_FPENV_H

#include <stdint.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

struct tempera_fpenv {
    uint64_t saved;
};

static inline struct tempera_fpenv tempera_fpenv_enter(void)
{
    struct tempera_fpenv env = {0};
#if defined(__SSE2__)
    enum { DEFAULT_MXCSR = 0x1F80 }; // all exceptions masked, to nearest, denormals kept
    env.saved = _mm_getcsr();
    _mm_setcsr(DEFAULT_MXCSR);
#elif defined(__aarch64__)
    __asm__ volatile("mrs %0, fpcr" : "=r"(env.saved));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0) : "memory");
#endif
    return env;
}

static inline void tempera_fpenv_leave(struct tempera_fpenv env)
{
#if defined(__SSE2__)
    _mm_setcsr((unsigned)env.saved);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(env.saved) : "memory");
#else
    (void)env;
#endif
}

#endif
