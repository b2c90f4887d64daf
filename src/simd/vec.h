// SPDX-License-Identifier: MIT
// The vector operations that every kernel is written in. A vector has 16 lanes on every machine;
// how many registers hold it depends on the instruction set, of which each has a header. The
// includer defines one of TEMPERA_VEC_SCALAR, _AVX2, _AVX512, _NEON first, and is compiled with the
// flags that it needs. Every operation gives the same bits in each header:
//
//     f32x16, f64x16, u64x16  16 floats, 16 doubles, 16 integers of 64 bits
//     m16                     16 truth values
//     v_load_part(p, n, fill) lanes [0, n) from memory, n < 16; no byte after them is touched
//     v_store_part(p, n, x)   the same for a store
//     v_stream(p, x)          non-temporal store, if the machine has one; p aligned to 64 bytes
//     v_stream_end()          a fence, before other threads may read what was streamed
//     v_fma(a, b, c)          a * b + c, rounded once
//     v_max, v_min(a, b)      b where either is a NaN or both are zeros
//     v_add_exponent(x, s)    x times 2^k, s being a float whose lowest bits hold the integer k
//     v_sub_bits(a, b)        the difference of their representations, as integers
//     v_unordered(a, b)       where either is a NaN
//     v_bits(bits)            lane i from bit i
//     v_bits_of(m)            bit i from lane i
//     v_compress(p, bits, x)  stores the lanes with a bit of 1, packed; may write up to 16 floats
//     v_compress_ids(p, bits, ids)  the same of ids[16], or of first, first + 1, ... for
//     v_compress_count(p, bits, first)
//     v_store_f16, _bf16      to nearest, ties to even, denormals kept; x is not a NaN
//     v_add_products(s, a, b) s + a * b in double, where the products are exact
//     v_round, v_round64(x)   to the nearest integer, ties to even; x in [0, 2^52)
//     v_narrow, v_truncate(x) doubles to floats: to nearest, toward zero
//     v_max_of_each(v), v_sum64_of_each(v)  lane i from v[i], of 16 vectors
//     v_sum64(x)              lane i gets lane i + 8, then i + 4, then i + 2, then i + 1
#ifndef TEMPERA_SIMD_VEC_H
#define TEMPERA_SIMD_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/half.h"

// For functions of vectors: with those of plain C, the compiler would call the larger ones and pass
// vectors in memory, at two thirds of the speed.
#define ALWAYS_INLINE __attribute__((always_inline)) static inline

#if defined(TEMPERA_VEC_AVX512)
#include "simd/vec_avx512.h"
#elif defined(TEMPERA_VEC_AVX2)
#include "simd/vec_avx2.h"
#elif defined(TEMPERA_VEC_NEON)
#include "simd/vec_neon.h"
#elif defined(TEMPERA_VEC_SCALAR)
#include "simd/vec_scalar.h"
#else
#error "define TEMPERA_VEC_SCALAR, TEMPERA_VEC_AVX2, TEMPERA_VEC_AVX512 or TEMPERA_VEC_NEON"
#endif

// For instruction sets that have no instruction for it.
#if !defined(TEMPERA_VEC_AVX512)
static inline void v_compress(float *p, uint32_t bits, f32x16 x)
{
    float lanes[16];
    v_store(lanes, x);
    for (; bits != 0; bits &= bits - 1)
        *p++ = lanes[__builtin_ctz(bits)];
}

static inline void v_compress_ids(int32_t *p, uint32_t bits, const int32_t *ids)
{
    for (; bits != 0; bits &= bits - 1)
        *p++ = ids[__builtin_ctz(bits)];
}

static inline void v_compress_count(int32_t *p, uint32_t bits, int32_t first)
{
    for (; bits != 0; bits &= bits - 1)
        *p++ = first + __builtin_ctz(bits);
}

static inline f32x16 v_max_of_each(const f32x16 v[16])
{
    float max[16];
    for (size_t i = 0; i < 16; i++)
        max[i] = v_max_lane(v[i]);
    return v_load(max);
}

static inline f64x16 v_sum64_of_each(const f64x16 v[16])
{
    double sums[16];
    for (size_t i = 0; i < 16; i++)
        sums[i] = v_sum64(v[i]);
    return v_load64(sums);
}

static inline f64x16 v_div64(f64x16 a, f64x16 b)
{
    double x[16], y[16];
    v_store64(x, a);
    v_store64(y, b);
    for (size_t i = 0; i < 16; i++)
        x[i] /= y[i];
    return v_load64(x);
}

static inline f32x16 v_narrow(f64x16 x)
{
    double doubles[16];
    float floats[16];
    v_store64(doubles, x);
    for (size_t i = 0; i < 16; i++)
        floats[i] = (float)doubles[i];
    return v_load(floats);
}

static inline f32x16 v_truncate(f64x16 x)
{
    double doubles[16];
    float floats[16];
    v_store64(doubles, x);
    for (size_t i = 0; i < 16; i++)
        floats[i] = tempera_truncated(doubles[i]);
    return v_load(floats);
}
#endif

#endif
