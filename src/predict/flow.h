/* SPDX-License-Identifier: MIT
 *
 * flow.h - what ntk_flow's two ways, the integrator and the closed form, are given.
 */
#ifndef NTK_FLOW_H
#define NTK_FLOW_H

#include "base/base.h"

struct ntk_flow_problem {
    ntk_ctx *ctx;
    const ntk_flow_opts *opts;
    int64_t n, m, c;         /* training samples, test samples (0 without k_test), outputs */
    const double *k[2];      /* train, test; with blocks [n c][n c], [m c][n c] */
    const double *y, *f0[2]; /* f0: NULL: zero */
    double scale;            /* of the loss */
    const double *times;
    size_t n_times;
    double *f[2]; /* results at train, test samples; NULL: not wanted */
};

ntk_status ntk_flow_integrate(const struct ntk_flow_problem *p);
/* NTK_ENUMERIC if a number of f, [n_times][size] outputs at `what` samples, is not finite; f may be NULL. */
ntk_status ntk_flow_check(ntk_ctx *ctx, const char *what, const double *times, size_t n_times,
                          int64_t size, const double *f);
/* *null_directions: as ntk_flow_opts has it. */
ntk_status ntk_flow_closed(const struct ntk_flow_problem *p, int64_t *null_directions);

#endif
