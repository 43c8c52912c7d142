/* SPDX-License-Identifier: MIT
 *
 * ridge.h - Cholesky factorisation of a kernel matrix with a ridge, and the ridge that it needs.
 */
#ifndef NTK_RIDGE_H
#define NTK_RIDGE_H

#include "store/packed.h"

/* A ridge as the user gives it: a number on the diagonal or, relative, times the diagonal's mean. */
struct ntk_ridge {
    double given;
    bool absolute;
    const char *spelling; /* what precedes the number where it is given: "diag_reg = " */
    const double *weights, *noise; /* [n] of samples; NULL: 1 and 0 */
    double unit;          /* what relative numbers are times; 0: the mean of the matrix's diagonal */
};

/* R of samples 0 to n - 1, where the number, times the diagonal's mean if it is relative, is `ridge`. */
void ntk_ridge_diagonal(const struct ntk_ridge *r, int64_t n, double ridge, double *diagonal);

/* K to the factor of K + diag(ridge), in place. how: "", or why it is none: the matrix is not positive definite, or
 * its smallest pivot is rounding error, so that the factor solves nothing. A pivot that is rounding error of entries
 * of that dtype (NTK_F64: none) is warned of: no pivot is below lambda_min + ridge, so that this is a null direction of
 * ntk_spectral_decompose. Fails only if it is cancelled, or for lack of n numbers' memory. */
ntk_status ntk_ridge_factor(ntk_ctx *ctx, struct ntk_rfp *k, ntk_dtype dtype, const double *ridge, char *how,
                            size_t size);

/* The same of a factor whose diagonal is given, [n]; largest: of the diagonal of K, with the least of R. */
void ntk_ridge_pivots(ntk_ctx *ctx, int64_t n, const double *pivots, ntk_dtype dtype, double largest, char *how,
                      size_t size);

/* "; try diag_reg = 3e-07 (times the mean of the diagonal)": one digit, from lambda_min and what was
 * given, and factorised before it is said; "" if there is none, or no memory to look for it. Matrix `which` of an operator is read again for it. */
ntk_status ntk_ridge_hint(ntk_ctx *ctx, const struct ntk_ridge *r, struct ntk_operator *k, size_t which, char *hint,
                          size_t size);

/* Which of errors of ascending ridges is the least, of equal ones (to 1e-10 of it) that of the largest ridge; what is not finite
 * is none. */
size_t ntk_ridge_best(size_t count, const double *errors);

/* The hint's text for a number in r's scale. */
void ntk_ridge_say(const struct ntk_ridge *r, double number, char *hint, size_t size);

#endif
