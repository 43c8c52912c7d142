/* SPDX-License-Identifier: MIT
 *
 * factor.h - a Cholesky factor of float64 numbers in a file, tile by tile, which memory does not hold (solve/out_of_core.c).
 *
 *     head        struct ntk_factor_head: what it is a factor of
 *     checksums   [tile] uint64 from byte 4096 on, 0: the tile is not there
 *     tiles       [tile][column][row] from the next multiple of 4096 on
 *
 * Tiles are those on and below the diagonal, column by column of tiles; each has `side` rows and columns, of which those
 * beyond the matrix are 0, as is what is above the diagonal. The file has its length, and its place on the disk, before the
 * first tile is written; a tile comes before its checksum. So whoever is killed leaves whole columns that are right, and
 * the next one, of the same matrix and ridge, goes on behind them.
 *
 * A file with a name stays, and is locked: by one who writes, or by any who read a factor that is whole. One without is
 * gone when it is closed.
 */
#ifndef NTK_FACTOR_H
#define NTK_FACTOR_H

#include "base/base.h"

/* Numbers of this machine, at the beginning of the file. */
struct ntk_factor_head {
    char magic[8];
    uint64_t format, n, side;
    uint64_t matrix, ridge; /* hashes of K and of R */
};

struct ntk_factor {
    ntk_ctx *ctx;
    char *path;      /* the file, or without a name the folder that it is in */
    bool named, shared; /* shared: others may read it, too */
    int fd;          /* -1: none */
    struct ntk_factor_head head;
    int64_t across;  /* rows and columns of tiles */
    uint64_t *marks; /* checksums, as in the file */
    struct {
        int error;     /* an errno, or -1: another checksum; 0: none */
        int64_t i, j;
        bool writing;
    } fault; /* the first, of ntk_factor_read and _write */
};

/* What it holds in memory; what it takes on disk. */
size_t ntk_factor_bytes(int64_t n, int64_t side);
uint64_t ntk_factor_size(int64_t n, int64_t side);

/* n, side, matrix and ridge of head are those that are wanted. path: the file, whose factor of these is gone on with, and any
 * other replaced; NULL: one without a name in folder. NTK_EIO: there is no room for it, which is asked for here, another
 * process uses the file, or it is no factor. */
ntk_status ntk_factor_open(ntk_ctx *ctx, const char *path, const char *folder, struct ntk_factor_head head,
                           struct ntk_factor *f);
void ntk_factor_close(struct ntk_factor *f);
/* The same; the file goes, too. */
void ntk_factor_drop(struct ntk_factor *f);

static inline int64_t ntk_factor_number(const struct ntk_factor *f, int64_t i, int64_t j)
{
    return j * f->across - j * (j - 1) / 2 + i - j;
}
/* How many columns of tiles are there, from the first on. */
int64_t ntk_factor_columns(const struct ntk_factor *f);

/* Tile (i, j), j <= i, [side][side], from several threads. NTK_EIO without a message, which ntk_factor_fail then makes of the
 * status that came of all of them. */
ntk_status ntk_factor_read(struct ntk_factor *f, int64_t i, int64_t j, double *tile);
ntk_status ntk_factor_write(struct ntk_factor *f, int64_t i, int64_t j, const double *tile);
ntk_status ntk_factor_fail(struct ntk_factor *f, ntk_status status);
/* All tiles are there: they are brought to disk, and others may read them. */
ntk_status ntk_factor_finish(struct ntk_factor *f);

#endif
