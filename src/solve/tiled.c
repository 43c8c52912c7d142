/* SPDX-License-Identifier: MIT
 *
 * tiled.c - see tiled.h.
 */
#include "solve/tiled.h"

#include <cblas.h>

#include "base/lapack.h"

#define TILE 256
#define ROWS 64 /* of a panel, that one thread solves for; */
#define FEW  4  /* or of no more than ROWS */

static int64_t tiles(int64_t m) { return (m + TILE - 1) / TILE; }
static int side(int64_t m, int64_t k) { return (int)ntk_least(TILE, m - k * TILE); }

/* Tile (*i, *j), *i >= *j, number k of a lower triangle of tiles. */
static void place(int64_t k, int64_t *i, int64_t *j)
{
    for (*i = 0; k > *i; k -= ++*i) {
    }
    *j = k;
}

/* ---- factor: tiles on the diagonal, those below them, those that both reach (Golub and Van Loan 2013, 4.2.9) */

static void below(int64_t m, double *a, int64_t k, int64_t i)
{
    double *l = a + k * TILE * (m + 1);

    cblas_dtrsm(CblasColMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, side(m, i), side(m, k), 1, l, (int)m,
                l + (i - k) * TILE, (int)m);
}

static void reach(int64_t m, double *a, int64_t k, int64_t i, int64_t j)
{
    const double *column = a + k * TILE * m;
    double *to = a + j * TILE * m + i * TILE;

    if (i == j)
        cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, side(m, i), side(m, k), -1, column + i * TILE, (int)m, 1, to,
                    (int)m);
    else
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, side(m, i), side(m, j), side(m, k), -1, column + i * TILE,
                    (int)m, column + j * TILE, (int)m, 1, to, (int)m);
}

ntk_status ntk_tiled_factor(ntk_ctx *ctx, int64_t m, double *a, int64_t *minor)
{
    const int64_t n = tiles(m);
    const int ld = (int)m;

    *minor = 0;
    for (int64_t k = 0; k < n; k++) {
        const int order = side(m, k);
        const int64_t left = n - k - 1;
        ntk_status status = NTK_OK;
        int info = 0;

        dpotrf_("L", &order, a + k * TILE * (m + 1), &ld, &info, 1);
        if (info != 0) {
            *minor = k * TILE + info;
            return NTK_OK;
        }
#pragma omp parallel for num_threads(ntk_threads_for(ctx, left)) schedule(dynamic)
        for (int64_t i = k + 1; i < n; i++)
            below(m, a, k, i);
#pragma omp parallel for num_threads(ntk_threads_for(ctx, left * (left + 1) / 2)) schedule(dynamic)
        for (int64_t t = 0; t < left * (left + 1) / 2; t++) {
            int64_t i, j;

            place(t, &i, &j);
            if (ntk_go_on(ctx, &status, NTK_OK))
                reach(m, a, k, k + 1 + i, k + 1 + j);
        }
        NTK_TRY(status);
        NTK_TRY(ntk_poll(ctx));
    }
    return NTK_OK;
}

/* ---- panels: column-major m x rows */

ntk_status ntk_tiled_solve(ntk_ctx *ctx, bool transposed, int64_t m, const double *l, int64_t rows, double *panel)
{
    const int64_t each = rows > ROWS ? ROWS : FEW, jobs = (rows + each - 1) / each;
    ntk_status status = NTK_OK;

#pragma omp parallel for num_threads(ntk_threads_for(ctx, jobs)) schedule(dynamic)
    for (int64_t k = 0; k < jobs; k++)
        if (ntk_go_on(ctx, &status, NTK_OK))
            cblas_dtrsm(CblasColMajor, CblasLeft, CblasLower, transposed ? CblasTrans : CblasNoTrans, CblasNonUnit, (int)m,
                        (int)ntk_least(each, rows - k * each), 1, l, (int)m, panel + k * each * m, (int)m);
    return status;
}

ntk_status ntk_tiled_gram(ntk_ctx *ctx, int64_t m, int64_t rows, const double *panel, double *a)
{
    const int64_t n = tiles(m), jobs = n * (n + 1) / 2;
    ntk_status status = NTK_OK;

#pragma omp parallel for num_threads(ntk_threads_for(ctx, jobs)) schedule(dynamic)
    for (int64_t t = 0; t < jobs; t++) {
        int64_t i, j;
        double *to;

        place(t, &i, &j);
        to = a + j * TILE * m + i * TILE;
        if (!ntk_go_on(ctx, &status, NTK_OK))
            continue;
        if (i == j)
            cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, side(m, i), (int)rows, 1, panel + i * TILE, (int)m, 1, to,
                        (int)m);
        else
            cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, side(m, i), side(m, j), (int)rows, 1, panel + i * TILE,
                        (int)m, panel + j * TILE, (int)m, 1, to, (int)m);
    }
    return status;
}

ntk_status ntk_tiled_add(ntk_ctx *ctx, int64_t m, int64_t rows, const double *panel, int64_t columns, const double *y,
                         int64_t ld, double *out)
{
    ntk_status status = NTK_OK;

#pragma omp parallel for num_threads(ntk_threads_for(ctx, tiles(m))) schedule(dynamic)
    for (int64_t k = 0; k < tiles(m); k++)
        if (ntk_go_on(ctx, &status, NTK_OK))
            cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, side(m, k), (int)columns, (int)rows, 1, panel + k * TILE,
                        (int)m, y, (int)ld, 1, out + k * TILE, (int)m);
    return status;
}

#define VECTORS 16 /* that one thread multiplies */

ntk_status ntk_tiled_multiply(ntk_ctx *ctx, int64_t m, const double *a, int64_t columns, const double *x, double *out)
{
    const int64_t jobs = (columns + VECTORS - 1) / VECTORS;
    ntk_status status = NTK_OK;

#pragma omp parallel for num_threads(ntk_threads_for(ctx, jobs)) schedule(dynamic)
    for (int64_t k = 0; k < jobs; k++)
        if (ntk_go_on(ctx, &status, NTK_OK))
            cblas_dsymm(CblasColMajor, CblasLeft, CblasLower, (int)m, (int)ntk_least(VECTORS, columns - k * VECTORS), 1, a,
                        (int)m, x + k * VECTORS * m, (int)m, 1, out + k * VECTORS * m, (int)m);
    return status;
}
