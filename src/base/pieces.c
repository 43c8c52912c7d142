/* SPDX-License-Identifier: MIT
 *
 * pieces.c - see pieces.h. Triangles are halved until a half is small; rectangles are cut into tiles.
 */
#include <math.h>

#include "base/lapack.h"
#include "base/pieces.h"

#define PIECE 2e10 /* operations: 0.2 s on two fast cores, a second on a slow one */
#define LEAST 256  /* side of a tile from which BLAS is fast */

struct ntk_pieces ntk_pieces_of(ntk_ctx *ctx, const char *what, double total)
{
    return (struct ntk_pieces){.ctx = ctx, .what = what, .total = total, .piece = PIECE};
}

static void finished(struct ntk_pieces *p, double operations)
{
    p->done += operations;
    if (p->status == NTK_OK)
        p->status = p->what ? ntk_progress(p->ctx, p->what, fmin(p->done / p->total, 1), 1) : ntk_poll(p->ctx);
}

/* Half of n, in whole vectors. */
static int half(int n)
{
    return (n / 2 + 63) / 64 * 64;
}

static int at_least(double side)
{
    return side < LEAST ? LEAST : side > 1e9 ? 1000000000 : (int)side;
}

static int least_of(int a, int b)
{
    return a < b ? a : b;
}

static const double *at(const double *a, int lda, int i, int j)
{
    return a + (size_t)j * (size_t)lda + (size_t)i;
}

static double *of(double *a, int lda, int i, int j)
{
    return a + (size_t)j * (size_t)lda + (size_t)i;
}

void ntk_pieces_gemm(struct ntk_pieces *p, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k,
                     double alpha, const double *a, int lda, const double *b, int ldb, double *c, int ldc)
{
    const int width = at_least(fmax(sqrt(p->piece / 2 / k), p->piece / 2 / k / m));
    const int height = at_least(p->piece / 2 / k / least_of(n, width));

    for (int j = 0; j < n; j += width)
        for (int i = 0; i < m && p->status == NTK_OK; i += height) {
            const int rows = least_of(height, m - i), columns = least_of(width, n - j);

            cblas_dgemm(CblasColMajor, ta, tb, rows, columns, k, alpha,
                        ta == CblasNoTrans ? at(a, lda, i, 0) : at(a, lda, 0, i), lda,
                        tb == CblasNoTrans ? at(b, ldb, 0, j) : at(b, ldb, j, 0), ldb, 1,
                        of(c, ldc, i, j), ldc);
            finished(p, 2.0 * rows * columns * k);
        }
}

/* A triangle and m right-hand sides, which would have to be cut too thin. */
static bool too_large(const struct ntk_pieces *p, int n, int m)
{
    return n > LEAST && (double)n * n * m > p->piece && p->piece / n / n < LEAST;
}

void ntk_pieces_symm(struct ntk_pieces *p, CBLAS_UPLO uplo, int n, int m, const double *a, int lda,
                     const double *b, int ldb, double *c, int ldc)
{
    const int most = at_least(p->piece / 2 / n / n);

    if (too_large(p, n, m)) {
        const int n1 = half(n), n2 = n - n1;
        const bool lower = uplo == CblasLower;
        const double *rest = lower ? at(a, lda, n1, 0) : at(a, lda, 0, n1);

        ntk_pieces_symm(p, uplo, n1, m, a, lda, b, ldb, c, ldc);
        ntk_pieces_gemm(p, lower ? CblasTrans : CblasNoTrans, CblasNoTrans, n1, m, n2, 1, rest, lda, b + n1,
                        ldb, c, ldc);
        ntk_pieces_gemm(p, lower ? CblasNoTrans : CblasTrans, CblasNoTrans, n2, m, n1, 1, rest, lda, b, ldb,
                        c + n1, ldc);
        ntk_pieces_symm(p, uplo, n2, m, at(a, lda, n1, n1), lda, b + n1, ldb, c + n1, ldc);
        return;
    }
    for (int j = 0; j < m && p->status == NTK_OK; j += most) {
        const int columns = least_of(most, m - j);

        cblas_dsymm(CblasColMajor, CblasLeft, uplo, n, columns, 1, a, lda, at(b, ldb, 0, j), ldb, 1,
                    of(c, ldc, 0, j), ldc);
        finished(p, 2.0 * n * n * columns);
    }
}

/* The second half of op(A)^-1 B needs the first, or the other way round. */
static void halves(struct ntk_pieces *p, CBLAS_UPLO uplo, CBLAS_TRANSPOSE ta, int n, int m,
                   const double *a, int lda, double *b, int ldb)
{
    const int n1 = half(n), n2 = n - n1;
    const double *rest = uplo == CblasLower ? at(a, lda, n1, 0) : at(a, lda, 0, n1);
    const bool forward = (uplo == CblasLower) == (ta == CblasNoTrans);

    if (forward) {
        ntk_pieces_solve(p, uplo, ta, n1, m, a, lda, b, ldb);
        ntk_pieces_gemm(p, ta, CblasNoTrans, n2, m, n1, -1, rest, lda, b, ldb, b + n1, ldb);
    }
    ntk_pieces_solve(p, uplo, ta, n2, m, at(a, lda, n1, n1), lda, b + n1, ldb);
    if (!forward) {
        ntk_pieces_gemm(p, ta, CblasNoTrans, n1, m, n2, -1, rest, lda, b + n1, ldb, b, ldb);
        ntk_pieces_solve(p, uplo, ta, n1, m, a, lda, b, ldb);
    }
}

