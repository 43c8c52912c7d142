/* SPDX-License-Identifier: MIT
 *
 * rfp.h - symmetric matrices in LAPACK's rectangular full packed format: n (n + 1) / 2 doubles that
 * BLAS's level 3 can work on (Gustavson et al. 2010). TRANSR = 'N', UPLO = 'L': a column-major array
 * of leading dimension ld that holds, with n1 = ceil(n / 2) and n2 = n - n1,
 *
 *     T1  the lower triangle of the first n1 rows and columns
 *     S   the n2 x n1 rectangle below it
 *     T2  the last n2 rows and columns, as an upper triangle
 */
#ifndef NTK_RFP_H
#define NTK_RFP_H

#include "base/base.h"

struct ntk_rfp {
    int64_t n;
    double *a;
};

static inline size_t ntk_rfp_size(int64_t n) { return (size_t)n * ((size_t)n + 1) / 2; }

ntk_status ntk_rfp_new(ntk_ctx *ctx, int64_t n, struct ntk_rfp *k);
void ntk_rfp_free(struct ntk_rfp *k);
/* Element of the lower triangle, i >= j. */
double *ntk_rfp_at(const struct ntk_rfp *k, int64_t i, int64_t j);
void ntk_rfp_add_diagonal(struct ntk_rfp *k, const double *x); /* [n] */
/* A block of rows i0.. and columns j0.. >= i0 of a symmetric kernel, as a sink delivers it. */
void ntk_rfp_store(struct ntk_rfp *k, const ntk_block *block, ntk_dtype dtype);

/* out = K x for column-major x, out [m][n]. */
ntk_status ntk_rfp_multiply(ntk_ctx *ctx, const struct ntk_rfp *k, int64_t m, const double *x,
                            double *out);
/* Factor K = L L' in place. minor: 0, or the order of the first leading minor that is not positive. These
 * and the next fail only if they are cancelled. */
ntk_status ntk_rfp_factor(ntk_ctx *ctx, struct ntk_rfp *k, int *minor);
/* x = (L L')^-1 x; x = L^-1 x; x = L L' x, for column-major x [m][n]. The last needs work [n]. */
ntk_status ntk_rfp_solve(ntk_ctx *ctx, const struct ntk_rfp *l, int64_t m, double *x);
ntk_status ntk_rfp_solve_half(ntk_ctx *ctx, const struct ntk_rfp *l, int64_t m, double *x);
void ntk_rfp_restore(const struct ntk_rfp *l, double *x, double *work);
/* L^-1 x for x that begins with `first` zeros in each column, which stay: of the rest alone. */
ntk_status ntk_rfp_solve_half_from(ntk_ctx *ctx, const struct ntk_rfp *l, int64_t first, int64_t m, double *x);
/* rows [ni][nj] = K[i0 ...][j0 ...], j0 >= i0 + ni. */
void ntk_rfp_rows(const struct ntk_rfp *k, int64_t i0, int64_t ni, int64_t j0, int64_t nj, double *rows);

#endif
