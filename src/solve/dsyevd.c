/* SPDX-License-Identifier: MIT
 *
 * dsyevd.c - see dsyevd.h.
 */
#include <stdlib.h>

#include "base/lapack.h"
#include "solve/cost.h"
#include "solve/dsyevd.h"

static ntk_status decompose(ntk_ctx *ctx, int n, double *a, int ld, double *values)
{
    const int all = -1;
    int lwork, liwork, info, i_best;
    double best, *work;
    int *iwork;

    dsyevd_("V", "L", &n, a, &ld, values, &best, &all, &i_best, &all, &info, 1, 1);
    lwork = (int)best;
    liwork = i_best;
    if (best > 2147483647.0)
        return ntk_fail(ctx, NTK_ENOTSUP,
                        "an eigen-decomposition of order %d exceeds LAPACK's 32-bit workspace", n);
    work = ntk_alloc(ctx, (size_t)lwork, sizeof *work);
    iwork = ntk_alloc(ctx, (size_t)liwork, sizeof *iwork);
    if (work && iwork)
        dsyevd_("V", "L", &n, a, &ld, values, work, &lwork, iwork, &liwork, &info, 1, 1);
    else
        info = -1;
    free(work);
    free(iwork);
    if (info < 0)
        return NTK_ENOMEM;
    return info == 0
               ? NTK_OK
               : ntk_fail(ctx, NTK_ENUMERIC, "the eigen-decomposition did not converge (%d)", info);
}

#define LEAST 1500 /* order from which it may take seconds */
#define WORTH 2    /* of them, to say it */

/* It is the one call that cannot be cut. What measuring takes is less than what the decomposition then does. */
static ntk_status say_how_long(ntk_ctx *ctx, int64_t n)
{
    struct ntk_rates rates;
    struct ntk_cost cost;
    double seconds;

    if (!ctx->log || n < LEAST)
        return NTK_OK;
    NTK_TRY(ntk_rates_measure(ctx, 1, (size_t)n * (size_t)n * sizeof(double), &rates));
    ntk_eigen_cost(n, &cost);
    seconds = ntk_cost_seconds(&cost, &rates);
    if (seconds > WORTH)
        ntk_log(ctx, 0,
                "the eigen-decomposition of order %lld takes about %.0f s, longer on a busy machine, and is not interrupted",
                (long long)n, seconds);
    return NTK_OK;
}

ntk_status ntk_eigen(ntk_ctx *ctx, int64_t n, double *a, double *values)
{
    NTK_TRY(say_how_long(ctx, n));
    return decompose(ctx, (int)n, a, (int)n, values);
}
