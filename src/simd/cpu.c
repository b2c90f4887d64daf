// SPDX-License-Identifier: MIT
// Capabilities only: an instruction set counts if the processor has all of its extensions and the
// operating system saves its registers (XCR0). Which one is used is decided in kernels/dispatch.c.
#include "simd/cpu.h"

#include <pthread.h>
#include <string.h>

#include <tempera/cpu.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

struct leaf {
    uint32_t a, b, c, d;
};

static struct leaf read_leaf(uint32_t number, uint32_t sub)
{
    struct leaf leaf = {0, 0, 0, 0};
    if (number <= (uint32_t)__get_cpuid_max(number & 0x80000000u, NULL))
        __cpuid_count(number, sub, leaf.a, leaf.b, leaf.c, leaf.d);
    return leaf;
}

static uint64_t saved_registers(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static int has_all(uint64_t value, uint64_t bits)
{
    return (value & bits) == bits;
}

uint32_t tempera_simd_detect(void)
{
    enum { FMA = 1 << 12, OSXSAVE = 1 << 27, AVX = 1 << 28, F16C = 1 << 29 }; // leaf 1, ecx
    enum { AVX2 = 1 << 5, AVX512F = 1 << 16, AVX512DQ = 1 << 17, AVX512BW = 1 << 30 }; // 7, ebx
    const uint32_t avx512vl = 1u << 31;
    enum { YMM_STATE = 0x6, ZMM_STATE = 0xE6 };
    uint32_t found = TEMPERA_ISA_SCALAR;
    struct leaf basic = read_leaf(1, 0), extended = read_leaf(7, 0);
    if (!has_all(basic.c, OSXSAVE | AVX))
        return found;
    uint64_t saved = saved_registers();
    if (has_all(saved, YMM_STATE) && has_all(basic.c, FMA | F16C) && has_all(extended.b, AVX2)) {
        found |= TEMPERA_ISA_AVX2;
        if (has_all(saved, ZMM_STATE) &&
            has_all(extended.b, AVX512F | AVX512DQ | AVX512BW | avx512vl))
            found |= TEMPERA_ISA_AVX512;
    }
    return found;
}

static void read_name(char *name)
{
    for (uint32_t i = 0; i < 3; i++) {
        struct leaf leaf = read_leaf(0x80000002u + i, 0);
        memcpy(name + 16 * i, &leaf, 16);
    }
}
#elif defined(__aarch64__)
uint32_t tempera_simd_detect(void)
{
    return TEMPERA_ISA_SCALAR | TEMPERA_ISA_NEON; // which every AArch64 processor has
}

static void read_name(char *name)
{
    strcpy(name, "AArch64");
}
#else
uint32_t tempera_simd_detect(void)
{
    return TEMPERA_ISA_SCALAR;
}

static void read_name(char *name)
{
    name[0] = '\0';
}
#endif

static pthread_once_t name_once = PTHREAD_ONCE_INIT;
static char cpu_name[49];

static void find_name(void)
{
    read_name(cpu_name);
    for (size_t n = strlen(cpu_name); n > 0 && cpu_name[n - 1] == ' '; n--)
        cpu_name[n - 1] = '\0';
    if (cpu_name[0] == '\0')
        strcpy(cpu_name, "unknown");
}

const char *tempera_cpu_name(void)
{
    pthread_once(&name_once, find_name);
    return cpu_name;
}
