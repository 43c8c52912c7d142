/* SPDX-License-Identifier: MIT
 *
 * near_arcsine.h - the covariance asin(k / sqrt(G1 G2)), G = 1 + q, of almost parallel pairs
 * (near.h), with k and q in units that the caller chooses: what Erf and Gelu are made of.
 */
#ifndef NTK_NEAR_ARCSINE_H
#define NTK_NEAR_ARCSINE_H

#include "activations/near_dual.h"

#ifdef NTK_IS_F64

struct near_arcsine {
    V a1, a2;      /* a = asin(q / G), of each sample */
    V a;           /* asin(k / sqrt(G1 G2)) */
    V difference;  /* a1 - a2 */
    V minus, plus; /* sqrt(a1 a2) -+ a */
    V root;        /* sqrt(G1 G2 - k^2) */
};

/* x1 - x of one sample, x1 = q1 / G1, x = |k| / sqrt(G1 G2) */
NTK_INLINE V near_arcsine_step(V q1, V q2, V g1, V g2, V dq, V gap)
{
    const V r1 = vsqrt(q1), w1 = vsqrt(g1), w2 = vsqrt(g2), u = r1 * w2, v = vsqrt(q2) * w1;

    return vratio(r1, u + v) * (dq / g1) / w2 + gap / w1 / w2;
}

/* asin(x1) - asin(x), given x1 - x and the cosines */
NTK_INLINE V near_arcsine_gap(V step, V x1, V x, V c1, V c)
{
    return vangle(step * vratio(x1 + x, x1 * c + x * c1), c1 * c + x1 * x);
}

/* P(w), where asin(x) = x P(x^2), and *slope, its divided difference between w and v */
NTK_INLINE V near_arcsine_divided(V w, V v, V *slope)
{
    V value = splat(0);

    *slope = splat(0);
    NTK_UNROLL
    for (int i = NTK_COUNT(arcsine_f64) - 1; i >= 0; i--) {
        *slope = *slope * v + value;
        value = value * w + arcsine_f64[i];
    }
    return value;
}

/* sqrt(asin(x1) asin(x2)) - asin(x), x^2 <= 1/2, given sqrt(x1 x2) - x, x1 - x and x2 - x: what is left of
 * P(x1^2) P(x2^2) - P(x^2)^2 is small where samples are. */
NTK_INLINE V near_arcsine_small(V x, V less, V step1, V step2)
{
    const V w = x * x, more1 = step1 * (2 * x + step1), more2 = step2 * (2 * x + step2);
    V slope1, slope2;
    const V p = near_arcsine_divided(w, w + more1, &slope1);
    const V unused = near_arcsine_divided(w, w + more2, &slope2);
    const V p1 = more1 * slope1, p2 = more2 * slope2, root = vsqrt((p + p1) * (p + p2));

    (void)unused;
    return less * root + x * ((p * (p1 + p2) + p1 * p2) / (root + p));
}

NTK_INLINE struct near_arcsine near_arcsine(const struct near *x, real unit)
{
    const V q1 = unit * x->s1 * x->s1, q2 = unit * x->s2 * x->s2, g1 = 1 + q1, g2 = 1 + q2;
    const V dq = unit * x->d * (x->s1 + x->s2), gap = unit * vmin(x->minus, x->plus);
    const V k = unit * vabs(near_value(x)), both = vsqrt(g1) * vsqrt(g2);
    const V c = vsqrt((1 + q1 + q2) / g1 / g2 + (unit * x->minus / both) * (unit * x->plus / both));
    const V x1 = q1 / g1, x2 = q2 / g2, xx = k / both;
    const V c1 = vsqrt(1 + 2 * q1) / g1, c2 = vsqrt(1 + 2 * q2) / g2, root = c * both;
    const V a1 = vangle(x1, c1), a2 = vangle(x2, c2), a = vangle(xx, c);
    const V step1 = near_arcsine_step(q1, q2, g1, g2, dq, gap);
    const V step2 = near_arcsine_step(q2, q1, g2, g1, -dq, gap);
    const V e1 = near_arcsine_gap(step1, x1, xx, c1, c), e2 = near_arcsine_gap(step2, x2, xx, c2, c);
    const V radial = vratio(e1 - e2, vsqrt(a1) + vsqrt(a2));
    const V far = vsqrt(a1) * vsqrt(a2) + a, plain = vsqrt(a1) * vsqrt(a2) - a;
    const V small = near_arcsine_small(xx, gap / both, step1, step2);
    const V large = pick(4 * vmax(vabs(e1), vabs(e2)) > a, plain,
                         (real)0.5 * ((e1 + e2) - radial * radial));
    const V near = pick(vmax(x1, x2) < (real)0.7, small, large);
    const M opposite = x->plus < x->minus;

    return (struct near_arcsine){.a1 = a1,
                                 .a2 = a2,
                                 .a = pick(opposite, -a, a),
                                 .difference = e1 - e2,
                                 .minus = pick(opposite, far, near),
                                 .plus = pick(opposite, near, far),
                                 .root = root};
}

#endif
#endif
