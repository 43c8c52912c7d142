/* SPDX-License-Identifier: MIT
 *
 * tile.h - all pairs of two sets of samples, tile by tile.
 *
 * A tile is a block of rows by a block of columns. Its first covariance is one matrix product; then
 * each row is a run of pairs that goes through all steps of the plan. Tiles depend on the numbers
 * of samples only, and each is computed whole by one thread, so results are bitwise the same for
 * any number of threads.
 */
#ifndef NTK_TILE_H
#define NTK_TILE_H

#include "kernel/samples.h"

struct ntk_tiling {
    ntk_ctx *ctx;
    const struct ntk_plan *plan;
    const struct ntk_simd *simd;
    const struct ntk_samples *rows, *columns; /* the same: symmetric */
    const struct ntk_duals *duals;
    const struct ntk_groups *groups;
    ntk_dtype dtype;
};

ntk_status ntk_tiles_run(const struct ntk_tiling *t, ntk_sink_fn *sink, void *user);
/* Bytes of scratch that one thread holds. */
size_t ntk_tile_bytes(const struct ntk_plan *plan, ntk_dtype dtype);

/* A sink that stores every block in out[m], [n1][n2], and mirrors it if symmetric. */
struct ntk_memory_sink {
    void *const *out;
    int64_t n2;
    ntk_dtype dtype;
    bool symmetric;
};
int ntk_memory_sink_write(const ntk_block *block, void *sink);

#endif
