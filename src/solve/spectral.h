/* SPDX-License-Identifier: MIT
 *
 * spectral.h - gradient flow on the squared loss along the eigenvectors of a kernel matrix K, with a
 * ridge r.
 *
 * Along an eigenvector of weight w = max(lambda, 0) + r, ntk_spectral gives the forms
 *     learned  1 - e^{-w t}        gain  (1 - e^{-w t}) / w        left  e^{-w t}
 * Eigenvalues are known down to a floor only:
 *     (4 eps(type of the entries) + n eps(float64)) lambda_max, or -lambda_min if that is larger.
 * The first term is what rounding of entries does to a matrix whose errors are as good as random, the
 * second what float64 does to its decomposition. Directions with lambda + r <= floor are null: their
 * weight is 0, they do not move, and they do not reach other samples.
 */
#ifndef NTK_SPECTRAL_H
#define NTK_SPECTRAL_H

#include "base/base.h"

struct ntk_spectral_scale {
    double ridge, floor;
};

/* What rounding error alone can make of an eigenvalue 0: the floor before lambda_min raises it. */
double ntk_spectral_rounding(int64_t n, ntk_dtype dtype, double lambda_max);
/* From values [n], eigenvalues of K + ridge, ascending. */
struct ntk_spectral_scale ntk_spectral_scale(int64_t n, ntk_dtype dtype, double ridge,
                                             const double *values);
/* The weight of an eigenvalue of K + ridge; 0: null. */
double ntk_spectral_weight(const struct ntk_spectral_scale *s, double value);
/* How many of values are null. */
int64_t ntk_spectral_nulls(const struct ntk_spectral_scale *s, int64_t n, const double *values);

/* From K, [n][n] with entries of type dtype, to its eigenvectors in rows and its eigenvalues, ascending. NTK_ENUMERIC if K
 * is not positive semidefinite. Needs twice k's memory beside it. */
ntk_status ntk_spectral_eigen(ntk_ctx *ctx, int64_t n, ntk_dtype dtype, double *k, double *values);
/* Eigenvalues of K become weights with a ridge. A warning counts null directions, which is the result. */
int64_t ntk_spectral_weights(ntk_ctx *ctx, int64_t n, ntk_dtype dtype, double ridge, double *values);

#endif
