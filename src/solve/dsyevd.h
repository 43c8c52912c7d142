/* SPDX-License-Identifier: MIT
 *
 * dsyevd.h - eigenvalues and eigenvectors of a symmetric matrix.
 */
#ifndef NTK_DSYEVD_H
#define NTK_DSYEVD_H

#include "base/base.h"

/* values [n], ascending; row k of a [n][n] becomes eigenvector k. Needs twice a's memory beside it.
 */
ntk_status ntk_eigen(ntk_ctx *ctx, int64_t n, double *a, double *values);

#endif
