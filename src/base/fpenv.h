// SPDX-License-Identifier: MIT
// The caller's floating-point modes (rounding, flush to zero) must not change a result, and must
// be found again afterwards. Every public score function, and every task that it gives to an
// executor, runs between enter and leave.
//
// The compiler knows nothing of modes and may move arithmetic across a change of them, inlined or
// not: a call of a function without side effects may be moved, too, so noinline is no help. Two
// things are:
// - enter and leave are walls for memory: what is computed from memory that others can reach, or
//   stored there, stays inside.
// - carry takes values through the walls that only locals hold, such as parameters, a call's own
//   struct, and the status returned: after enter what goes in, before leave what comes out. Of a
//   struct on the stack, carry after enter is enough: from then on others can reach it.
#ifndef TEMPERA_BASE_FPENV_H
#define TEMPERA_BASE_FPENV_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

enum { TEMPERA_DEFAULT_MXCSR = 0x1F80 }; // exceptions masked, to nearest, denormals kept

struct tempera_fpenv {
    uint64_t saved;
};

// The modes of a caller who changed nothing, exception flags left out. Writing the register costs
// more than reading it and comparing, and for short rows that shows.
static inline bool tempera_fpenv_is_default(uint64_t saved)
{
#if defined(__SSE2__)
    enum { FLAGS = 0x3F };
    return (saved & ~(uint64_t)FLAGS) == TEMPERA_DEFAULT_MXCSR;
#else
    return saved == 0;
#endif
}

// The object, of which the compiler then knows neither where its value is from nor where it goes.
static inline void tempera_fpenv_carry(void *object)
{
    __asm__ volatile("" : : "r"(object) : "memory");
}

static inline void tempera_fpenv_wall(void)
{
    __asm__ volatile("" : : : "memory");
}

static inline struct tempera_fpenv tempera_fpenv_enter(void)
{
    struct tempera_fpenv env = {0};
#if defined(__SSE2__)
    env.saved = _mm_getcsr();
    if (!tempera_fpenv_is_default(env.saved))
        _mm_setcsr(TEMPERA_DEFAULT_MXCSR);
#elif defined(__aarch64__)
    __asm__ volatile("mrs %0, fpcr" : "=r"(env.saved));
    if (!tempera_fpenv_is_default(env.saved))
        __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0) : "memory");
#endif
    tempera_fpenv_wall();
    return env;
}

static inline void tempera_fpenv_leave(struct tempera_fpenv env)
{
    tempera_fpenv_wall();
    if (tempera_fpenv_is_default(env.saved))
        return;
#if defined(__SSE2__)
    _mm_setcsr((unsigned)env.saved);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(env.saved) : "memory");
#endif
}

#endif
