/* SPDX-License-Identifier: MIT
 *
 * out_of_core.h - what the files of the solver 'out-of-core' share: the tiles of its factor, and how it is made; and what
 * tests set.
 */
#ifndef NTK_OUT_OF_CORE_H
#define NTK_OUT_OF_CORE_H

#include "base/base.h"

struct ntk_factor;
struct ntk_solver;

/* Columns of tiles that a panel has at most; 0 (the default): as many as memory holds. */
extern int64_t ntk_out_of_core_most;

#define NTK_OUT_OF_CORE_SIDE  480 /* of a tile, at most: BLAS is as fast as with larger ones; no power of two, whose rows share
                                   * cache lines */
#define NTK_OUT_OF_CORE_LEAST 16  /* tiles in a row, of few samples */

static inline int64_t ntk_out_of_core_side(int64_t n)
{
    const int64_t side = (n / NTK_OUT_OF_CORE_LEAST + 3) / 4 * 4;

    return side < 4 ? 4 : ntk_least(side, NTK_OUT_OF_CORE_SIDE);
}

/* Tiles in a row, */
static inline int64_t ntk_out_of_core_across(int64_t n)
{
    const int64_t side = ntk_out_of_core_side(n);

    return (n + side - 1) / side;
}

/* rows or columns that number t of them has, */
static inline int ntk_out_of_core_extent(int64_t n, int64_t t)
{
    const int64_t side = ntk_out_of_core_side(n);

    return (int)ntk_least(side, n - t * side);
}

/* and bytes of so many tiles. */
static inline size_t ntk_out_of_core_bytes(int64_t n, int64_t tiles)
{
    const double side = (double)ntk_out_of_core_side(n);

    return ntk_bytes((double)tiles * side * side * sizeof(double));
}

/* Bytes that are left for tiles, of which a quarter stays free for others. */
size_t ntk_out_of_core_room(const struct ntk_solver *s);
/* The factor of K + R, into f, whatever of it is there already. *minor as dpotrf's info. */
ntk_status ntk_out_of_core_factor(struct ntk_solver *s, struct ntk_factor *f, int *minor);

#endif
