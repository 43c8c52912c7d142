/* SPDX-License-Identifier: MIT
 *
 * rfp.c - see rfp.h.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "predict/lapack.h"
#include "predict/rfp.h"

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
    double *a = ntk_alloc(ctx, ntk_rfp_size(n), sizeof *a);

    if (!a)
        return NTK_ENOMEM;
    *k = (struct ntk_rfp){.n = n, .a = a};
    return NTK_OK;
}

void ntk_rfp_free(struct ntk_rfp *k)
{
    free(k->a);
    *k = (struct ntk_rfp){0};
}

double *ntk_rfp_at(const struct ntk_rfp *k, int64_t i, int64_t j)
{
    const struct parts p = parts_of(k);

    return j < p.n1 ? p.t1 + j * p.ld + i : p.t2 + (i - p.n1) * p.ld + (j - p.n1);
}

double ntk_rfp_trace(const struct ntk_rfp *k)
{
    double sum = 0;

    for (int64_t i = 0; i < k->n; i++)
        sum += *ntk_rfp_at(k, i, i);
    return sum;
}

void ntk_rfp_add_diagonal(struct ntk_rfp *k, double x)
{
    for (int64_t i = 0; i < k->n; i++)
        *ntk_rfp_at(k, i, i) += x;
}

static double entry(const ntk_block *b, ntk_dtype dtype, int64_t i, int64_t j)
{
    const int64_t at = i * b->ld + j;

    return dtype == NTK_F32 ? (double)((const float *)b->k)[at] : ((const double *)b->k)[at];
}

void ntk_rfp_store(struct ntk_rfp *k, const ntk_block *b, ntk_dtype dtype)
{
    const struct parts p = parts_of(k);

    for (int64_t i = 0; i < b->ni; i++) {
        const int64_t row = b->i0 + i, first = b->j0 < row ? row - b->j0 : 0;
        const bool second_half = row >= p.n1;
        double *out = second_half ? p.t2 + (row - p.n1) : p.t1 + row * p.ld;

        for (int64_t j = first; j < b->nj; j++) {
            const int64_t column = b->j0 + j;

            out[second_half ? (column - p.n1) * p.ld : column] = entry(b, dtype, i, j);
        }
    }
}

void ntk_rfp_multiply(const struct ntk_rfp *k, int64_t m, const double *x, double *out)
{
    const struct parts p = parts_of(k);
    const int n = (int)k->n, columns = (int)m;

    cblas_dsymm(CblasColMajor, CblasLeft, CblasLower, p.n1, columns, 1, p.t1, p.ld, x, n, 0, out, n);
    if (p.n2 == 0)
        return;
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, p.n1, columns, p.n2, 1, p.s, p.ld,
                x + p.n1, n, 1, out, n);
    cblas_dsymm(CblasColMajor, CblasLeft, CblasUpper, p.n2, columns, 1, p.t2, p.ld, x + p.n1, n, 0,
                out + p.n1, n);
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, p.n2, columns, p.n1, 1, p.s, p.ld, x, n,
                1, out + p.n1, n);
}

int ntk_rfp_factor(struct ntk_rfp *k)
{
    const int n = (int)k->n;
    int info;

    dpftrf_("N", "L", &n, k->a, &info, 1, 1);
    /* what is not finite anywhere in a row makes its pivot so, which not every LAPACK sees */
    for (int i = 0; i < n && info == 0; i++)
        if (!isfinite(*ntk_rfp_at(k, i, i)))
            info = i + 1;
    return info;
}

void ntk_rfp_solve(const struct ntk_rfp *l, int64_t m, double *x)
{
    const int n = (int)l->n, columns = (int)m;
    int info;

    dpftrs_("N", "L", &n, &columns, l->a, x, &n, &info, 1, 1);
}

void ntk_rfp_solve_half(const struct ntk_rfp *l, int64_t m, double *x)
{
    const int n = (int)l->n, columns = (int)m;
    const double one = 1;

    dtfsm_("N", "L", "L", "N", "N", &n, &columns, &one, l->a, x, &n, 1, 1, 1, 1, 1);
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
