/* SPDX-License-Identifier: MIT
 *
 * precision.h - in what numbers a kernel is computed. Magnitudes that its type does not take on the way are
 * noticed while the samples are prepared (samples.h); then
 *
 *     float32 becomes float64, and what is finished is rounded;
 *     float64: squares of samples near 1e-154 or 1e154 are no numbers, or have lost digits; or variances on
 *     the way below the least normal number. If the net is
 *     homogeneous - scaled samples give scaled kernels, K(c x, x') = c^d K(x, x') - each sample is multiplied
 *     by a power of two, and what is finished is divided by its power. Other nets are homogeneous in the
 *     limit of small samples, to all digits: tanh(u) is u, a bias is all of a sum. There samples that are
 *     too small become less small; those that are too large are an error. Images: too small ones count as 0.
 */
#ifndef NTK_PRECISION_H
#define NTK_PRECISION_H

#include "data/data.h"
#include "engine/program.h"

struct ntk_precision {
    ntk_dtype dtype; /* of the computation */
    bool last;       /* there is no other: numbers beyond the type are 0, or an error */
    int *degree;     /* [graph.n] of nodes, d above; NULL: samples are not multiplied */
    int top;         /* else by the power of two that makes their largest numbers 2^top */
    bool limit;      /* degrees are those of small samples, and only those are multiplied */
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

/* The way after one that met what it does not take; freed by ntk_precision_free, also on failure. */
ntk_status ntk_precision_next(const struct ntk_program *program, struct ntk_precision *precision);
void ntk_precision_free(struct ntk_precision *precision);
/* Exponents of samples that are multiplied; [x->n]. */
void ntk_precision_exponents(const struct ntk_precision *precision, const ntk_data *x, int *exponent);
/* A finished value of that node for two samples, given the sum of their exponents. */
double ntk_precision_finish(const struct ntk_precision *precision, int node, int exponents, double value);
/* What the limit leaves out at a node, of a sample whose variances of nodes are value[node * stride]. */
double ntk_precision_rest(const struct ntk_precision *precision, const struct ntk_graph *g, int node,
                          const double *value, size_t stride);
/* Whether such a sample is so small, as it was made, that the node is of its degree to all digits, also of pairs
 * with other samples; largest: the most that is left out of any. */
bool ntk_precision_holds(const struct ntk_precision *precision, const struct ntk_graph *g, int node,
                         double largest, const double *value, size_t stride);

#endif
