/* SPDX-License-Identifier: MIT
 *
 * ritz.c - see ritz.h.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "solve/ritz.h"
#include "base/lapack.h"

#define STEPS_MAX 100
#define SETTLED 1e-6

/* A fixed start with no structure, so that results repeat (splitmix64). */
static void random_unit(int64_t n, double *x)
{
    uint64_t state = 1;
    double norm;

    for (int64_t i = 0; i < n; i++) {
        uint64_t z = state += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        x[i] = (double)(z >> 11) / 9007199254740992.0 - 0.5;
    }
    norm = cblas_dnrm2((int)n, x, 1);
    cblas_dscal((int)n, 1 / norm, x, 1);
}

static double largest_ritz(int steps, const double *diagonal, const double *off)
{
    double d[STEPS_MAX], e[STEPS_MAX];
    int info;

    memcpy(d, diagonal, (size_t)steps * sizeof *d);
    memcpy(e, off, (size_t)steps * sizeof *e);
    dsterf_(&steps, d, e, &info);
    return d[steps - 1];
}

ntk_status ntk_lanczos_largest(ntk_ctx *ctx, int64_t n, ntk_operator_fn *apply, void *user,
                               double *lambda)
{
    const int size = (int)n, most = n < STEPS_MAX ? size : STEPS_MAX;
    const size_t bytes = ((size_t)most + 1) * (size_t)n * sizeof(double);
    double diagonal[STEPS_MAX], off[STEPS_MAX], last = 0, now = 0;
    double *v, *w, *h;
    ntk_status status = NTK_ENOMEM;

    NTK_TRY(ntk_ctx_hold(ctx, bytes, "Lanczos' basis"));
    v = ntk_alloc(ctx, (size_t)most * (size_t)n, sizeof *v);
    w = ntk_alloc(ctx, (size_t)n, sizeof *w);
    h = ntk_alloc(ctx, (size_t)most, sizeof *h);
    if (!v || !w || !h)
        goto done;
    random_unit(n, v);
    for (int k = 0; k < most; k++) {
        double *vk = v + (size_t)k * (size_t)n;

        memcpy(w, vk, (size_t)n * sizeof *w);
        status = apply(w, user);
        if (status == NTK_OK)
            status = ntk_progress(ctx, "Lanczos steps", k + 1, most);
        if (status != NTK_OK)
            goto done;
        diagonal[k] = cblas_ddot(size, w, 1, vk, 1);
        for (int pass = 0; pass < 2; pass++) { /* twice is enough (Parlett 1998, 6.9) */
            cblas_dgemv(CblasColMajor, CblasTrans, size, k + 1, 1, v, size, w, 1, 0, h, 1);
            cblas_dgemv(CblasColMajor, CblasNoTrans, size, k + 1, -1, v, size, h, 1, 1, w, 1);
        }
        off[k] = cblas_dnrm2(size, w, 1);
        last = now;
        now = largest_ritz(k + 1, diagonal, off);
        if (k + 1 == most || off[k] <= 1e-14 * fabs(now) ||
            (k >= 8 && fabs(now - last) <= SETTLED * fabs(now)))
            break;
        memcpy(vk + n, w, (size_t)n * sizeof *w);
        cblas_dscal(size, 1 / off[k], vk + n, 1);
    }
    *lambda = now;
    status = NTK_OK;

done:
    ntk_ctx_release(ctx, bytes);
    free(v);
    free(w);
    free(h);
    return status;
}
