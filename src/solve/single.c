/* SPDX-License-Identifier: MIT
 *
 * single.c - see single.h. Panel k is column-major, [rows of the strip] columns of n - k NTK_STRIP rows.
 */
#include "solve/single.h"

#include <cblas.h>
#include <math.h>

#include "base/lapack.h"

struct panel {
    int n, width; /* rows, columns */
    float *a;
};

static struct panel panel_of(const struct ntk_strips *s, int64_t k)
{
    return (struct panel){(int)(s->n - k * NTK_STRIP), (int)ntk_strip_rows(s, k), ntk_strip_at(s, k)};
}

/* Rows of the factor that panel j has from panel k on. */
static const float *rows_from(const struct ntk_strips *s, int64_t j, int64_t k)
{
    return panel_of(s, j).a + (k - j) * NTK_STRIP;
}

static int factor_square(const struct panel *p)
{
    int info = 0;

    spotrf_("L", &p->width, p->a, &p->n, &info, 1);
    for (int i = 0; i < p->width && info == 0; i++) /* what is not finite anywhere in a row makes its pivot so */
        if (!isfinite(p->a[(size_t)i * (size_t)(p->n + 1)]))
            info = i + 1;
    return info;
}

ntk_status ntk_single_factor(ntk_ctx *ctx, struct ntk_strips *a, int *minor)
{
    const double n = (double)a->n, all = n * n * n / 3;
    double done = 0;

    *minor = 0;
    for (int64_t k = 0; k < ntk_strips_count(a->n); k++) {
        const struct panel p = panel_of(a, k);

        for (int64_t j = 0; j < k; j++) {
            const struct panel before = panel_of(a, j);
            const float *rows = rows_from(a, j, k);

            cblas_sgemm(CblasColMajor, CblasNoTrans, CblasTrans, p.n, p.width, before.width, -1, rows, before.n, rows,
                        before.n, 1, p.a, p.n);
            NTK_TRY(ntk_poll(ctx));
        }
        *minor = factor_square(&p);
        if (*minor) {
            *minor += (int)(k * NTK_STRIP);
            return NTK_OK;
        }
        if (p.n > p.width)
            cblas_strsm(CblasColMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, p.n - p.width, p.width, 1, p.a,
                        p.n, p.a + p.width, p.n);
        done += (double)p.width * p.n * (2 * (double)k * NTK_STRIP + p.width);
        NTK_TRY(ntk_progress(ctx, "factorisations", fmin(done / all, 0.999), 1));
    }
    return NTK_OK;
}

ntk_status ntk_single_solve(ntk_ctx *ctx, const struct ntk_strips *l, int64_t m, float *x)
{
    const int n = (int)l->n, columns = (int)m;

    for (int64_t k = 0; k < ntk_strips_count(l->n); k++) {
        const struct panel p = panel_of(l, k);
        float *at = x + k * NTK_STRIP;

        cblas_strsm(CblasColMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, p.width, columns, 1, p.a, p.n, at, n);
        if (p.n > p.width)
            cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, p.n - p.width, columns, p.width, -1, p.a + p.width, p.n,
                        at, n, 1, at + p.width, n);
        NTK_TRY(ntk_poll(ctx));
    }
    for (int64_t k = ntk_strips_count(l->n) - 1; k >= 0; k--) {
        const struct panel p = panel_of(l, k);
        float *at = x + k * NTK_STRIP;

        if (p.n > p.width)
            cblas_sgemm(CblasColMajor, CblasTrans, CblasNoTrans, p.width, columns, p.n - p.width, -1, p.a + p.width, p.n,
                        at + p.width, n, 1, at, n);
        cblas_strsm(CblasColMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, p.width, columns, 1, p.a, p.n, at, n);
        NTK_TRY(ntk_poll(ctx));
    }
    return NTK_OK;
}
