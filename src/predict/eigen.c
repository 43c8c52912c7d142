/* SPDX-License-Identifier: MIT
 *
 * eigen.c - see eigen.h.
 */
#include "predict/eigen.h"

#include <stdlib.h>

#include "predict/lapack.h"

ntk_status ntk_eigen(ntk_ctx *ctx, int64_t order, double *a, double *values)
{
    const int n = (int)order, all = -1;
    int lwork, liwork, info, i_best;
    double best, *work;
    int *iwork;

    dsyevd_("V", "L", &n, a, &n, values, &best, &all, &i_best, &all, &info, 1, 1);
    lwork = (int)best;
    liwork = i_best;
    if (best > 2147483647.0)
        return ntk_fail(ctx, NTK_ENOTSUP,
                        "an eigen-decomposition of order %d exceeds LAPACK's 32-bit workspace", n);
    work = ntk_alloc(ctx, (size_t)lwork, sizeof *work);
    iwork = ntk_alloc(ctx, (size_t)liwork, sizeof *iwork);
    if (work && iwork)
        dsyevd_("V", "L", &n, a, &n, values, work, &lwork, iwork, &liwork, &info, 1, 1);
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
