/* SPDX-License-Identifier: MIT
 *
 * vmath.h - vectors of `real`, LANES of them, and the functions that duals need. Plain C on the
 * compilers' vector extension. The build defines for each object
 *     NTK_REAL     float or double
 *     NTK_VBYTES   bytes in a vector: 16, 32 or 64
 *     NTK_SUFFIX   ending of the object's symbols, e.g. _avx512_f32
 *
 * No function branches on its argument. Errors, where not said otherwise, are about one unit in the
 * last place of the result (two without fused multiply-add).
 */
#ifndef NTK_VMATH_H
#define NTK_VMATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if NTK_VBYTES >= 32
#include <immintrin.h>
#endif

#include "simd/polynomials.h"

#define NTK_CAT4_(a, b, c, d) a##b##c##d
#define NTK_CAT4(a, b, c, d) NTK_CAT4_(a, b, c, d)

/* Loops over lanes and coefficients disappear only if the compiler unrolls them whole, and cases are copies of their own
 * only if it inlines. Sanitizers check every element of all of these: they get loops and calls, or compiling takes
 * minutes. */
#ifdef __SANITIZE_ADDRESS__
#define NTK_UNROLL
#elif defined(__clang__)
#define NTK_UNROLL _Pragma("unroll")
#else
#define NTK_UNROLL _Pragma("GCC unroll 64")
#endif
#ifdef __SANITIZE_ADDRESS__
#define NTK_INLINE static inline
#else
#define NTK_INLINE static inline __attribute__((always_inline))
#endif

typedef NTK_REAL real;
#define LANES (NTK_VBYTES / sizeof(real))
#define IS_F32 (sizeof(real) == 4)
#define CHAINS 4 /* sums or maxima side by side in loops with nothing else: one alone waits for its last */

typedef real V __attribute__((vector_size(NTK_VBYTES)));
typedef real VU __attribute__((vector_size(NTK_VBYTES), aligned(sizeof(real)), may_alias));
typedef __typeof__((V){0} < (V){0}) M; /* lanes of all ones or all zeros: result of a comparison */

NTK_INLINE V load(const real *p) { return *(const VU *)p; }
NTK_INLINE void store(real *p, V x) { *(VU *)p = x; }
NTK_INLINE V splat(real x) { return x - (V){0}; } /* minus: 0 + -0.0 would be +0.0 */

/* x times one number in memory. Compilers load it into a vector first, which takes the slot of an addition. */
#if NTK_VBYTES == 64
NTK_INLINE V vtimes(V x, const real *y)
{
    if (IS_F32)
        __asm__("vmulps %1%{1to16%}, %0, %0" : "+v"(x) : "m"(*y));
    else
        __asm__("vmulpd %1%{1to8%}, %0, %0" : "+v"(x) : "m"(*y));
    return x;
}
#else
NTK_INLINE V vtimes(V x, const real *y) { return x * splat(*y); }
#endif

/* Some lane is not 0. */
NTK_INLINE bool vany(M mask)
{
    uint64_t bits[NTK_VBYTES / sizeof(uint64_t)], any = 0;

    memcpy(bits, &mask, sizeof bits);
    NTK_UNROLL
    for (size_t i = 0; i < NTK_VBYTES / sizeof *bits; i++)
        any |= bits[i];
    return any != 0;
}

/* mask ? a : b, lane by lane */
NTK_INLINE V pick(M mask, V a, V b) { return (V)(((M)a & mask) | ((M)b & ~mask)); }
NTK_INLINE V vabs(V x) { return (V)((M)x & ~(M)splat((real)-0.0)); }
/* |x| with the sign of s */
NTK_INLINE V vsign(V x, V s)
{
    const M bit = (M)splat((real)-0.0);
    return (V)(((M)x & ~bit) | ((M)s & bit));
}
/* x, and -x where s has a minus sign */
NTK_INLINE V vflip(V x, V s) { return (V)((M)x ^ ((M)s & (M)splat((real)-0.0))); }
/* Maximum, minimum, and x where s >= 0 else y (at -0.0 either). Compilers do not find the instructions
 * in the plain form; where they matter they are named. */
#if NTK_VBYTES == 64
NTK_INLINE V vmax(V a, V b)
{
    return IS_F32 ? (V)_mm512_max_ps((__m512)a, (__m512)b) : (V)_mm512_max_pd((__m512d)a, (__m512d)b);
}
NTK_INLINE V vmin(V a, V b)
{
    return IS_F32 ? (V)_mm512_min_ps((__m512)a, (__m512)b) : (V)_mm512_min_pd((__m512d)a, (__m512d)b);
}
NTK_INLINE V vwhere(V s, V x, V y)
{
    if (IS_F32)
        return (V)_mm512_mask_blend_ps(
            _mm512_cmp_ps_mask((__m512)s, _mm512_setzero_ps(), _CMP_GE_OQ), (__m512)y, (__m512)x);
    return (V)_mm512_mask_blend_pd(
        _mm512_cmp_pd_mask((__m512d)s, _mm512_setzero_pd(), _CMP_GE_OQ), (__m512d)y, (__m512d)x);
}
#elif NTK_VBYTES == 32 && defined(__AVX2__)
NTK_INLINE V vmax(V a, V b)
{
    return IS_F32 ? (V)_mm256_max_ps((__m256)a, (__m256)b) : (V)_mm256_max_pd((__m256d)a, (__m256d)b);
}
NTK_INLINE V vmin(V a, V b)
{
    return IS_F32 ? (V)_mm256_min_ps((__m256)a, (__m256)b) : (V)_mm256_min_pd((__m256d)a, (__m256d)b);
}
NTK_INLINE V vwhere(V s, V x, V y)
{
    return IS_F32 ? (V)_mm256_blendv_ps((__m256)x, (__m256)y, (__m256)s)
                  : (V)_mm256_blendv_pd((__m256d)x, (__m256d)y, (__m256d)s);
}
#else
NTK_INLINE V vmax(V a, V b) { return pick(a > b, a, b); }
NTK_INLINE V vmin(V a, V b) { return pick(a < b, a, b); }
NTK_INLINE V vwhere(V s, V x, V y) { return pick(s >= 0, x, y); }
#endif
NTK_INLINE V vsqrt(V x)
{
    V y;
    NTK_UNROLL
    for (size_t i = 0; i < LANES; i++)
        y[i] = IS_F32 ? (real)__builtin_sqrtf((float)x[i]) : (real)__builtin_sqrt((double)x[i]);
    return y;
}

