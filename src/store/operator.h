/* SPDX-License-Identifier: MIT
 *
 * operator.h - symmetric matrices that need not be in memory: of a kernel and samples, in a store, given as an array or
 * row by row, or a finite network's tangent kernel. Some come together, as a kernel's NNGP and NTK: an operator has
 * `count` matrices of one order. Who reads entries takes blocks as they come; who multiplies uses ntk_operator_apply.
 *
 * An operator is one struct ntk_operator_class and a function that makes it, which fills in all of struct ntk_operator.
 */
#ifndef NTK_OPERATOR_H
#define NTK_OPERATOR_H

#include "base/base.h"

struct ntk_operator;

/* Rows [i0, i0 + ni), from the diagonal on, of all matrices, and what reading them is for. */
struct ntk_reading {
    int64_t i0, ni;
    size_t held;      /* bytes that the reader holds: stream checks memory, its own counted, before it begins */
    const char *what; /* "a kernel matrix of this many samples" */
    ntk_sink_fn *sink;
    void *user;
};

/* A matrix in a file. */
struct ntk_lasting {
    const char *path;
    char name[64]; /* of the matrix there; "": it is the only one */
    uint64_t hash; /* of its entries */
};

struct ntk_operator_class {
    const char *name; /* "a kernel" */
    /* Each block once, from several threads, in no fixed order, as ntk_kernel_stream; blocks on the diagonal are whole,
     * b->output is the matrix, i0 and j0 are its, entries are of o->dtype. A sink that returns not 0 ends it: NTK_ECANCEL.
     * It polls (ntk_progress, ntk_poll). NULL: it has no entries. */
    ntk_status (*stream)(struct ntk_operator *o, const struct ntk_reading *r);
    /* out = K x of matrix k, for column-major x and out [m][n]; the same to the bit for any number of threads
     * (base/sums.h). NULL: by its entries, in one reading. */
    ntk_status (*apply)(struct ntk_operator *o, size_t k, int64_t m, const double *x, double *out);
    /* Rows of matrix k, [count][n], which are `which`, each once. NULL: by one reading. */
    ntk_status (*rows)(struct ntk_operator *o, size_t k, int64_t count, const int64_t *which, double *rows);
    /* Bytes that stream needs beside what it delivers. NULL: hardly any. */
    ntk_status (*scratch)(const struct ntk_operator *o, size_t *bytes);
    bool resident; /* its entries are in memory: products cost no more than to pass over them */
    bool whole; /* they are read from the first row to the last only: a part is refused */
    /* Of matrix k, [n]. NULL: by its entries. */
    ntk_status (*diagonal)(struct ntk_operator *o, size_t k, double *d);
    /* Of matrix k, if it stays from one process to the next, all of which is there then; held: as of a reading. NULL: it
     * does not. */
    ntk_status (*lasting)(struct ntk_operator *o, size_t k, size_t held, struct ntk_lasting *l);
    void (*close)(struct ntk_operator *o); /* frees o */
};

/* The first member of each operator's own struct. */
struct ntk_operator {
    const struct ntk_operator_class *class;
    ntk_ctx *ctx;
    int64_t n;           /* order */
    size_t count;        /* matrices */
    ntk_dtype dtype;     /* of entries in blocks */
    ntk_dtype precision; /* in which they were computed: how well eigenvalues are known */
    double *largest;     /* [count] of the diagonals, once products by entries needed them; < 0: not yet */
};

/* Matrices of all nets and both kernels of a kernel, between samples, which both outlive it. */
ntk_status ntk_operator_of_kernel(ntk_kernel *kernel, const ntk_data *x, struct ntk_operator **o);
/* Of arrays [n][n] of float64 numbers, symmetric to 1e-12 of the largest entry and finite (else NTK_EINVAL, which calls
 * array k names[k]); the arrays outlive it. */
ntk_status ntk_operator_of_arrays(ntk_ctx *ctx, int64_t n, size_t count, const double *const *k,
                                  const char *const *names, ntk_dtype precision, struct ntk_operator **o);
/* Of rows that a function writes, `block` at a time, which it is asked for from the first on: they can be read as a whole
 * only. NTK_EINVAL if a number is not finite. It finds float32 numbers in float64 by itself. */
ntk_status ntk_operator_of_rows(ntk_ctx *ctx, int64_t n, ntk_dtype dtype, int64_t block, ntk_rows_fn *rows, void *user,
                                struct ntk_operator **o);
void ntk_operator_free(struct ntk_operator *o);

/* Where the blocks of one matrix go: put(to, block, dtype), from several threads. put NULL: nowhere. */
struct ntk_taker {
    void (*put)(void *to, const ntk_block *block, ntk_dtype dtype);
    void *to;
};
/* All entries, those of matrix k to takers[k]. NTK_ENOTSUP, which names the operator, if it has none. */
ntk_status ntk_operator_read(struct ntk_operator *o, const struct ntk_taker *takers, size_t held, const char *what);
/* Those of matrix k alone. */
ntk_status ntk_operator_read_one(struct ntk_operator *o, size_t k, struct ntk_taker taker, size_t held, const char *what);
/* out = K x of matrix k, for column-major x and out [m][n]; bitwise the same for any number of threads. */
ntk_status ntk_operator_apply(struct ntk_operator *o, size_t k, int64_t m, const double *x, double *out);
ntk_status ntk_operator_scratch(const struct ntk_operator *o, size_t *bytes);
/* Rows of matrix k, whole, [count][n]: those numbers, each once. NTK_ENOTSUP if it has no entries. */
ntk_status ntk_operator_rows(struct ntk_operator *o, size_t k, int64_t count, const int64_t *which, double *rows);
/* The diagonal of matrix k, [n]. */
ntk_status ntk_operator_diagonal(struct ntk_operator *o, size_t k, double *d);
/* What a block has of the matrix's diagonal, into d [n]. */
void ntk_block_diagonal(const ntk_block *block, ntk_dtype dtype, double *d);
/* A block into a full matrix to, [n][n] in float64, and its mirror: for takers, to a struct ntk_square. */
struct ntk_square {
    int64_t n;
    double *a;
};
void ntk_square_put(void *square, const ntk_block *block, ntk_dtype dtype);

#endif
