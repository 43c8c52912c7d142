/* SPDX-License-Identifier: MIT
 *
 * dsyevd.c - see dsyevd.h.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "solve/dsyevd.h"
#include "base/lapack.h"

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

#define PART  256 /* order of the decomposition that is timed */
#define TRIES 5   /* the least time is that of a machine with nothing else to do, and threads that are awake */

/* It is the one call that cannot be cut. A small one runs at a lower rate, and how busy the machine will be is not known:
 * its time, scaled, says the order of magnitude. */
static ntk_status say_how_long(ntk_ctx *ctx, int64_t n, const double *a)
{
    const double ratio = (double)n / PART, worth_saying = 2;
    double *part, values[PART], least = (double)INFINITY, seconds;
    ntk_status status = NTK_OK;

    if (!ctx->log || n < 4 * PART)
        return NTK_OK;
    part = ntk_alloc(ctx, PART * PART, sizeof *part);
    if (!part)
        return NTK_ENOMEM;
    for (int k = 0; k < TRIES && status == NTK_OK; k++) {
        const double began = ntk_seconds();

        for (int64_t i = 0; i < PART; i++)
            memcpy(part + i * PART, a + i * n, PART * sizeof *part);
        status = decompose(ctx, PART, part, PART, values);
        least = fmin(least, ntk_seconds() - began);
    }
    free(part);
    seconds = least * ratio * ratio * ratio;
    if (status == NTK_OK && seconds > worth_saying)
        ntk_log(ctx, 0,
                "the eigen-decomposition of order %lld takes about %.0f s, longer on a busy machine, and is not interrupted",
                (long long)n, seconds);
    return status;
}

ntk_status ntk_eigen(ntk_ctx *ctx, int64_t n, double *a, double *values)
{
    NTK_TRY(say_how_long(ctx, n, a));
    return decompose(ctx, (int)n, a, (int)n, values);
}
