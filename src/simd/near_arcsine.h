/* SPDX-License-Identifier: MIT
 *
 * near_arcsine.h - the covariance asin(k / sqrt(G1 G2)), G = 1 + q, of almost parallel pairs
 * (near.h), with k and q in units that the caller chooses: what Erf and Gelu are made of.
 */
#ifndef NTK_NEAR_ARCSINE_H
#define NTK_NEAR_ARCSINE_H

#include "simd/near.h"

#ifdef NTK_IS_F64

struct near_arcsine {
    V a1, a2;      /* a = asin(q / G), of each sample */
    V a;           /* asin(k / sqrt(G1 G2)) */
    V difference;  /* a1 - a2 */
    V minus, plus; /* sqrt(a1 a2) -+ a */
    V root;        /* sqrt(G1 G2 - k^2) */
};

/* asin(q1 / G1) - asin(|k| / sqrt(G1 G2)), cosines of these angles c1, c */
NTK_INLINE V near_arcsine_step(V q1, V q2, V g1, V g2, V dq, V gap, V x1, V x, V c1, V c)
{
    const V r1 = vsqrt(q1), w1 = vsqrt(g1), w2 = vsqrt(g2), u = r1 * w2, v = vsqrt(q2) * w1;
    const V step = vratio(r1, u + v) * (dq / g1) / w2 + gap / w1 / w2; /* x1 - x */

    return vangle(step * vratio(x1 + x, x1 * c + x * c1), c1 * c + x1 * x);
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
    const V e1 = near_arcsine_step(q1, q2, g1, g2, dq, gap, x1, xx, c1, c);
    const V e2 = near_arcsine_step(q2, q1, g2, g1, -dq, gap, x2, xx, c2, c);
    const V radial = vratio(e1 - e2, vsqrt(a1) + vsqrt(a2));
    const V near = (real)0.5 * ((e1 + e2) - radial * radial), far = vsqrt(a1 * a2) + a;
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
