// SPDX-License-Identifier: MIT
// Chooses the active table: the best instruction set that is compiled in, detected and allowed.
// TEMPERA_ISA is read once, at the first use; tempera_cpu_set_mask() overrides it.
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "simd/cpu.h"

#if defined(__AVX__)
#error "this file also runs on processors without AVX: do not compile it for AVX"
#endif

// Ascending: a later table is preferred.
static const struct tempera_kernels *const tables[] = {
    &tempera_kernels_scalar,
#if defined(__x86_64__)
    &tempera_kernels_scalar_fma,
    &tempera_kernels_avx2,
    &tempera_kernels_avx512,
#elif defined(__aarch64__)
    &tempera_kernels_neon,
#endif
};

enum { N_TABLES = sizeof tables / sizeof *tables };

static pthread_once_t detect_once = PTHREAD_ONCE_INIT;
static uint32_t detected;
static _Atomic(const struct tempera_kernels *) active;

static bool can_run(const struct tempera_kernels *table)
{
#if defined(__x86_64__)
    if (table == &tempera_kernels_scalar_fma && !(detected & TEMPERA_ISA_AVX2)) // which has FMA
        return false;
#endif
    return (table->isa & detected) != 0;
}

static const struct tempera_kernels *best(uint32_t allowed)
{
    const struct tempera_kernels *found = NULL;
    for (size_t i = 0; i < N_TABLES; i++)
        if (can_run(tables[i]) && (tables[i]->isa & allowed))
            found = tables[i];
    return found;
}

static void detect(void)
{
    detected = tempera_simd_detect();
    const char *name = getenv("TEMPERA_ISA");
    uint32_t allowed = name != NULL ? tempera_isa_from_name(name) : 0;
    const struct tempera_kernels *table = best(allowed);
    atomic_store(&active, table != NULL ? table : best(UINT32_MAX));
}

const struct tempera_kernels *tempera_kernels_active(void)
{
    const struct tempera_kernels *table = atomic_load_explicit(&active, memory_order_acquire);
    if (table == NULL) {
        pthread_once(&detect_once, detect);
        table = atomic_load(&active);
    }
    return table;
}

const struct tempera_kernels *tempera_kernels_at(size_t i)
{
    tempera_kernels_active();
    for (size_t table = 0; table < N_TABLES; table++)
        if (can_run(tables[table]) && i-- == 0)
            return tables[table];
    return NULL;
}

void tempera_kernels_use(const struct tempera_kernels *table)
{
    tempera_kernels_active();
    atomic_store(&active, table);
}

// ------------------------------------------------------------------------------------------------
// The public side

uint32_t tempera_cpu_detected(void)
{
    tempera_kernels_active();
    return detected;
}

uint32_t tempera_cpu_compiled(void)
{
    uint32_t compiled = 0;
    for (size_t i = 0; i < N_TABLES; i++)
        compiled |= tables[i]->isa;
    return compiled;
}

enum tempera_isa tempera_cpu_active(void)
{
    return tempera_kernels_active()->isa;
}

enum tempera_status tempera_cpu_set_mask(uint32_t mask)
{
    tempera_kernels_active(); // reads TEMPERA_ISA, which would otherwise override this call
    const struct tempera_kernels *table = best(mask);
    if (table == NULL)
        return TEMPERA_UNSUPPORTED;
    atomic_store(&active, table);
    return TEMPERA_OK;
}

static const struct {
    uint32_t isa;
    const char *name;
} names[] = {
    {TEMPERA_ISA_SCALAR, "scalar"},
    {TEMPERA_ISA_AVX2, "avx2"},
    {TEMPERA_ISA_AVX512, "avx512"},
    {TEMPERA_ISA_NEON, "neon"},
};

const char *tempera_isa_name(enum tempera_isa isa)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].isa == (uint32_t)isa)
            return names[i].name;
    return "?";
}

uint32_t tempera_isa_from_name(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].isa;
    return 0;
}
