/* SPDX-License-Identifier: MIT
 *
 * activation.h - what a nonlinearity is. One file per nonlinearity, one line in activations.def.
 *
 * An infinite network needs its two dual moments: for (u, v) Gaussian with variances q1, q2 and
 * covariance k
 *     F(k; q1, q2) = E[f(u) f(v)]        D(k; q1, q2) = E[f'(u) f'(v)] = dF/dk
 * These run once per pair of samples, in vectors, so the work is split by how often it is done:
 *
 *     setup    once per layer and kernel: constants `par`, the number of `sides`
 *     side     once per sample and position: values that depend on q alone (a standard deviation
 *              and its inverse, say), stored as arrays
 *     moments  once per sample and position: F(q; q, q) and D(q; q, q), exact
 *     dual     once per pair: F and D from k, the two samples' sides and par (dual.h)
 *
 * The file is compiled as plain C for the first three, and once per instruction set and element
 * type, with NTK_REAL defined, for the fourth:
 *
 *     #include "activations/activation.h"
 *     #ifdef NTK_REAL
 *     #include "activations/dual.h"
 *     ... static inline void point(...)  and NTK_DUAL(name, point)
 *     #ifdef NTK_IS_F64
 *     ... the same for almost parallel pairs (near_dual.h): NTK_NEAR(name, near_point)
 *     #endif
 *     #else
 *     ... const struct ntk_activation *const ntk_activations_name[] = {&relu, &abs, ..., NULL};
 *     #endif
 *
 * activations.def: ACTIVATION(name) for a file with a dual of its own; ACTIVATION_SERIES(name) for
 * one that uses the Hermite series (series.h) and gives only f and f'.
 */
#ifndef NTK_ACTIVATION_H
#define NTK_ACTIVATION_H

#include <float.h>

#include "base/class.h"

#define NTK_DUAL_PARS 64

/* Which vector function computes a layer's dual. */
enum ntk_dual_id {
#define ACTIVATION(name) NTK_DUAL_##name,
#define ACTIVATION_SERIES(name)
#include "activations/activations.def"
#undef ACTIVATION
#undef ACTIVATION_SERIES
    NTK_N_DUALS
};

/* One use of an activation in one kernel. */
struct ntk_dual {
    int sides;                 /* values per sample and position */
    double par[NTK_DUAL_PARS]; /* constants; unused ones 0 */
    void *state;               /* the activation's own; freed by ntk_activation.finish */
    /* Pairs with 1 - |correlation| below `near` (0: none) and s1 s2, the roots of their variances, of
     * `near_from` at least are computed by the near dual (near_dual.h). */
    double near, near_from;
    int near_sides;            /* float64 values per sample that the near dual reads */
    double takes;              /* the largest variance that it is good for; comes as DBL_MAX */
    bool beyond;               /* float32 does not take what the dual makes of these variances */
};

/* What is known when a kernel starts. */
struct ntk_dual_range {
    double q_min, q_max; /* of all variances that come into the layer */
    ntk_dtype dtype;     /* of the kernel: the accuracy that is worth having */
    int layers;          /* of activations in the kernel, whose errors add up */
};

/* A dual of a rounded correlation is off by about half a unit times its steepness, the slope of D at
 * correlation 1 over D itself, INFINITY where D (or F) has a kink there. From this steepness on errors of
 * pairs with 1 - |correlation| below ntk_near_width would be more than some 5e-7 (float32) or 5e-14. */
static inline double ntk_near_steep(const struct ntk_dual_range *range)
{
    const bool deep = range->layers > 8;

    return range->dtype == NTK_F32 ? (deep ? 0.7 : 1.5) : deep ? 20 : 60;
}
static inline double ntk_near_width(const struct ntk_dual_range *range)
{
    return range->dtype == NTK_F64 ? 1.0 / 128 : range->layers > 8 ? 1.0 / 16 : 1.0 / 32;
}
/* For duals that are that steep from s1 s2 = q on. A pair is chosen by its own variances: those of others
 * say only that there is none. */
