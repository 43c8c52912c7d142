/* SPDX-License-Identifier: MIT
 *
 * dual.h - for the vector half of an activation's file (activations/activation.h).
 *
 * The file writes the dual of one vector of pairs,
 *
 *     NTK_INLINE void point(V k, const V *a, const V *b, const real *par, V *f, V *d)
 *     { ... a[s], b[s]: side s of the first and second samples; writes *f and *d ... }
 *     NTK_DUAL(erf, 1, point)          name, number of sides, function
 *
 * and NTK_DUAL makes the loops around it: sides of the first sample broadcast or one per lane; F
 * and D, one of them, or what a layer makes of both (what is not needed the compiler removes). vmath.h has the functions.
 */
#ifndef NTK_DUAL_H
#define NTK_DUAL_H

#include "activations/loops.h"
#include "simd/vmath.h"

#define NTK_DUAL_SYMBOL(name) NTK_CAT4(ntk_dual_, name, NTK_SUFFIX, )
#define NTK_MANY_SYMBOL(name) NTK_CAT4(ntk_many_, name, NTK_SUFFIX, )

/* What is wanted of a vector's moments. */
enum dual_want { WANT_F, WANT_D, WANT_BOTH, WANT_LAYER, WANT_ANY };

NTK_INLINE void dual_store(const struct ntk_dual_args *p, size_t i, enum dual_want want, V f, V d)
{
    real *pf = (real *)p->f, *pd = (real *)p->d;
    const double *c = p->layer;

    if (want == WANT_LAYER) {
        const V theta = load((const real *)p->theta + i);

        store(pf + i, f * (real)c[0] + (real)c[1]);
        store(pd + i, f * (real)c[2] + (d * theta * (real)c[3] + (real)c[4]));
        return;
    }
    if (want == WANT_F || want == WANT_BOTH || (want == WANT_ANY && pf))
        store(pf + i, f);
    if (want == WANT_D || want == WANT_BOTH || (want == WANT_ANY && pd))
        store(pd + i, d);
}

/* name_loops(args) */
#define NTK_DUAL_LOOPS(name, n_sides, point)                                                      \
    NTK_INLINE void name##_run(const struct ntk_dual_args *p, bool per_lane, enum dual_want want) \
    {                                                                                             \
        const real *k = p->k, *s1 = p->side1, *s2 = p->side2, *par = p->par;                      \
        for (size_t i = 0; i < p->n; i += LANES) {                                                \
            V a[n_sides], b[n_sides], f, d;                                                       \
            for (size_t s = 0; s < (n_sides); s++) {                                              \
                const real *at = s1 + s * p->stride1;                                             \
                a[s] = per_lane ? load(at) : splat(*at);                                          \
                b[s] = load(s2 + s * p->stride2 + i);                                             \
            }                                                                                     \
            s1 += p->step1;                                                                       \
            point(load(k + i), a, b, par, &f, &d);                                                \
            dual_store(p, i, want, f, d);                                                         \
        }                                                                                         \
    }                                                                                             \
    static void name##_loops(const struct ntk_dual_args *p) { NTK_DUAL_CASES(name##_run, p) }

/* run(p, per_lane, want), each case a copy of its own. Sides are one a lane for single positions only. */
#define NTK_DUAL_CASES(run, p)          \
    if ((p)->step1 == LANES)            \
        run(p, true, WANT_ANY);         \
    else if ((p)->theta)                \
        run(p, false, WANT_LAYER);      \
    else if ((p)->f && (p)->d)          \
        run(p, false, WANT_BOTH);       \
    else if ((p)->f)                    \
        run(p, false, WANT_F);          \
    else                                \
        run(p, false, WANT_D);

#define NTK_DUAL(name, n_sides, point)                       \
    NTK_DUAL_LOOPS(name, n_sides, point)                     \
    ntk_dual_fn NTK_DUAL_SYMBOL(name);                       \
    void NTK_DUAL_SYMBOL(name)(const struct ntk_dual_args *p) \
    {                                                        \
        name##_loops(p);                                     \
    }

#endif
