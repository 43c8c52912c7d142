/* SPDX-License-Identifier: MIT
 *
 * near_dual.h - for the vector half of an activation's file: the dual of almost parallel pairs, in float64, carried as
 * simd/near.h explains.
 *
 * What a file writes is
 *
 *     NTK_INLINE void near_point(const struct near *x, const real *par, struct near *y, V *dot)
 *     { ... x: the covariance; y: E[f f], its s1 and s2 given; *dot: E[f' f'] ... }
 *     NTK_NEAR(erf, near_point)
 */
#ifndef NTK_NEAR_DUAL_H
#define NTK_NEAR_DUAL_H

#include "activations/loops.h"
#include "simd/near.h"

#define NTK_NEAR_SYMBOL(name) NTK_CAT4(ntk_near_, name, NTK_SUFFIX, )

#ifdef NTK_IS_F64

#define NTK_NEAR_LOOPS(name, point)                                            \
    static void name##_near_loops(const struct ntk_near_args *p)               \
    {                                                                          \
        for (size_t i = 0; i < p->n; i += LANES) {                             \
            const struct near x = near_load(p->k, i);                          \
            struct near y = {.s1 = splat(p->f->s1), .s2 = load(p->f->s2 + i)}; \
            V dot;                                                             \
            point(&x, p->par, &y, &dot);                                       \
            near_store(p->f, i, &y);                                           \
            store(p->dot + i, dot);                                            \
        }                                                                      \
    }

#define NTK_NEAR(name, point)                                 \
    NTK_NEAR_LOOPS(name, point)                               \
    ntk_near_fn NTK_NEAR_SYMBOL(name);                        \
    void NTK_NEAR_SYMBOL(name)(const struct ntk_near_args *p) \
    {                                                         \
        name##_near_loops(p);                                 \
    }

#endif
#endif
