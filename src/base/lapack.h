/* SPDX-License-Identifier: MIT
 *
 * lapack.h - the few Fortran symbols that are used directly: LAPACKE's checks for NaN overflow on
 * packed matrices of more than 46,340 rows. Matrices are column-major; each character argument has
 * a hidden length at the end of the list.
 */
#ifndef NTK_LAPACK_H
#define NTK_LAPACK_H

#include <stddef.h>

/* Cholesky factorisation. */
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t);
void spotrf_(const char *uplo, const int *n, float *a, const int *lda, int *info, size_t);
/* Eigen-decomposition of a symmetric matrix, divide and conquer. */
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w,
             double *work, const int *lwork, int *iwork, const int *liwork, int *info, size_t,
             size_t);
/* Eigenvalues of a symmetric tridiagonal matrix. */
void dsterf_(const int *n, double *d, double *e, int *info);
/* The same, and eigenvectors: work [2 n]. */
void dstev_(const char *jobz, const int *n, double *d, double *e, double *z, const int *ldz, double *work, int *info, size_t);
/* Solves with a positive definite tridiagonal matrix. */
void dptsv_(const int *n, const int *nrhs, double *d, double *e, double *b, const int *ldb, int *info);

#endif
