/* SPDX-License-Identifier: MIT
 *
 * store.h - kernel matrices in one HDF5 file, tile by tile (ntk.h: ntk_store).
 *
 * The file is made as a whole before the first entry is computed. From then on it is written by pwrite alone, without HDF5:
 * a tile, then its checksum, which is the mark that it is there. So whoever is killed leaves a file that HDF5 opens, and at
 * most the tile that was under way is computed again.
 *
 *     attributes   format, about (identity.c), made_by, sizes
 *     tiles        [matrix][tile][row][column] of the main part, contiguous; NaN where nothing was computed
 *     checksums    [matrix][tile] uint64, 0: the tile is not there
 *     test_tiles, test_checksums   the same of the test part, if there is one
 *     ntk, ...     a virtual data set for each matrix and part, over the tiles; K, K_test: that of the only matrix
 *
 * The main part is square (samples with themselves) or rows by columns, the test part test samples by those of the main
 * part. Square parts have tiles on and below the diagonal, row by row: tile (I, J), J <= I, is number I (I + 1) / 2 + J.
 * Those on the diagonal are whole. Edge tiles are as large as the others and partly unused.
 */
#ifndef NTK_STORE_H
#define NTK_STORE_H

#include "store/operator.h"

enum { NTK_STORE_MAIN, NTK_STORE_TEST, NTK_STORE_PARTS };

struct ntk_store_part {
    bool there, square;
    int64_t n1, n2;    /* rows, columns */
    int64_t b1, b2;    /* of a tile; square: equal */
    int64_t tiles;     /* of a matrix */
    uint64_t at, marks_at; /* where tiles and checksums begin in the file */
    uint64_t *marks;   /* [stored][tiles] checksums, as in the file */
    bool *seen;        /* [stored][tiles] was read whole, and was right */
};

struct ntk_job;

struct ntk_store {
    ntk_ctx *ctx;
    char *path;
    ntk_kernel *kernel; /* NULL: only what is there is read */
    const ntk_data *x1, *x2, *test; /* NULL likewise */
    bool made;          /* the file was not there before */
    ntk_dtype dtype;
    size_t count;       /* matrices that are wanted */
    size_t *which;      /* [count] their numbers in the file */
    size_t stored;      /* matrices in the file */
    char *about, *made_by; /* texts; the lines of the first: */
    const char **line;  /* [NTK_STORE_HEAD + stored], ended by '\0' */
    char *lines;
    struct ntk_store_part part[NTK_STORE_PARTS];
    int fd;             /* to read from */
};

/* How many rows and columns of tiles a part has. */
static inline int64_t ntk_store_down(const struct ntk_store_part *p) { return (p->n1 + p->b1 - 1) / p->b1; }
static inline int64_t ntk_store_across(const struct ntk_store_part *p) { return (p->n2 + p->b2 - 1) / p->b2; }
static inline int64_t ntk_store_count(const struct ntk_store_part *p)
{
    return p->square ? ntk_store_down(p) * (ntk_store_down(p) + 1) / 2 : ntk_store_down(p) * ntk_store_across(p);
}

/* A tile of a part. */
struct ntk_store_tile {
    int64_t t;            /* its number */
    int64_t i0, ni, j0, nj; /* its rows and columns of the matrix */
};
struct ntk_store_tile ntk_store_tile_at(const struct ntk_store_part *p, int64_t t);
/* The number of the tile in that row and column of tiles. */
int64_t ntk_store_tile_number(const struct ntk_store_part *p, int64_t row, int64_t column);
static inline size_t ntk_store_tile_bytes(const struct ntk_store *s, const struct ntk_store_part *p)
{
    return (size_t)(p->b1 * p->b2) * s->dtype;
}
static inline uint64_t *ntk_store_mark(const struct ntk_store_part *p, size_t stored, int64_t t)
{
    return &p->marks[(int64_t)stored * p->tiles + t];
}
/* Whether a tile of all matrices that are wanted is there. */
bool ntk_store_has(const struct ntk_store *s, const struct ntk_store_part *p, int64_t t);

/* Matrices of nets between samples, for reading as an operator; what is not there is computed when it is first read. */
ntk_status ntk_operator_of_store(ntk_ctx *ctx, const char *path, const ntk_net *const *nets, size_t n_nets, unsigned want,
                                 ntk_dtype dtype, const ntk_data *x, struct ntk_operator **o);
/* Those that a store has, which outlives it and is whole. */
ntk_status ntk_operator_of_stored(struct ntk_store *s, struct ntk_operator **o);

