/* SPDX-License-Identifier: MIT
 *
 * way.h - in what numbers a kernel is computed. Magnitudes that its type does not take on the way are
 * noticed while the samples are prepared (samples.h); then
 *
 *     float32 becomes float64, and what is finished is rounded;
 *     float64: squares of samples near 1e-154 or 1e154 are no numbers, or have lost digits. If the net is
 *     homogeneous - scaled samples give scaled kernels, K(c x) = c^(2 d) K(x) - samples are multiplied by
 *     a power of two, and what is finished is divided by its power. In other nets such samples count as 0,
 *     or are too large.
 */
#ifndef NTK_WAY_H
#define NTK_WAY_H

#include "data/data.h"
#include "kernel/plan.h"

struct ntk_way {
    ntk_dtype dtype; /* of the computation */
    bool last;       /* there is no other: numbers beyond the type are 0, or an error */
    int exponent;    /* samples are multiplied by 2^exponent */
    int *degree;     /* [graph.n] of nodes, d above; NULL: exponent is 0 */
};

/* Magnitudes that float32 takes, and 0. There is room on both sides: sums on the way are larger, and
 * covariances that are small beside their variances keep their digits. */
static inline bool ntk_fits_f32(double x)
{
    return x == 0 || (__builtin_fabs(x) >= 0x1p-120 && __builtin_fabs(x) <= 0x1p120);
}

/* Likewise of float64, for the squares of samples. */
static inline bool ntk_fits_f64(double x)
{
    return x == 0 || (x >= 0x1p-960 && x <= 0x1p960);
}

/* The way after one that met what it does not take; way->degree is freed by the caller. */
ntk_status ntk_way_next(ntk_ctx *ctx, const struct ntk_plan *plan, const ntk_data *x1,
                        const ntk_data *x2, struct ntk_way *way);
/* A finished value of that node. */
double ntk_way_finish(const struct ntk_way *way, int node, double value);

#endif