/* Polynomials of polynomials.h: VPOLY(x, arcsine) is that of the element type. */
NTK_INLINE V vpoly_f32(V x, const float *c, int n)
{
    V y = splat((real)c[n - 1]);
    NTK_UNROLL
    for (int i = n - 2; i >= 0; i--)
        y = y * x + (real)c[i];
    return y;
}
NTK_INLINE V vpoly_f64(V x, const double *c, int n)
{
    V y = splat((real)c[n - 1]);
    NTK_UNROLL
    for (int i = n - 2; i >= 0; i--)
        y = y * x + (real)c[i];
    return y;
}
#define NTK_COUNT(table) ((int)(sizeof(table) / sizeof *(table)))
#define VPOLY(x, name)                                          \
    (IS_F32 ? vpoly_f32((x), name##_f32, NTK_COUNT(name##_f32)) \
            : vpoly_f64((x), name##_f64, NTK_COUNT(name##_f64)))

/* Angle of the unit vector (c, x), c >= 0: asin(x), given c = sqrt(1 - x^2) as well as the caller
 * knows it. The smaller of the two is the argument of the polynomial, so that nothing is lost at
 * either end. */
NTK_INLINE V vangle(V x, V c)
{
    const V a = vabs(x), s = vmin(a, c), z = s * s;
    const V t = s * VPOLY(z, arcsine);
    return vsign(pick(a < c, t, (real)1.57079632679489661923 - t), x);
}

/* For standard Gaussian u, v with correlation rho in [-1, 1], or outside it by rounding:
 * *r = E[u+ v+] and *d = P(u > 0, v > 0). With a = |rho|, t = sqrt(1 - a) the values at -a are
 * t^3 W(a) / 2 and t P(a) / 2, W and P polynomials; those at a follow from E[u+ v] = rho / 2 and
 * P(u > 0) = 1/2. The result is good relative to its size even near rho = -1. */
NTK_INLINE void vorthant(V rho, V *r, V *d)
{
    const V a = vabs(rho), u = vmax(1 - a, splat(0)), t = vsqrt(u); /* u and t are 0 where a > 1 */
    const V p = t * VPOLY(a, arccos_p);

    *r = (real)0.5 * (vmax(rho, splat(0)) + t * u * VPOLY(a, arccos_w));
    *d = (real)0.5 * vwhere(rho, 1 - p, p);
}

/* x = n log 2 + r with integer n and |r| <= log(2) / 2; |x| up to 700 (float: 87). */
NTK_INLINE V vreduce(V x, V *n)
{
    const real round = IS_F32 ? (real)12582912.0 : (real)6755399441055744.0; /* 1.5 * 2^23 or 52 */
    const real hi = IS_F32 ? (real)0.693359375 : (real)6.93147180369123816490e-01;
    const real lo = IS_F32 ? (real)-2.12194440e-4 : (real)1.90821492927058770002e-10;

    *n = (x * (real)1.44269504088896340736 + round) - round;
    return (x - *n * hi) - *n * lo;
}

/* 2^n for an integer n in the range of normal numbers */
NTK_INLINE V vpow2(V n)
{
    const real bias = IS_F32 ? (real)(12582912.0 + 127) : (real)(6755399441055744.0 + 1023);
    return (V)((M)(n + bias) << (IS_F32 ? 23 : 52));
}

/* exp(x); 0 below the range of normal numbers, infinite or the largest power above it. */
NTK_INLINE V vexp(V x)
{
    const real least = IS_F32 ? (real)-87 : (real)-708, most = IS_F32 ? (real)88 : (real)709;
    const V y = vmin(vmax(x, splat(least)), splat(most));
    V n;
    const V r = vreduce(y, &n), e = r + r * r * VPOLY(r, exponential), s = vpow2(n - 1);
    return pick(x < least, splat(0), 2 * (s + s * e));
}

/* exp(x) - 1 for x <= 0 */
NTK_INLINE V vexpm1(V x)
{
    V n;
    const V r = vreduce(vmax(x, splat(-40)), &n), e = r + r * r * VPOLY(r, exponential);
    const V s = vpow2(n);
    return (s - 1) + s * e;
}

#endif