/* Bytes of tiles that a new store of n1 x n2 pairs holds while it is filled or read, beside the kernel's scratch. */
size_t ntk_store_bytes(const ntk_kernel *kernel, ntk_dtype dtype, int64_t n1, int64_t n2);
/* The kernels of a net that a file has (NTK_NNGP, NTK_NTK); 0 if it is not there. */
ntk_status ntk_store_kernels(ntk_ctx *ctx, const char *path, const ntk_net *net, unsigned *there);
/* Who computes here, as made_by has it. */
#define NTK_STORE_BY 128
void ntk_store_by(const ntk_ctx *ctx, char by[NTK_STORE_BY]);
/* Whether there is a file of that name. */
bool ntk_store_is_there(const char *path);
/* Whether its test part is of these samples. */
ntk_status ntk_store_is_test(const struct ntk_store *s, const ntk_data *x, bool *is);

/* ---- identity.c: what a store is of, in lines */
#define NTK_STORE_HEAD 4 /* lines before the matrices' */
/* NULL for samples: there are none. To be freed. */
ntk_status ntk_store_describe(ntk_ctx *ctx, const ntk_net *const *nets, size_t n_nets, unsigned want, ntk_dtype dtype,
                              const ntk_data *x1, const ntk_data *x2, const ntk_data *test, char **about);
/* The same without matrices that come before in it. */
ntk_status ntk_store_unique(ntk_ctx *ctx, const char *about, char **unique);
/* A matrix's name in the file, "0.ntk": so many bytes of a text. */
const char *ntk_store_name(const struct ntk_store *s, size_t stored, int *length);
/* lines, line and stored from about. NTK_EINVAL, without a message: it is no such text. */
ntk_status ntk_store_split(struct ntk_store *s);
/* which from a description of what is wanted; NTK_EINVAL says what the file has of other things. */
ntk_status ntk_store_compare(struct ntk_store *s, const char *wanted);

/* ---- file.c: the HDF5 file */
/* Makes a file of s->about, s->dtype, s->stored and the parts' sizes; one that is there by then stays as it is. */
ntk_status ntk_store_file_make(struct ntk_store *s);
/* The same from a file, with its places and marks; fd is open. */
ntk_status ntk_store_file_open(struct ntk_store *s);
/* The same of a file that is to be mended: fd is open for writing, too, and locked. One that was cut short is read as if it had
 * all its bytes, and stays as it is; *there, *whole: how many it has, and had. */
ntk_status ntk_store_file_mend(struct ntk_store *s, uint64_t *there, uint64_t *whole);

/* The file that s->fd reads, to write to, with marks as they are now, and locked: NTK_EIO if another process writes it, or the
 * path leads to another file by now. Closing it unlocks. */
ntk_status ntk_store_file_write(struct ntk_store *s, int *fd);
/* Marks as they are now, which another process, or rank, has written, or taken out, since they were read. Returns a failure
 * before, if there was one. */
ntk_status ntk_store_file_marks(struct ntk_store *s, ntk_status before);

/* ---- tile.c: bytes, checked */
/* The checksum of n bytes; row: of which row of a tile. */
uint64_t ntk_store_sum(const unsigned char *bytes, size_t n, uint64_t row);
/* From the file, [b1][b2]; NTK_EIO, which says which, if the checksum is another's. */
ntk_status ntk_store_tile_read(const struct ntk_store *s, const struct ntk_store_part *p, size_t stored, int64_t t, void *k);
/* Rows of it, counted in the tile, into their place in a tile, [b1][b2], which is read whole where it was not before. */
ntk_status ntk_store_tile_rows(const struct ntk_store *s, const struct ntk_store_part *p, size_t stored, int64_t t,
                               int64_t first, int64_t n, void *tile);
/* To a file that is open for writing, then the mark; unmark: it is not there any more. */
ntk_status ntk_store_tile_write(const struct ntk_store *s, int fd, const struct ntk_store_part *p, size_t stored, int64_t t,
                                void *k);
ntk_status ntk_store_tile_unmark(const struct ntk_store *s, int fd, const struct ntk_store_part *p, size_t stored, int64_t t);
/* n bytes of numbers that are none, from a place on; upwards: by one thread, so that the file's length says how far it is. */
ntk_status ntk_store_blank(ntk_ctx *ctx, int fd, const char *path, ntk_dtype dtype, uint64_t at, uint64_t n, bool upwards);

/* ---- fill.c */
/* Where entries of a tile are in the kernel, which delivers what is above the diagonal: a square part's tile is the mirror. */
void ntk_store_tile_job(const struct ntk_store_part *p, const struct ntk_store_tile *t, struct ntk_job *job);
/* A block of that into the tile, [b1][b2] of dtype; one on the diagonal becomes whole. */
void ntk_store_tile_put(const struct ntk_store_part *p, const struct ntk_store_tile *t, const ntk_block *b, ntk_dtype dtype,
                        void *tile);
/* Computes what is wanted and not there; held, what: as of a reading. */
ntk_status ntk_store_fill_for(struct ntk_store *s, size_t held, const char *what);

#endif
