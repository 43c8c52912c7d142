/* SPDX-License-Identifier: MIT
 *
 * typed.h - for files that are compiled once for each element type, NTK_REAL: float or double, with
 * names that end in NTK_SUFFIX: _f32 or _f64.
 */
#ifndef NTK_TYPED_H
#define NTK_TYPED_H

#include <cblas.h>
#include <omp.h>
#include <string.h>

#include "steps/step.h"

typedef NTK_REAL real;

#define NTK_CAT2_(a, b) a##b
#define NTK_CAT2(a, b)  NTK_CAT2_(a, b)
#define NTK_TYPED(name) NTK_CAT2(name, NTK_SUFFIX)

#define NTK_WORTH_THREADS 20000 /* elements: below, starting threads costs more than it saves */

/* C = alpha op(A) op(B) + beta C on one thread; op(A) is m x k, op(B) k x n. */
static inline void gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, real alpha,
                        const real *A, int64_t lda, const real *B, int64_t ldb, real beta, real *C,
                        int64_t ldc)
{
    const CBLAS_TRANSPOSE a = ta ? CblasTrans : CblasNoTrans, b = tb ? CblasTrans : CblasNoTrans;

    if (sizeof(real) == sizeof(float))
        cblas_sgemm(CblasRowMajor, a, b, (int)m, (int)n, (int)k, (float)alpha, (const float *)A,
                    (int)lda, (const float *)B, (int)ldb, (float)beta, (float *)C, (int)ldc);
    else
        cblas_dgemm(CblasRowMajor, a, b, (int)m, (int)n, (int)k, (double)alpha, (const double *)A,
                    (int)lda, (const double *)B, (int)ldb, (double)beta, (double *)C, (int)ldc);
}

/* C = A B', on one thread; if they are the same only what is on and above the diagonal. */
static inline void products_of_rows(bool same, int64_t m, int64_t n, int64_t k, const real *A,
                                    const real *B, int64_t ld, real *C)
{
    if (!same)
        gemm(false, true, m, n, k, 1, A, ld, B, ld, 0, C, n);
    else if (sizeof(real) == sizeof(float))
        cblas_ssyrk(CblasRowMajor, CblasUpper, CblasNoTrans, (int)n, (int)k, 1, (const float *)A,
                    (int)ld, 0, (float *)C, (int)n);
    else
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasNoTrans, (int)n, (int)k, 1, (const double *)A,
                    (int)ld, 0, (double *)C, (int)n);
}

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#endif