void ntk_pieces_solve(struct ntk_pieces *p, CBLAS_UPLO uplo, CBLAS_TRANSPOSE ta, int n, int m,
                      const double *a, int lda, double *b, int ldb)
{
    const int most = at_least(p->piece / n / n);

    if (too_large(p, n, m)) {
        halves(p, uplo, ta, n, m, a, lda, b, ldb);
        return;
    }
    for (int j = 0; j < m && p->status == NTK_OK; j += most) {
        const int columns = least_of(most, m - j);

        cblas_dtrsm(CblasColMajor, CblasLeft, uplo, ta, CblasNonUnit, n, columns, 1, a, lda,
                    of(b, ldb, 0, j), ldb);
        finished(p, (double)n * n * columns);
    }
}

void ntk_pieces_solve_right(struct ntk_pieces *p, int m, int n, const double *a, int lda, double *b,
                            int ldb)
{
    const int most = at_least(p->piece / n / n);

    if (too_large(p, n, m)) {
        const int n1 = half(n), n2 = n - n1;

        ntk_pieces_solve_right(p, m, n1, a, lda, b, ldb);
        ntk_pieces_gemm(p, CblasNoTrans, CblasTrans, m, n2, n1, -1, b, ldb, at(a, lda, n1, 0), lda,
                        of(b, ldb, 0, n1), ldb);
        ntk_pieces_solve_right(p, m, n2, at(a, lda, n1, n1), lda, of(b, ldb, 0, n1), ldb);
        return;
    }
    for (int i = 0; i < m && p->status == NTK_OK; i += most) {
        const int rows = least_of(most, m - i);

        cblas_dtrsm(CblasColMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, rows, n, 1, a, lda,
                    b + i, ldb);
        finished(p, (double)n * n * rows);
    }
}

void ntk_pieces_syrk(struct ntk_pieces *p, CBLAS_UPLO uplo, CBLAS_TRANSPOSE ta, int n, int k,
                     const double *a, int lda, double *c, int ldc)
{
    const CBLAS_TRANSPOSE tb = ta == CblasNoTrans ? CblasTrans : CblasNoTrans;
    const int side = at_least(sqrt(p->piece / k)); /* half of the square's products are computed */

    for (int j = 0; j < n && p->status == NTK_OK; j += side) {
        const int columns = least_of(side, n - j), below = n - j - columns;
        const double *here = ta == CblasNoTrans ? at(a, lda, j, 0) : at(a, lda, 0, j);
        const double *next = ta == CblasNoTrans ? at(a, lda, j + columns, 0) : at(a, lda, 0, j + columns);

        cblas_dsyrk(CblasColMajor, uplo, ta, columns, k, -1, here, lda, 1, of(c, ldc, j, j), ldc);
        finished(p, (double)columns * columns * k);
        if (below == 0)
            return;
        if (uplo == CblasLower)
            ntk_pieces_gemm(p, ta, tb, below, columns, k, -1, next, lda, here, lda,
                            of(c, ldc, j + columns, j), ldc);
        else
            ntk_pieces_gemm(p, ta, tb, columns, below, k, -1, here, lda, next, lda,
                            of(c, ldc, j, j + columns), ldc);
    }
}

int ntk_pieces_cholesky(struct ntk_pieces *p, CBLAS_UPLO uplo, int n, double *a, int lda)
{
    const double operations = (double)n * n * n / 3;
    const int n1 = half(n), n2 = n - n1;
    int info = 0;

    if (p->status != NTK_OK)
        return 0;
    if (operations <= p->piece || n <= LEAST) {
        dpotrf_(uplo == CblasLower ? "L" : "U", &n, a, &lda, &info, 1);
        finished(p, operations);
        return info;
    }
    info = ntk_pieces_cholesky(p, uplo, n1, a, lda);
    if (info)
        return info;
    if (uplo == CblasLower) {
        ntk_pieces_solve_right(p, n2, n1, a, lda, of(a, lda, n1, 0), lda);
        ntk_pieces_syrk(p, uplo, CblasNoTrans, n2, n1, at(a, lda, n1, 0), lda, of(a, lda, n1, n1), lda);
    } else {
        ntk_pieces_solve(p, uplo, CblasTrans, n1, n2, a, lda, of(a, lda, 0, n1), lda);
        ntk_pieces_syrk(p, uplo, CblasTrans, n2, n1, at(a, lda, 0, n1), lda, of(a, lda, n1, n1), lda);
    }
    info = ntk_pieces_cholesky(p, uplo, n2, of(a, lda, n1, n1), lda);
    return info ? n1 + info : 0;
}
