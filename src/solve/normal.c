/* SPDX-License-Identifier: MIT
 *
 * normal.c - see normal.h.
 */
#include "solve/normal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "solve/tiled.h"

ntk_status ntk_normal_add_targets(ntk_ctx *ctx, struct ntk_normal *e, int64_t rows, const double *panel, const double *y,
                                  int64_t ld)
{
    for (int64_t c = 0; c < e->outputs; c++)
        for (int64_t i = 0; i < rows; i++)
            e->squares += y[c * ld + i] * y[c * ld + i];
    return ntk_tiled_add(ctx, e->m, rows, panel, e->outputs, y, ld, e->right);
}

ntk_status ntk_normal_add(ntk_ctx *ctx, struct ntk_normal *e, int64_t rows, const double *panel, const double *y, int64_t ld)
{
    NTK_TRY(ntk_tiled_gram(ctx, e->m, rows, panel, e->gram));
    return ntk_normal_add_targets(ctx, e, rows, panel, y, ld);
}

void ntk_normal_unite(struct ntk_normal *e, const struct ntk_normal *other)
{
    const int64_t m = e->m;

    for (int64_t j = 0; j < m; j++)
        for (int64_t i = j; i < m; i++)
            e->gram[j * m + i] += other->gram[j * m + i];
    for (int64_t j = 0; j < e->outputs * m; j++)
        e->right[j] += other->right[j];
}

ntk_status ntk_normal_factor(ntk_ctx *ctx, const struct ntk_normal *e, double ridge, double *l, int64_t *minor)
{
    const int64_t m = e->m;

    for (int64_t j = 0; j < m && l != e->gram; j++)
        memcpy(l + j * m + j, e->gram + j * m + j, (size_t)(m - j) * sizeof *l);
    for (int64_t j = 0; j < m; j++)
        l[j * (m + 1)] += ridge;
    return ntk_tiled_factor(ctx, m, l, minor);
}

ntk_status ntk_normal_solve(ntk_ctx *ctx, int64_t m, const double *l, int64_t columns, double *x)
{
    NTK_TRY(ntk_tiled_solve(ctx, false, m, l, columns, x));
    return ntk_tiled_solve(ctx, true, m, l, columns, x);
}

/* ---- ridges */

size_t ntk_normal_bytes(int64_t m, int64_t outputs)
{
    return ntk_bytes((double)m * ((double)m + 2 * (double)outputs) * sizeof(double));
}

static ntk_status error_of(ntk_ctx *ctx, const struct ntk_normal *out, const double *g, double *work, double *error)
{
    const int64_t numbers = out->outputs * out->m;
    double sum = out->squares;

    memset(work, 0, (size_t)numbers * sizeof *work);
    NTK_TRY(ntk_tiled_multiply(ctx, out->m, out->gram, out->outputs, g, work));
    for (int64_t j = 0; j < numbers; j++)
        sum += g[j] * (work[j] - 2 * out->right[j]);
    *error = isfinite(sum) ? fmax(sum, 0) : (double)INFINITY; /* rounding errors may be larger than the error */
    return NTK_OK;
}

/* l: room for a factor; g: for two tables of solutions. */
static ntk_status hold_out(ntk_ctx *ctx, const struct ntk_normal *fit, const struct ntk_normal *out, double ridge, double *l,
                           double *g, double *error)
{
    const int64_t numbers = fit->outputs * fit->m;
    int64_t minor;

    *error = (double)INFINITY;
    NTK_TRY(ntk_normal_factor(ctx, fit, ridge, l, &minor));
    if (minor != 0)
        return NTK_OK;
    memcpy(g, fit->right, (size_t)numbers * sizeof *g);
    NTK_TRY(ntk_normal_solve(ctx, fit->m, l, fit->outputs, g));
    return error_of(ctx, out, g, g + numbers, error);
}

ntk_status ntk_normal_hold_out(ntk_ctx *ctx, const struct ntk_normal *fit, const struct ntk_normal *out, size_t count,
                               const double *ridges, double *errors)
{
    const size_t square = (size_t)fit->m * (size_t)fit->m;
    double *l = ntk_large_new(ctx, square, sizeof *l);
    double *g = ntk_alloc(ctx, (size_t)(2 * fit->outputs * fit->m), sizeof *g);
    ntk_status status = l && g ? NTK_OK : NTK_ENOMEM;

    for (size_t k = 0; k < count && status == NTK_OK; k++) {
        status = hold_out(ctx, fit, out, ridges[k], l, g, &errors[k]);
        if (status == NTK_OK)
            status = ntk_progress(ctx, "ridges", (double)(k + 1), (double)count);
    }
    ntk_large_free(l, square, sizeof *l);
    free(g);
    return status;
}
