/* SPDX-License-Identifier: MIT
 *
 * pcg.h - preconditioned conjugate gradients (Golub and Van Loan 2013, 11.5) for a symmetric positive definite A and
 * several right-hand sides, each with its own steps, all in one product. The step to the next direction is the flexible
 * one (Notay 2000), which allows for a preconditioner of lower precision. Residuals are recomputed: where one is larger
 * than the recurrence says, steps begin again from there, as long as it falls.
 */
#ifndef NTK_PCG_H
#define NTK_PCG_H

#include "base/base.h"

#define NTK_PCG_COLUMNS 12 /* right-hand sides at once, */
#define NTK_PCG_MOST    60 /* or so many, if there is room */
#define NTK_PCG_VECTORS 7  /* that each takes */

/* Of m. */
int64_t ntk_pcg_columns(const ntk_ctx *ctx, int64_t n, int64_t m);

struct ntk_pcg {
    ntk_ctx *ctx;
    int64_t n;
    ntk_status (*apply)(void *user, int64_t m, const double *x, double *out);        /* out = A x, [m][n] */
    ntk_status (*precondition)(void *user, int64_t m, const double *r, double *z);   /* z = M^-1 r; z is not r */
    void *user;
    /* NULL, or given from time to time, so seldom that it costs little, and when steps are cancelled: solutions so far of
     * right-hand sides first ..., [count][n]. */
    ntk_status (*keep)(void *user, int64_t first, int64_t count, const double *x);
    void *keep_user;
    int64_t columns;     /* worked on at once, of ntk_pcg_columns; 0: that many */
    double tolerance;    /* of a residual, by its right-hand side; 0: what rounding errors leave */
    ntk_dtype precision; /* of A's entries: residuals that they explain are no failure */
    double largest;      /* eigenvalue of A, as far as it is known; grows */
    int64_t steps;       /* results, over all calls: most steps of one right-hand side; products; the largest residual, by
                          * its right-hand side */
    int64_t products;
    double residual;
};

/* x = A^-1 x, [m][n]. start: solutions to begin with, or NULL; those that are worse than 0 are not used. NTK_ENUMERIC if a
 * residual is too large and falls no more. */
ntk_status ntk_pcg_solve(struct ntk_pcg *p, int64_t m, double *x, const double *start);

#endif