static inline void ntk_near_from(struct ntk_dual *dual, const struct ntk_dual_range *range, double q)
{
    if (range->q_max < q && q < dual->takes)
        dual->takes = q;
    dual->near = range->q_max < q ? 0 : ntk_near_width(range);
    dual->near_from = q;
}
/* For duals of one steepness at all variances, or one that no variance exceeds. */
static inline void ntk_near_all(struct ntk_dual *dual, const struct ntk_dual_range *range,
                                double steepness)
{
    ntk_near_from(dual, range, steepness < ntk_near_steep(range) ? DBL_MAX : 0);
}

/* Constants of an activation for one factor of its moments, a type and non-negative or any covariances: what is
 * faster than point (sweep.h) where all results take that factor. */
#define NTK_FOLD_PARS 24
struct ntk_fold {
    double factor;
    double side[2];            /* what the second samples' sides are multiplied by */
    double par[NTK_FOLD_PARS]; /* unused ones 0 */
};

struct ntk_activation {
    struct ntk_class base;
    double (*f)(const void *self, double x);
    double (*df)(const void *self, double x);
    /* f(x) = below x for x < 0, above x for x > 0; NULL: f is not of that kind. Finite networks. */
    void (*slopes)(const void *self, double *below, double *above);
    int (*kinks)(const void *self, double at[4]); /* NULL: f is smooth (finite networks, quadrature) */
    /* n where f(c x) = c^n f(x) for c > 0 (by its rule, E[f f] is then of degree n in the variances);
     * NULL: f is not homogeneous. */
    int (*degree)(const void *self);
    /* E[f f] (moment 0) or E[f' f'] (1) is >= 0 for all covariances, or if not `any` for those >= 0. NULL: not known. */
    bool (*positive)(const void *self, int moment, bool any);
    bool unit_variance; /* the dual is that of f only for variances 1 (Hermite) */

    enum ntk_dual_id dual;
    /* NTK_ENUMERIC (said with ntk_fail_at) if the accuracy cannot be had in this range. */
    ntk_status (*setup)(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual);
    /* side[0 .. sides - 1] at variance q >= 0, which may be 0: then F(0; 0, q) = f(0) E[f(v)] and
     * where a correlation is undefined it counts as 0. */
    void (*side)(const void *self, const struct ntk_dual *dual, double q, double *side);
    /* *ff = E[f(u)^2], *dd = E[f'(u)^2], u ~ N(0, q), to float64 accuracy. */
    void (*moments)(const void *self, const struct ntk_dual *dual, double q, double *ff, double *dd);
    /* near_side[0 .. near_sides - 1] at variance q; NULL if there are none. */
    void (*near_side)(const void *self, const struct ntk_dual *dual, double q, double *near_side);
    /* False: this dual does not go through its sweeps. NULL: all do. */
    bool (*swept)(const void *self);
    /* The constants of its sweeps (loops.h) where results take `factor`; false: there are none for it. NULL: there never
     * are. */
    bool (*fold)(const void *self, ntk_dtype dtype, double factor, struct ntk_fold *fold);
    void (*finish)(struct ntk_dual *dual); /* frees dual->state; NULL: nothing to free */
};

/* True if that dual has a fused loop for convolutions (activations/sweeps.def). */
static inline bool ntk_dual_sweeps(const struct ntk_activation *act, const void *self)
{
    switch (act->dual) {
#define SWEEP(name) case NTK_DUAL_##name:
#include "activations/sweeps.def"
#undef SWEEP
        return !act->swept || act->swept(self);
    default:
        return false;
    }
}

/* For setup: the largest number that a dual makes of the variances, where that is not a moment; it grows as they do. In float32
 * the kernel is computed in float64 if it is too large, and there it is an error. */
ntk_status ntk_dual_largest(const struct ntk_where *at, const struct ntk_dual_range *range,
                            double largest, struct ntk_dual *dual);

/* 1 / sqrt(q); 0 for q = 0, and below the normal numbers, where it says nothing. */
static inline double ntk_inverse_root(double q) { return q >= DBL_MIN ? 1 / __builtin_sqrt(q) : 0; }

/* All activations, in the order of activations.def and of their files. */
size_t ntk_n_activations(void);
const struct ntk_activation *ntk_activation_get(size_t i);
/* By the name of its layer ("Relu") or, for Elementwise('relu'), in any case and with or without
 * underscores; NULL if there is none. */
const struct ntk_activation *ntk_activation_find(const char *name);

#endif
