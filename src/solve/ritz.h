/* SPDX-License-Identifier: MIT
 *
 * ritz.h - the largest eigenvalue of a symmetric operator.
 */
#ifndef NTK_RITZ_H
#define NTK_RITZ_H

#include "base/base.h"

/* x = A x, in place, for x [n]. A failure ends the search. */
typedef ntk_status ntk_operator_fn(double *x, void *user);

/* Lanczos with full reorthogonalisation from a fixed random start until the largest Ritz value has
 * settled to a relative 1e-6 between steps, at most 100 steps (Golub and Van Loan 2013, 10.1). */
ntk_status ntk_lanczos_largest(ntk_ctx *ctx, int64_t n, ntk_operator_fn *apply, void *user,
                               double *lambda);

#endif
