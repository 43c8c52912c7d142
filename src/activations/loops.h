/* SPDX-License-Identifier: MIT
 *
 * loops.h - the hot loops of activations: written once each, in the activation's file, compiled once per instruction
 * set and element type. The rules for arrays are those of simd/simd.h.
 */
#ifndef NTK_LOOPS_H
#define NTK_LOOPS_H

#include "activations/activation.h"
#include "simd/simd.h"

#define NTK_DUAL_LAYER 5

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
    /* Not NULL: what follows them in a net. f becomes layer[0] f + layer[1], d layer[2] f + layer[3] d theta + layer[4]; they
     * may lie where k and theta do. */
    const void *theta; /* [n] */
    const double *layer; /* [NTK_DUAL_LAYER] */
};
typedef void ntk_dual_fn(const struct ntk_dual_args *args);

#define NTK_SWEEP_OUTPUTS 3

/* A plane that a sweep or a tail reads. Open: it has the sums over three columns of what it stands for; the reader takes
 * those over three rows, zero outside the rectangle, and adds `add`. */
struct ntk_plane_in {
    const void *at;
    bool open;
    double add;
};

/* What sweeps and tails read. */
struct ntk_swept {
    struct ntk_rect_args rect;
    struct ntk_plane_in k, theta[NTK_SWEEP_OUTPUTS - 1];
    const void *side1, *side2; /* side2 are those of the fold */
    size_t stride1, stride2;
    const void *par;
    const void *fold; /* [NTK_FOLD_PARS] of the fold, in the table's type; NULL: there is none */
    double fold_factor;
    bool any_sign;     /* covariances may be negative */
    const void *zeros; /* columns vectors */
};

/* The moments f, d of a dual and the sums over 3 x 3 neighbours, zero outside the rectangle, of
 *     out[0] = factor[0] f,    out[i] = factor[i] (mix[i] f + d theta[i - 1]),  i = 1, 2
 * as open planes, which lie nowhere in the operands. */
struct ntk_sweep_args {
    struct ntk_swept in;
    void *out[NTK_SWEEP_OUTPUTS]; /* NULL: not wanted; out[2] only beside out[1] */
    double factor[NTK_SWEEP_OUTPUTS], mix[NTK_SWEEP_OUTPUTS];
    void *spare; /* a vector that is written to */
};
typedef void ntk_sweep_fn(const struct ntk_sweep_args *args);

/* sum[0] += sum of f, sum[i] += sum of d theta[i - 1] over the rectangle, for every lane. */
struct ntk_tail_args {
    struct ntk_swept in;
    double *sum[NTK_SWEEP_OUTPUTS]; /* NULL: not wanted; sum[2] only beside sum[1]; sum[0] always */
};
typedef void ntk_tail_fn(const struct ntk_tail_args *args);

/* The dual of almost parallel pairs. */
struct ntk_near_args {
    size_t n;
    const struct ntk_near_run *k;
    const double *par;                  /* [NTK_DUAL_PARS] */
    int sides;                          /* dual->near_sides */
    const double *side1, *side2;        /* first: side s at s * stride1; second: [sides][stride2] */
    size_t stride1, stride2;
    struct ntk_near_run *f;             /* E[f f]; s1 and s2 are given */
    double *dot;                        /* E[f' f'] */
};
typedef void ntk_near_fn(const struct ntk_near_args *args);

/* Sides, [sides][n], and moments of n variances, a multiple of lanes (many.def); in float64 only. */
typedef void ntk_many_fn(size_t n, const double *par, const double *q, double *side, double *ff, double *dd);

/* The loops of one instruction set and element type. */
struct ntk_dual_loops {
    ntk_dual_fn *dual[NTK_N_DUALS];
    ntk_sweep_fn *sweep[NTK_N_DUALS]; /* NULL: that dual has none */
    ntk_tail_fn *tail[NTK_N_DUALS];   /* likewise */
    ntk_many_fn *many[NTK_N_DUALS];   /* NULL: one by one; float64 only */
    ntk_near_fn *near[NTK_N_DUALS];   /* of almost parallel pairs; float64 only */
};
const struct ntk_dual_loops *ntk_dual_loops_of(const struct ntk_isa *isa, ntk_dtype dtype);

#endif
