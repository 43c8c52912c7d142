/* SPDX-License-Identifier: MIT
 *
 * single.h - Cholesky in float32, of strips and in place: their panels become those of L (blocked, by columns, Golub and
 * Van Loan 2013, 4.2.5).
 */
#ifndef NTK_SINGLE_H
#define NTK_SINGLE_H

#include "store/strips.h"

/* A = L L'. minor: 0, or the order of the first leading minor that is not positive. Fails only if it is cancelled. */
ntk_status ntk_single_factor(ntk_ctx *ctx, struct ntk_strips *a, int *minor);
/* x = (L L')^-1 x, column-major [m][n]. */
ntk_status ntk_single_solve(ntk_ctx *ctx, const struct ntk_strips *l, int64_t m, float *x);

#endif
