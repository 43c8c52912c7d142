/* SPDX-License-Identifier: MIT
 *
 * tile.h - all pairs of two sets of samples, tile by tile.
 *
 * A tile is a block of rows by a block of columns. Its inputs are one matrix product, or come from
 * blocks of pairs with positions (blocks.h); then each row is a run of pairs that goes through all
 * steps of the plan. What is computed for a pair does not depend on the tile that it is in, and
 * each tile is computed whole by one thread, so results are bitwise the same for any number of
 * threads.
 */
#ifndef NTK_TILE_H
#define NTK_TILE_H

#include "kernel/near.h"

#define NTK_TILE 256 /* rows and columns; 256 x 256 doubles fill half a second-level cache */

struct ntk_tiling {
    ntk_ctx *ctx;
    const struct ntk_plan *plan;
    const struct ntk_simd *simd;
    const struct ntk_samples *rows, *columns; /* the same: symmetric */
    const struct ntk_duals *duals;
    const struct ntk_groups *groups;
    ntk_dtype dtype;     /* of the computation */
    ntk_dtype out_dtype; /* of the blocks that the sink gets: this, or float32 */
    const struct ntk_way *way;
};

/* An entry of the kernel. */
struct ntk_entry {
    int64_t i, j;
    double value;
};

/* What one thread works in. */
struct ntk_tile {
    const struct ntk_tiling *t;
    unsigned char *block;   /* all of the memory below */
    unsigned char *inputs;  /* [n_inputs][NTK_TILE][NTK_TILE] */
    unsigned char *outputs; /* [n_outputs][NTK_TILE][NTK_TILE] */
    const void **in;        /* [most_in] operands of the current step */
    unsigned char **slot;   /* [n_slots] run buffers; inputs' and outputs' change from row to row */
    struct ntk_near *near;  /* NULL: almost parallel pairs are not looked for */
    struct ntk_entry bad;   /* of the last tile that was not finite */
};

/* False: no memory. */
bool ntk_tile_new(struct ntk_tile *s, const struct ntk_tiling *t);
void ntk_tile_free(struct ntk_tile *s);
/* From s->inputs to the sink. NTK_ECANCEL if the sink says so, NTK_ENUMERIC and s->bad for an entry that is
 * not finite; ntk_tile_end has the sentences. A tile on the diagonal of a symmetric kernel needs inputs
 * on and above it. */
ntk_status ntk_tile_finish(struct ntk_tile *s, int64_t i0, int64_t ni, int64_t j0, int64_t nj,
                           ntk_sink_fn *sink, void *user);
/* Within a parallel loop whose result is *status, after a tile that ended with `this`: says what failed. */
void ntk_tile_end(const struct ntk_tile *s, ntk_status this, ntk_status *status);

/* All pairs of samples without positions. */
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
