/* SPDX-License-Identifier: MIT
 *
 * blocks.h - all pairs of two sets of samples with positions, block by block.
 *
 * A block is a panel of first samples by a panel of second samples, whose sides (fields.h) are in
 * memory. Threads share its pairs, a vector of them at a time; its sums over positions then go
 * through the rest of the plan as tiles (tile.h).
 */
#ifndef NTK_BLOCKS_H
#define NTK_BLOCKS_H

#include "kernel/planes.h"
#include "kernel/tile.h"

ntk_status ntk_blocks_run(const struct ntk_tiling *t, const struct ntk_fields *f, ntk_sink_fn *sink,
                          void *user);
/* out[k][i] = sum k of sample i of a set with itself; [n_sums][n]. */
ntk_status ntk_blocks_diagonal(const struct ntk_fields *f, int set, double *const *out);
/* Bytes that either holds, at most, for sets of n1 and n2 samples (n2 = 0: symmetric). */
size_t ntk_blocks_bytes(const struct ntk_fields *f, int64_t n1, int64_t n2);

#endif
