/* SPDX-License-Identifier: MIT
 *
 * ritz.h - Lanczos with full reorthogonalisation (Golub and Van Loan 2013, 10.1): a symmetric operator A on the basis
 * that its powers span, A V = V T + off[steps - 1] next e', T tridiagonal; the ends of the spectrum. The same to the bit
 * for any number of threads, if A is.
 */
#ifndef NTK_RITZ_H
#define NTK_RITZ_H

#include "store/operator.h"

/* x = A x, in place, for x [n]. A failure ends the search. */
typedef ntk_status ntk_operator_fn(double *x, void *user);

struct ntk_basis {
    ntk_ctx *ctx;
    int64_t n;
    int most, steps;
    ntk_operator_fn *apply;
    void *user;
    size_t bytes;
    double *v;              /* [most][n] */
    double *w, *h;          /* [n], [most] */
    double *diagonal, *off; /* [most], T */
    double *ritz, *work;    /* [most] */
};

/* Bytes of a basis of that many vectors. */
size_t ntk_basis_bytes(int64_t n, int64_t most);
ntk_status ntk_basis_new(ntk_ctx *ctx, int64_t n, int64_t most, ntk_operator_fn *apply, void *user,
                         struct ntk_basis *b);
void ntk_basis_free(struct ntk_basis *b);
/* The first vector: of no structure, and always the same; or x, of that length. */
void ntk_basis_start(struct ntk_basis *b, const double *x, double length);
/* One more row and column of T; w is what would be the next vector, of length off[steps - 1]. */
ntk_status ntk_basis_step(struct ntk_basis *b);
/* w becomes the next vector; steps < most. */
void ntk_basis_extend(struct ntk_basis *b);
/* T's eigenvalues into ritz, ascending. */
void ntk_basis_ritz(struct ntk_basis *b);

/* From a fixed random start until the largest Ritz value has settled to a relative 1e-6 between steps, at most 100
 * steps. */
ntk_status ntk_lanczos_largest(ntk_ctx *ctx, int64_t n, ntk_operator_fn *apply, void *user,
                               double *lambda);
/* Both ends, when they have settled to 1e-5, at most `most_steps` <= n steps; a warning if the least has not. */
ntk_status ntk_lanczos_extremes(ntk_ctx *ctx, int64_t n, int64_t most_steps, ntk_operator_fn *apply, void *user,
                                double *least, double *most);
/* The largest of matrix k of an operator. */
ntk_status ntk_operator_largest(struct ntk_operator *o, size_t k, double *lambda);

#endif
