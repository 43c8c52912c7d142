/* SPDX-License-Identifier: MIT
 *
 * rfp.c - see rfp.h.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/pieces.h"
#include "base/views.h"
#include "store/rfp.h"

/* Where the three parts lie. */
struct parts {
    int n1, n2, ld;
    double *t1, *s, *t2;
};

static struct parts parts_of(const struct ntk_rfp *k)
{
    const int64_t even = k->n % 2 == 0, n1 = (k->n + 1) / 2, ld = k->n + even;

    return (struct parts){.n1 = (int)n1,
                          .n2 = (int)(k->n - n1),
                          .ld = (int)ld,
                          .t1 = k->a + even,
                          .s = k->a + n1 + even,
                          .t2 = k->a + (1 - even) * ld};
}

ntk_status ntk_rfp_new(ntk_ctx *ctx, int64_t n, struct ntk_rfp *k)
{
    double *a = ntk_large_new(ctx, ntk_rfp_size(n), sizeof *a);

    if (!a)
        return NTK_ENOMEM;
    *k = (struct ntk_rfp){.n = n, .a = a};
    return NTK_OK;
}

void ntk_rfp_free(struct ntk_rfp *k)
{
    ntk_large_free(k->a, ntk_rfp_size(k->n), sizeof *k->a);
    *k = (struct ntk_rfp){0};
}

double *ntk_rfp_at(const struct ntk_rfp *k, int64_t i, int64_t j)
{
    const struct parts p = parts_of(k);

    return j < p.n1 ? p.t1 + j * p.ld + i : p.t2 + (i - p.n1) * p.ld + (j - p.n1);
}

void ntk_rfp_add_diagonal(struct ntk_rfp *k, const double *x)
{
    for (int64_t i = 0; i < k->n; i++)
        *ntk_rfp_at(k, i, i) += x[i];
}

/* A block on the diagonal: its upper half. */
static void store_corner(struct ntk_rfp *k, const ntk_block *b, ntk_dtype dtype)
{
    for (int64_t i = 0; i < b->ni; i++)
        for (int64_t j = b->j0 < b->i0 + i ? b->i0 + i - b->j0 : 0; j < b->nj; j++)
            *ntk_rfp_at(k, b->j0 + j, b->i0 + i) = ntk_number(b->k, dtype, (size_t)(i * b->ld + j));
}

void ntk_rfp_store(struct ntk_rfp *k, const ntk_block *b, ntk_dtype dtype)
{
    const struct parts p = parts_of(k);
    const struct ntk_view from = ntk_view_of(b, dtype);
    const int64_t half = b->i0 >= p.n1 ? 0 : b->i0 + b->ni <= p.n1 ? b->ni : p.n1 - b->i0; /* rows that are columns of T1 and S */
    const struct ntk_view t1 = {p.t1, NTK_F64, p.ld}, t2 = {p.t2, NTK_F64, p.ld};

    if (b->j0 < b->i0 + b->ni) {
        store_corner(k, b, dtype);
        return;
    }
    ntk_copy(half, b->nj, from, ntk_view_at(t1, b->i0, b->j0));
    if (half < b->ni)
        ntk_transpose(b->ni - half, b->nj, ntk_view_at(from, half, 0),
                      ntk_view_at(t2, b->j0 - p.n1, b->i0 + half - p.n1));
}

ntk_status ntk_rfp_multiply(ntk_ctx *ctx, const struct ntk_rfp *k, int64_t m, const double *x,
                            double *out)
{
    const struct parts p = parts_of(k);
    const int n = (int)k->n, columns = (int)m;
    struct ntk_pieces c = ntk_pieces_of(ctx, NULL, 0);

    memset(out, 0, (size_t)(m * k->n) * sizeof *out);
    ntk_pieces_symm(&c, CblasLower, p.n1, columns, p.t1, p.ld, x, n, out, n);
    if (p.n2 == 0)
        return c.status;
    ntk_pieces_gemm(&c, CblasTrans, CblasNoTrans, p.n1, columns, p.n2, 1, p.s, p.ld, x + p.n1, n, out, n);
    ntk_pieces_symm(&c, CblasUpper, p.n2, columns, p.t2, p.ld, x + p.n1, n, out + p.n1, n);
    ntk_pieces_gemm(&c, CblasNoTrans, CblasNoTrans, p.n2, columns, p.n1, 1, p.s, p.ld, x, n, out + p.n1, n);
    return c.status;
}

ntk_status ntk_rfp_factor(ntk_ctx *ctx, struct ntk_rfp *k, int *minor)
{
    const struct parts p = parts_of(k);
    const double n = (double)k->n;
    struct ntk_pieces c = ntk_pieces_of(ctx, "factorisations", n * n * n / 3);

    *minor = ntk_pieces_cholesky(&c, CblasLower, p.n1, p.t1, p.ld);
    if (*minor || c.status != NTK_OK || p.n2 == 0)
        return c.status;
    ntk_pieces_solve_right(&c, p.n2, p.n1, p.t1, p.ld, p.s, p.ld);
    ntk_pieces_syrk(&c, CblasUpper, CblasNoTrans, p.n2, p.n1, p.s, p.ld, p.t2, p.ld);
    *minor = ntk_pieces_cholesky(&c, CblasUpper, p.n2, p.t2, p.ld);
    *minor += *minor ? p.n1 : 0;
    /* what is not finite anywhere in a row makes its pivot so, which not every LAPACK sees */
    for (int i = 0; i < (int)k->n && *minor == 0; i++)
        if (!isfinite(*ntk_rfp_at(k, i, i)))
            *minor = i + 1;
    return c.status;
}

