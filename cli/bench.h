/* SPDX-License-Identifier: MIT
 *
 * bench.h - the parts of `ntk bench` that have files of their own.
 */
#ifndef NTK_CLI_BENCH_H
#define NTK_CLI_BENCH_H

#include "cli.h"

/* Empirical kernels; or steps of gradient descent. */
int bench_finite(ntk_ctx *ctx, const struct args *a, bool training);

#endif
