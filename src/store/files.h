/* SPDX-License-Identifier: MIT
 *
 * files.h - the store "files": kernel matrices in a folder, in blocks of rows, each a file that appears when it is
 * complete. What a folder is of, its store.txt says (folder.c); blocks.c computes and reads them.
 *
 * A block of a symmetric matrix begins with the column of its first row, so that pairs are there once; of test with
 * training samples it has all columns.
 */
#ifndef NTK_FILES_H
#define NTK_FILES_H

#include "store/operator.h"

/* Kernel matrices between samples (n_nets nets, `want` as ntk_kernel_new), which are computed where they are not there yet.
 * NTK_EINVAL if the folder has others. The samples outlive it. */
ntk_status ntk_operator_of_files(ntk_ctx *ctx, const char *folder, const ntk_net *const *nets, size_t n_nets,
                                 unsigned want, ntk_dtype dtype, const ntk_data *x, struct ntk_operator **o);

/* Bytes that a new folder's blocks, of n1 x n2 pairs, hold while they are computed, beside the kernel's scratch. */
size_t ntk_files_bytes(const ntk_kernel *kernel, ntk_dtype dtype, int64_t n1, int64_t n2);

#define NTK_FILES_FOLDER 4000 /* bytes of a folder's path */
#define NTK_FILES_PATH   4100 /* of a file in it */

struct ntk_files {
    ntk_ctx *ctx;
    char *folder;
    ntk_kernel *kernel;
    const ntk_data *x1, *x2; /* x2 NULL: x1 with itself */
    int64_t n1, n2;
    ntk_dtype dtype;
    size_t count;
    char (*names)[16]; /* [count] of matrices in the folder: "0.ntk" */
    int64_t block;     /* rows in a file, but the last */
    bool complete;     /* all blocks are there */
};

static inline int64_t ntk_files_block_rows(const struct ntk_files *s, int64_t first)
{
    return s->n1 - first < s->block ? s->n1 - first : s->block;
}
/* The first column of a block, and how many there are. */
static inline int64_t ntk_files_column(const struct ntk_files *s, int64_t first) { return s->x2 ? 0 : first; }
static inline int64_t ntk_files_width(const struct ntk_files *s, int64_t first)
{
    return s->n2 - ntk_files_column(s, first);
}

/* ---- folder.c. Makes the folder what it is to be, or finds that it is: names and block are filled in. */
ntk_status ntk_files_settle(struct ntk_files *s, const ntk_net *const *nets, size_t n_nets, unsigned want);
/* The file of the block of matrix m that begins with a row. */
void ntk_files_path(const struct ntk_files *s, size_t m, int64_t first, char path[NTK_FILES_PATH]);

/* ---- blocks.c. held, what: as of a reading. Computes the blocks that are not there. */
ntk_status ntk_files_fill(struct ntk_files *s, size_t held, const char *what);
/* `count` numbers of a file from number `from` on, which are finite. */
ntk_status ntk_files_read(const struct ntk_files *s, size_t m, int64_t first, int64_t from, int64_t count, void *to);

#endif