/* L^-1 x for x that begins with k zeros. */
static void forward(struct ntk_pieces *c, const struct ntk_rfp *l, int k, int64_t m, double *x)
{
    const struct parts p = parts_of(l);
    const int n = (int)l->n, columns = (int)m, k2 = k < p.n1 ? 0 : k - p.n1;
    const size_t step = (size_t)p.ld;

    if (k < p.n1)
        ntk_pieces_solve(c, CblasLower, CblasNoTrans, p.n1 - k, columns, p.t1 + (size_t)k * (step + 1), p.ld, x + k, n);
    if (p.n2 == 0)
        return;
    if (k < p.n1)
        ntk_pieces_gemm(c, CblasNoTrans, CblasNoTrans, p.n2, columns, p.n1 - k, -1, p.s + (size_t)k * step, p.ld, x + k, n,
                        x + p.n1, n);
    ntk_pieces_solve(c, CblasUpper, CblasTrans, p.n2 - k2, columns, p.t2 + (size_t)k2 * (step + 1), p.ld,
                     x + p.n1 + k2, n);
}

/* L'^-1 x */
static void backward(struct ntk_pieces *c, const struct ntk_rfp *l, int64_t m, double *x)
{
    const struct parts p = parts_of(l);
    const int n = (int)l->n, columns = (int)m;

    if (p.n2) {
        ntk_pieces_solve(c, CblasUpper, CblasNoTrans, p.n2, columns, p.t2, p.ld, x + p.n1, n);
        ntk_pieces_gemm(c, CblasTrans, CblasNoTrans, p.n1, columns, p.n2, -1, p.s, p.ld, x + p.n1, n, x, n);
    }
    ntk_pieces_solve(c, CblasLower, CblasTrans, p.n1, columns, p.t1, p.ld, x, n);
}

ntk_status ntk_rfp_solve(ntk_ctx *ctx, const struct ntk_rfp *l, int64_t m, double *x)
{
    struct ntk_pieces c = ntk_pieces_of(ctx, NULL, 0);

    forward(&c, l, 0, m, x);
    backward(&c, l, m, x);
    return c.status;
}

ntk_status ntk_rfp_solve_half(ntk_ctx *ctx, const struct ntk_rfp *l, int64_t m, double *x)
{
    return ntk_rfp_solve_half_from(ctx, l, 0, m, x);
}

ntk_status ntk_rfp_solve_half_from(ntk_ctx *ctx, const struct ntk_rfp *l, int64_t first, int64_t m, double *x)
{
    struct ntk_pieces c = ntk_pieces_of(ctx, NULL, 0);

    forward(&c, l, (int)first, m, x);
    return c.status;
}

/* Columns of the lower triangle: of the first half contiguous, T1 and S together. */
void ntk_rfp_rows(const struct ntk_rfp *k, int64_t i0, int64_t ni, int64_t j0, int64_t nj, double *rows)
{
    const struct parts p = parts_of(k);
    const int64_t half = i0 >= p.n1 ? 0 : i0 + ni <= p.n1 ? ni : p.n1 - i0;

    for (int64_t i = 0; i < half; i++)
        memcpy(rows + i * nj, p.t1 + (i0 + i) * p.ld + j0, (size_t)nj * sizeof *rows);
    for (int64_t j = 0; j < nj && half < ni; j++)
        for (int64_t i = half; i < ni; i++)
            rows[i * nj + j] = p.t2[(j0 + j - p.n1) * p.ld + i0 + i - p.n1];
}

/* The factor has the same parts: L11 = T1, L21 = S, L22 = T2'. */
void ntk_rfp_restore(const struct ntk_rfp *l, double *x, double *work)
{
    const struct parts p = parts_of(l);

    memcpy(work, x, (size_t)l->n * sizeof *x);
    cblas_dtrmv(CblasColMajor, CblasLower, CblasTrans, CblasNonUnit, p.n1, p.t1, p.ld, work, 1);
    if (p.n2) {
        cblas_dgemv(CblasColMajor, CblasTrans, p.n2, p.n1, 1, p.s, p.ld, x + p.n1, 1, 1, work, 1);
        cblas_dtrmv(CblasColMajor, CblasUpper, CblasNoTrans, CblasNonUnit, p.n2, p.t2, p.ld,
                    work + p.n1, 1);
    }
    memcpy(x, work, (size_t)l->n * sizeof *x);
    cblas_dtrmv(CblasColMajor, CblasLower, CblasNoTrans, CblasNonUnit, p.n1, p.t1, p.ld, x, 1);
    if (p.n2) {
        cblas_dtrmv(CblasColMajor, CblasUpper, CblasTrans, CblasNonUnit, p.n2, p.t2, p.ld, x + p.n1,
                    1);
        cblas_dgemv(CblasColMajor, CblasNoTrans, p.n2, p.n1, 1, p.s, p.ld, work, 1, 1, x + p.n1, 1);
    }
}
