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

/* Where they go, and a layer's numbers: read before the loop, as stores might change what pointers lead to. */
struct dual_out {
    real *f, *d;
    const real *theta;
    V c[NTK_DUAL_LAYER];
};
NTK_INLINE struct dual_out dual_out(const struct ntk_dual_args *p, enum dual_want want)
{
    struct dual_out o = {.f = p->f, .d = p->d, .theta = p->theta};

    NTK_UNROLL
    for (int k = 0; k < NTK_DUAL_LAYER; k++)
        o.c[k] = splat(want == WANT_LAYER ? (real)p->layer[k] : 0);
    return o;
}
NTK_INLINE void dual_store(const struct dual_out *o, size_t i, enum dual_want want, V f, V d)
{
    if (want == WANT_LAYER) {
        const V theta = load(o->theta + i);

        store(o->f + i, f * o->c[0] + o->c[1]);
        store(o->d + i, f * o->c[2] + (d * theta * o->c[3] + o->c[4]));
        return;
    }
    if (want == WANT_F || want == WANT_BOTH || (want == WANT_ANY && o->f))
        store(o->f + i, f);
    if (want == WANT_D || want == WANT_BOTH || (want == WANT_ANY && o->d))
        store(o->d + i, d);
}

/* name_loops(args) */
#define NTK_DUAL_LOOPS(name, n_sides, point)                                                      \
    NTK_INLINE void name##_run(const struct ntk_dual_args *p, bool per_lane, enum dual_want want) \
    {                                                                                             \
        const real *k = p->k, *s1 = p->side1, *s2 = p->side2, *par = p->par;                      \
        const struct dual_out out = dual_out(p, want);                                            \
        for (size_t i = 0; i < p->n; i += LANES) {                                                \
            V a[n_sides], b[n_sides], f, d;                                                       \
            for (size_t s = 0; s < (n_sides); s++) {                                              \
                const real *at = s1 + s * p->stride1;                                             \
                a[s] = per_lane ? load(at) : splat(*at);                                          \
                b[s] = load(s2 + s * p->stride2 + i);                                             \
            }                                                                                     \
            s1 += p->step1;                                                                       \
            point(load(k + i), a, b, par, &f, &d);                                                \
            dual_store(&out, i, want, f, d);                                                        \
        }                                                                                         \
    }                                                                                             \
    static void name##_loops(const struct ntk_dual_args *p) { NTK_DUAL_CASES(name##_run, p) }

/* run(p, per_lane, want), each case a copy of its own. Sides of first samples are one a lane where a vector has several. */
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
