/* SPDX-License-Identifier: MIT
 *
 * normal.h - least squares with a ridge by normal equations, (P' P + ridge) g = P' y, whose sums are added up panel by
 * panel; the solutions of several ridges, and their errors on rows that were held out, from the sums of those alone. Layouts and
 * threads are those of tiled.h.
 */
#ifndef NTK_NORMAL_H
#define NTK_NORMAL_H

#include "base/base.h"

struct ntk_normal {
    int64_t m, outputs;
    double *gram;   /* [m][m]: P' P */
    double *right;  /* [outputs][m]: P' y */
    double squares; /* of y */
};

/* Rows of a panel [rows][m] and their targets [outputs][ld]. */
typedef ntk_status ntk_normal_add_fn(ntk_ctx *ctx, struct ntk_normal *e, int64_t rows, const double *panel, const double *y,
                                     int64_t ld);
ntk_normal_add_fn ntk_normal_add;
/* The same but for gram, which has them already. */
ntk_normal_add_fn ntk_normal_add_targets;
/* The sums of both, but for squares, in the first. */
void ntk_normal_unite(struct ntk_normal *e, const struct ntk_normal *other);
/* l, [m][m], becomes the factor of gram + ridge; *minor as ntk_tiled_factor. l may be gram. */
ntk_status ntk_normal_factor(ntk_ctx *ctx, const struct ntk_normal *e, double ridge, double *l, int64_t *minor);
/* x = (L L')^-1 x, [columns][m]. */
ntk_status ntk_normal_solve(ntk_ctx *ctx, int64_t m, const double *l, int64_t columns, double *x);
/* Squared errors, summed over rows held out and outputs, of the fits to the others: g' B g - 2 g' c + |y|^2. INFINITY where
 * there is no factor. */
ntk_status ntk_normal_hold_out(ntk_ctx *ctx, const struct ntk_normal *fit, const struct ntk_normal *out, size_t count,
                               const double *ridges, double *errors);
/* Rows to hold out where a ridge is chosen: one of each ten, by a hash. */
static inline bool ntk_held_out(int64_t row) { return row % 10 == (int64_t)(ntk_mix64((uint64_t)(row / 10) + 1) % 10); }
/* Bytes of what that works in. */
size_t ntk_normal_bytes(int64_t m, int64_t outputs);

#endif
