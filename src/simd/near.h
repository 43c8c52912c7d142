/* SPDX-License-Identifier: MIT
 *
 * near.h - covariances of almost parallel pairs, in float64; activations/near_dual.h has their duals.
 *
 * The angle t between two samples, cos t = k / (s1 s2), is lost in a rounded covariance k where t
 * is small: 1 - cos t = t^2 / 2. Carried from layer to layer are therefore minus = s1 s2 - k = s1
 * s2 (1 - cos t),   plus = s1 s2 + k,   d = s1 - s2 Errors of minus and plus are to stay below
 * rounding of s1 s2 times t, of d below rounding of d: all rules below are sums and products of
 * numbers that are not negative, or differences that are taken where they are exact. (Half the mean
 * squared distance, (q1 + q2) / 2 - k, will not do: where s1 and s2 differ it is dominated by d^2 /
 * 2, and t is lost in it again.) plus is for samples that are almost opposite: they stay so through
 * odd functions, and become parallel through even ones.
 */
#ifndef NTK_NEAR_H
#define NTK_NEAR_H

#include "simd/simd.h"
#include "simd/vmath.h"

#define NTK_NEAR_OP(name) NTK_CAT4(ntk_near_op_, name, NTK_SUFFIX, )

bool NTK_NEAR_OP(mark)(size_t n, const void *k, double s1, const void *s2, double from,
                       unsigned char *flags);
double NTK_NEAR_OP(square_difference)(size_t features, const void *x1, const void *x2);
double NTK_NEAR_OP(rejection)(size_t features, const void *x1, const void *x2, double r,
                              double square);

#ifdef NTK_IS_F64

void NTK_NEAR_OP(mix)(size_t n, int m, const struct ntk_near_run *const *in, const double *coef,
                      double constant, struct ntk_near_run *out);
void NTK_NEAR_OP(product)(size_t n, int m, const struct ntk_near_run *const *in,
                          struct ntk_near_run *out);
void NTK_NEAR_OP(normalise)(size_t n, const struct ntk_near_run *in, double eps,
                            struct ntk_near_run *out);
void NTK_NEAR_OP(self)(size_t n, const struct ntk_near_run *in, double factor,
                       struct ntk_near_run *out);

#define NTK_PI 3.14159265358979323846

/* A vector of pairs. */
struct near {
    V s1, s2, d, minus, plus;
};

/* x / y, y >= 0; 0 where both are 0 */
NTK_INLINE V vratio(V x, V y)
{
    return x / vmax(y, splat(0x1p-1022));
}

NTK_INLINE struct near near_load(const struct ntk_near_run *r, size_t i)
{
    return (struct near){splat(r->s1), load(r->s2 + i), load(r->d + i), load(r->minus + i),
                         load(r->plus + i)};
}

NTK_INLINE V near_value(const struct near *x)
{
    return (real)0.5 * (x->plus - x->minus);
}

NTK_INLINE void near_store(const struct ntk_near_run *r, size_t i, const struct near *x)
{
    store(r->d + i, x->d);
    store(r->minus + i, vmax(x->minus, splat(0))); /* which rounding may make less */
    store(r->plus + i, vmax(x->plus, splat(0)));
    store(r->value + i, near_value(x));
}

/* The correlation: 1 - cos t, 1 + cos t, t, pi - t, sin t. Undefined, it counts as 0. */
struct near_angle {
    V minus, plus, t, rest, sine;
};

NTK_INLINE struct near_angle near_angle(const struct near *x)
{
    const V p = x->s1 * x->s2;
    const V minus = pick(p > 0, vmin(vmax(vratio(x->minus, p), splat(0)), splat(2)), splat(1));
    const V plus = pick(p > 0, vmin(vmax(vratio(x->plus, p), splat(0)), splat(2)), splat(1));
    const V z = (real)0.5 * vmin(minus, plus), t = 2 * vsqrt(z) * VPOLY(z, arcsine);
    const M acute = minus < plus;

    return (struct near_angle){minus, plus, pick(acute, t, NTK_PI - t), pick(acute, NTK_PI - t, t),
                               vsqrt(minus * plus)};
}

/* sin t - t cos t, given sin t and cos t */
NTK_INLINE V near_arc(V t, V sine, V cosine)
{
    static const real c[] = {1.0 / 3,       -1.0 / 30,          1.0 / 840,          -1.0 / 45360,
                             1.0 / 3991680, -1.0 / 518918400.0, 1.0 / 93405312000.0};
    const V z = t * t;
    V y = splat(c[6]);

    NTK_UNROLL
    for (int i = 5; i >= 0; i--)
        y = y * z + c[i];
    return pick(t < (real)0.5, t * z * y, sine - t * cosine);
}

/* (a b' - a' b) r of two parts a, b and a', b', e = a - b, e' = a' - b': by the differences, which may be
 * small, unless they are as large as what they are of. */
NTK_INLINE V near_cross(V a, V b, V e, V a2, V b2, V e2, V r)
{
    const M apart = (4 * vabs(e) > a + b) | (4 * vabs(e2) > a2 + b2);

    return pick(apart, a * r * b2 - b * r * a2, (real)0.5 * (e * (a2 + b2) - e2 * (a + b)) * r);
}

/* Adds to y, whose minus and plus are sums over parts of that of each, what s1 s2 is more than the
 * sum over parts of a b (Lagrange's identity): a[i], b[i] are the roots of the variances of part i,
 * e[i] = a[i] - b[i]. */
NTK_INLINE void near_join(int parts, const V *a, const V *b, const V *e, struct near *y)
{
    V inner = splat(0), more = splat(0);

    for (int i = 0; i < parts; i++)
        inner += a[i] * b[i];
    const V root = vratio(splat(1), vsqrt(vmax(y->s1 * y->s2 + inner, splat(0))));
    for (int i = 0; i < parts; i++)
        for (int j = 0; j < i; j++) { /* divided before it is squared, or it leaves the range */
            const V cross = near_cross(a[i], b[i], e[i], a[j], b[j], e[j], root);
            more += cross * cross;
        }
    y->minus += more;
    y->plus += more;
}

#endif
#endif
