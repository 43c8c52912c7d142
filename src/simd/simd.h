/* SPDX-License-Identifier: MIT
 *
 * simd.h - the hot loops: written once, compiled once per instruction set and element type.
 *
 * A table is the only symbol that ops.c exports, a dual the only one of an activation's object; dispatch.c, compiled without
 * any instruction set flags, chooses one when a context first computes. Arrays of `real` are float
 * or double by table; they are passed as void pointers and must be aligned to their element only,
 * though aligned to NTK_ALIGN they are faster.
 */
#ifndef NTK_SIMD_H
#define NTK_SIMD_H

#include "activations/activation.h"

/* A run of pairs through one activation. Lanes are pairs; a vector has `lanes` of them. */
struct ntk_dual_args {
    size_t n;          /* pairs, a multiple of lanes */
    const void *k;     /* [n] covariances */
    const void *side1; /* first samples' sides: side s of vector v is at side1 + s * stride1 + v * step1 */
    size_t stride1;    /* elements between sides */
    size_t step1;      /* elements from one vector to the next: 0 or 1: one value for all its lanes,
                        * lanes: one per lane */
    const void *side2; /* second samples' sides, [sides][n] with rows stride2 apart */
    size_t stride2;
    const void *par;   /* [NTK_DUAL_PARS] constants */
    int sides;
    void *f;           /* [n] E[f f]; NULL: not wanted */
    void *d;           /* [n] E[f' f']; NULL: not wanted */
};
typedef void ntk_dual_fn(const struct ntk_dual_args *args);

#define NTK_LANES_MAX 16 /* most lanes of any table: what padding must allow for */

/* One element type's loops. n is a multiple of lanes everywhere. */
struct ntk_simd {
    size_t lanes;
    /* out = sum_i coef[i] x[i] + constant, i < m; m >= 0; out may be one of the x */
    void (*mix)(size_t n, int m, const void *const *x, const double *coef, double constant, void *out);
    /* out = x[0] x[1] ... x[m - 1], m >= 2; out may be one of the x */
    void (*product)(size_t n, int m, const void *const *x, void *out);
    /* out = x * a1 * a2, a1 and a2 as side1 and side2 above */
    void (*scale)(size_t n, const void *x, const void *a1, size_t step1, const void *a2, void *out);
    ntk_dual_fn *dual[NTK_N_DUALS];
};

struct ntk_isa {
    const char *name; /* "baseline", "avx2", "avx512", "neon" */
    const struct ntk_simd *f32, *f64;
};

/* Sets ctx->isa on first use; see ntk_ctx_set_isa. */
ntk_status ntk_isa_resolve(ntk_ctx *ctx);

#endif
