// SPDX-License-Identifier: MIT
// exp of 16 scores, which most kernels are built on. docs/NUMERICS.md has the derivation.
#ifndef TEMPERA_KERNELS_EXP_TMPL_H
#define TEMPERA_KERNELS_EXP_TMPL_H

#include "kernels/kernels.h"
#include "simd/vec.h"

// 2^f - 1 for |f| <= 1/2 + 1e-4: a polynomial of degree 6, in a form whose value never falls as f
// rises, which Horner's form does. c1 is ln 2, or 2 ulp less: then 2^f does not fall either where
// exp16 passes from one power of two to the next. scripts/make-exp-polynomial shows the fit and its
// error, tests/kernels/prove.c goes through every float.
ALWAYS_INLINE f32x16 two_to_minus_one(f32x16 f, float c1)
{
    f32x16 r = v_fma(f, v_set(0x1.366874p-13f), v_set(0x1.5e1bbcp-10f));
    r = v_fma(r, f, v_set(0x1.3b3d6cp-7f));
    r = v_fma(r, f, v_set(0x1.c6b20cp-5f));
    r = v_fma(r, f, v_set(0x1.ebfbc6p-3f));
    return v_fma(f, v_set(c1), v_mul(v_mul(f, f), r));
}

ALWAYS_INLINE f32x16 two_to(f32x16 f)
{
    return v_add(v_set(1), two_to_minus_one(f, 0x1.62e42cp-1f)); // ln 2 - 2 ulp
}

// struct tempera_exponent with one value a lane.
struct exponents {
    f32x16 shift, lowest, L_high, L_low, magic;
};

ALWAYS_INLINE struct exponents exponents_of(const struct tempera_exponent *how)
{
    return (struct exponents){v_set(how->shift), v_set(how->lowest), v_set(how->L_high),
                              v_set(how->L_low), v_set(how->magic)};
}

// e(x) = 2^((x - shift) L + k0), where magic = 1.5 2^23 + k0. x: at most the maximum, not a NaN.
// Adding magic rounds (x - shift) L to an integer, which stays in t's lowest bits; f is the rest of
// the exponent, |f| <= 1/2 + 4e-5. shifts = false: the shift is known to be 0, which holds for most
// rows (see tempera_exponent_of) and saves one operation of sixteen.
ALWAYS_INLINE f32x16 exp16_each(f32x16 x, const struct exponents *how, bool shifts)
{
    f32x16 d = v_max(how->lowest, shifts ? v_sub(x, how->shift) : x);
    f32x16 t = v_fma(d, how->L_high, how->magic);
    f32x16 f = v_fma(d, how->L_low, v_fma(d, how->L_high, v_sub(how->magic, t)));
    return v_add_exponent(two_to(f), t);
}

ALWAYS_INLINE f32x16 exp16(f32x16 x, const struct tempera_exponent *how, bool shifts)
{
    const struct exponents all = exponents_of(how);
    return exp16_each(x, &all, shifts);
}

#endif
