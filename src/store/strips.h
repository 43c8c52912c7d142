/* SPDX-License-Identifier: MIT
 *
 * strips.h - a symmetric matrix in memory, half of it, in either type: strips of NTK_STRIP rows, each from its square on
 * the diagonal to the last column. Strip k, row-major [rows][n - k NTK_STRIP], is as well a column-major panel of the lower
 * triangle, which BLAS can work on in place.
 */
#ifndef NTK_STRIPS_H
#define NTK_STRIPS_H

#include "base/base.h"

#define NTK_STRIP 256

struct ntk_strips {
    int64_t n;
    ntk_dtype dtype;
    void *a;
};

/* Bytes of entries, of any n: ntk_bytes. */
size_t ntk_strips_bytes(int64_t n, ntk_dtype dtype);
/* That a product with so many vectors needs beside. */
size_t ntk_strips_work(int64_t n, int64_t m);
ntk_status ntk_strips_new(ntk_ctx *ctx, int64_t n, ntk_dtype dtype, struct ntk_strips *s);
void ntk_strips_free(struct ntk_strips *s);

static inline int64_t ntk_strips_count(int64_t n) { return (n + NTK_STRIP - 1) / NTK_STRIP; }
/* Rows of strip k; its first element. */
int64_t ntk_strip_rows(const struct ntk_strips *s, int64_t k);
void *ntk_strip_at(const struct ntk_strips *s, int64_t k);

/* A block as a sink delivers it, from several threads. */
void ntk_strips_put(struct ntk_strips *s, const ntk_block *block, ntk_dtype dtype);
double ntk_strips_entry(const struct ntk_strips *s, int64_t i, int64_t j); /* j >= i */
/* Row i, whole: [n]. */
void ntk_strips_row(const struct ntk_strips *s, int64_t i, double *row);
/* out = A x, of float64, column-major [m][n]; the same to the bit for any number of threads. */
ntk_status ntk_strips_multiply(ntk_ctx *ctx, const struct ntk_strips *s, int64_t m, const double *x, double *out);

#endif
