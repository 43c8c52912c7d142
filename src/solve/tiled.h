/* SPDX-License-Identifier: MIT
 *
 * tiled.h - dense algebra whose bits do not follow the number of threads: each tile of a result is one thread's, by BLAS
 * in one thread (the caller's ntk_blas_begin(1)). Square matrices are lower triangles, column-major [m][m]; what is above
 * is neither read nor written. Panels are [rows][m], row-major.
 */
#ifndef NTK_TILED_H
#define NTK_TILED_H

#include "base/base.h"

/* a = L L' in place; *minor: 0, or the order of the first leading minor that is not positive. */
ntk_status ntk_tiled_factor(ntk_ctx *ctx, int64_t m, double *a, int64_t *minor);
/* Each row x becomes L^-1 x or, transposed, L'^-1 x. */
ntk_status ntk_tiled_solve(ntk_ctx *ctx, bool transposed, int64_t m, const double *l, int64_t rows, double *panel);
/* a += P' P of a panel P. */
ntk_status ntk_tiled_gram(ntk_ctx *ctx, int64_t m, int64_t rows, const double *panel, double *a);
/* out [columns][m] += y P for y [columns][ld], of which the first `rows` are taken. */
ntk_status ntk_tiled_add(ntk_ctx *ctx, int64_t m, int64_t rows, const double *panel, int64_t columns, const double *y,
                         int64_t ld, double *out);
/* out [columns][m] += x A for x [columns][m], A symmetric of a lower triangle. */
ntk_status ntk_tiled_multiply(ntk_ctx *ctx, int64_t m, const double *a, int64_t columns, const double *x, double *out);

#endif
