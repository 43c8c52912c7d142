/* SPDX-License-Identifier: MIT
 *
 * pieces.h - BLAS and LAPACK on matrices so large that one call takes long, as calls of a fraction of a
 * second each: between them the user's progress function is asked whether to go on. Matrices are
 * column-major. After a cancelled one the rest does nothing.
 */
#ifndef NTK_PIECES_H
#define NTK_PIECES_H

#include <cblas.h>

#include "base/base.h"

struct ntk_pieces {
    ntk_ctx *ctx;
    const char *what;   /* what is told as progress; NULL: nothing new is told */
    double done, total; /* floating-point operations */
    double piece;       /* of one call, at most, about */
    ntk_status status;
};

struct ntk_pieces ntk_pieces_of(ntk_ctx *ctx, const char *what, double total);

/* C += alpha op(A) op(B); C is m x n, k is the length of the sums. */
void ntk_pieces_gemm(struct ntk_pieces *p, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k,
                     double alpha, const double *a, int lda, const double *b, int ldb, double *c, int ldc);
/* C += A B; A is symmetric of order n, its triangle is given; B and C are n x m. */
void ntk_pieces_symm(struct ntk_pieces *p, CBLAS_UPLO uplo, int n, int m, const double *a, int lda,
                     const double *b, int ldb, double *c, int ldc);
/* B = op(A)^-1 B; A is a triangle of order n, B is n x m. */
void ntk_pieces_solve(struct ntk_pieces *p, CBLAS_UPLO uplo, CBLAS_TRANSPOSE ta, int n, int m,
                      const double *a, int lda, double *b, int ldb);
/* B = B A'^-1; A is a lower triangle of order n, B is m x n. */
void ntk_pieces_solve_right(struct ntk_pieces *p, int m, int n, const double *a, int lda, double *b,
                            int ldb);
/* The triangle of C, n x n, -= op(A) op(A)', the sums of length k. */
void ntk_pieces_syrk(struct ntk_pieces *p, CBLAS_UPLO uplo, CBLAS_TRANSPOSE ta, int n, int k,
                     const double *a, int lda, double *c, int ldc);
/* Cholesky factor of a triangle in place. 0, or the order of the first leading minor that is not
 * positive. */
int ntk_pieces_cholesky(struct ntk_pieces *p, CBLAS_UPLO uplo, int n, double *a, int lda);

#endif
