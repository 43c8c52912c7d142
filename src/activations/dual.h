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
 * and D, or one of them (what is not stored the compiler removes). vmath.h has the functions.
 */
#ifndef NTK_DUAL_H
#define NTK_DUAL_H

#include "activations/loops.h"
#include "simd/vmath.h"

#define NTK_DUAL_SYMBOL(name) NTK_CAT4(ntk_dual_, name, NTK_SUFFIX, )
#define NTK_MANY_SYMBOL(name) NTK_CAT4(ntk_many_, name, NTK_SUFFIX, )

/* name_loops(args) */
#define NTK_DUAL_LOOPS(name, n_sides, point)                                                      \
    NTK_INLINE void name##_run(const struct ntk_dual_args *p, bool per_lane, bool want_f,         \
                               bool want_d)                                                       \
    {                                                                                             \
        const real *k = p->k, *s1 = p->side1, *s2 = p->side2, *par = p->par;                      \
        real *pf = p->f, *pd = p->d;                                                              \
        for (size_t i = 0; i < p->n; i += LANES) {                                                \
            V a[n_sides], b[n_sides], f, d;                                                       \
            for (size_t s = 0; s < (n_sides); s++) {                                              \
                const real *at = s1 + s * p->stride1;                                             \
                a[s] = per_lane ? load(at) : splat(*at);                                          \
                b[s] = load(s2 + s * p->stride2 + i);                                             \
            }                                                                                     \
            s1 += p->step1;                                                                       \
            point(load(k + i), a, b, par, &f, &d);                                                \
            if (want_f)                                                                           \
                store(pf + i, f);                                                                 \
            if (want_d)                                                                           \
                store(pd + i, d);                                                                 \
        }                                                                                         \
    }                                                                                             \
    static void name##_loops(const struct ntk_dual_args *p) { NTK_DUAL_CASES(name##_run, p) }

/* run(p, per_lane, want_f, want_d), each case a copy of its own */
#define NTK_DUAL_CASES(run, p)                        \
    if (p->step1 == LANES)                            \
        run(p, true, p->f != NULL, p->d != NULL);     \
    else if (p->f && p->d)                            \
        run(p, false, true, true);                    \
    else if (p->f)                                    \
        run(p, false, true, false);                   \
    else                                              \
        run(p, false, false, true);

#define NTK_DUAL(name, n_sides, point)                       \
    NTK_DUAL_LOOPS(name, n_sides, point)                     \
    ntk_dual_fn NTK_DUAL_SYMBOL(name);                       \
    void NTK_DUAL_SYMBOL(name)(const struct ntk_dual_args *p) \
    {                                                        \
        name##_loops(p);                                     \
    }

#endif
