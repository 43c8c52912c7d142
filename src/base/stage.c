/* SPDX-License-Identifier: MIT
 *
 * stage.c - what a stage of the work hands on is finite, or an error that names the stage.
 */
#include "base/base.h"

int64_t ntk_not_finite(const double *x, int64_t n)
{
    int64_t i = 0;
    double sum = 0; /* of zeros, else not a number */

    for (; i < n; i++)
        sum += x[i] - x[i];
    if (sum == 0)
        return -1;
    for (i = 0; x[i] - x[i] == 0; i++)
        ;
    return i;
}

bool ntk_all_single(const double *x, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        if ((double)(float)x[k] != x[k])
            return false;
    return true;
}

ntk_status ntk_check_finite(ntk_ctx *ctx, const char *stage, const double *x, int64_t rows,
                            int64_t columns)
{
    const int64_t at = ntk_not_finite(x, rows * columns);
    char where[64] = "";

    if (at < 0)
        return NTK_OK;
    if (rows * columns > 1)
        snprintf(where, sizeof where, ", number [%lld][%lld],", (long long)(at / columns),
                 (long long)(at % columns));
    return ntk_fail(ctx, NTK_ENUMERIC,
                    "%s%s is %s, not finite: the samples, the targets or the weights' deviations are "
                    "too large or too small for float64; scale them",
                    stage, where, x[at] != x[at] ? "nan" : x[at] > 0 ? "inf" : "-inf");
}
