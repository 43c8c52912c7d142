/* SPDX-License-Identifier: MIT
 *
 * strips.h - a symmetric matrix in memory, half of it, in either type: strips of NTK_STRIP rows, each from its square on
 * the diagonal to the last column. Strip k, row-major [rows][n - k NTK_STRIP], is as well a column-major panel of the lower
 * triangle, which BLAS can work on in place.
 *
 * Or of a positive semidefinite matrix in 16 bits: |K_ij| <= sqrt(K_ii K_jj), so that entries divided by that are integers
 * times 1 / NTK_FIXED_ONE, to half of it, whatever they are. The diagonal is kept as it is.
 */
#ifndef NTK_STRIPS_H
#define NTK_STRIPS_H

#include "base/base.h"

#define NTK_STRIP 256

/* What entries are: values are their bytes. */
enum ntk_entries { NTK_ENTRIES_NONE = 0, NTK_ENTRIES_FIXED = 2, NTK_ENTRIES_F32 = NTK_F32, NTK_ENTRIES_F64 = NTK_F64 };
#define NTK_FIXED_ONE 32767
static inline enum ntk_entries ntk_entries_of(ntk_dtype dtype) { return dtype == NTK_F32 ? NTK_ENTRIES_F32 : NTK_ENTRIES_F64; }

/* "none", "int16", "float32" or "float64", of a matrix whose entries are of a type: NTK_EINVAL if it is no such name, or of
 * more digits than they have. */
ntk_status ntk_entries_find(ntk_ctx *ctx, const char *name, ntk_dtype dtype, enum ntk_entries *entries);
const char *ntk_entries_name(enum ntk_entries entries);

struct ntk_strips {
    int64_t n;
    enum ntk_entries entries;
    void *a;
    double *diagonal;        /* NTK_ENTRIES_FIXED, [n]: K_ii; what entries of row and column i are multiplied by; its inverse, or 0 */
    double *root, *inverse;
    _Atomic bool beyond;     /* the same: an entry was larger than those of its diagonal allow */
};

/* Bytes of entries, of any n: ntk_bytes. */
size_t ntk_strips_bytes(int64_t n, enum ntk_entries entries);
/* That a product with so many vectors needs beside. */
size_t ntk_strips_work(int64_t n, int64_t m);
/* diagonal: [n] of K, for NTK_ENTRIES_FIXED, else NULL. */
ntk_status ntk_strips_new(ntk_ctx *ctx, int64_t n, enum ntk_entries entries, const double *diagonal, struct ntk_strips *s);
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
