/* SPDX-License-Identifier: MIT
 *
 * falkon.h - kernel ridge regression in the span of M landmarks, with the kernel matrix K of n samples and landmarks in
 * memory (Rudi, Carratino and Rosasco 2017, arXiv 1705.10958; Meanti et al. 2020, arXiv 2006.10350): conjugate gradients
 * for (K' W K + ridge K_MM) a = K' W y, preconditioned by K_MM = C C' and the factor of (n / M) C' C + ridge.
 */
#ifndef NTK_FALKON_H
#define NTK_FALKON_H

#include "base/base.h"

/* K in memory, [n][m]: in float32, or in fixed point of 16 bits, each row between its least and its largest entry. */
struct ntk_rectangle {
    ntk_ctx *ctx;
    int64_t n, m;
    int bytes;          /* of an entry: 4 or 2 */
    void *a;
    float *low, *step;  /* [n], of 2 bytes: an entry is low + step times the number that is kept; else NULL */
};

/* Bytes of entries, and that a product with so many vectors needs beside; of any sizes: ntk_bytes. */
size_t ntk_rectangle_bytes(int64_t n, int64_t m, int bytes);
size_t ntk_rectangle_work(int64_t n, int64_t m, int64_t columns);
ntk_status ntk_rectangle_new(ntk_ctx *ctx, int64_t n, int64_t m, int bytes, struct ntk_rectangle *k);
void ntk_rectangle_free(struct ntk_rectangle *k);
/* Rows first ... of it, [rows][m] in float64. */
void ntk_rectangle_put(struct ntk_rectangle *k, int64_t first, int64_t rows, const double *panel);
/* The largest error of an entry that 2 bytes make, and the root of the mean square. */
double ntk_rectangle_error(const struct ntk_rectangle *k, double *usual);
/* out [columns][m] = K' W v, where v is K x for x [columns][m] or, with x NULL, y [columns][n]; w [n] or NULL: W = 1. The
 * same to the bit for any number of threads. */
ntk_status ntk_rectangle_multiply(const struct ntk_rectangle *k, int64_t columns, const double *x, const double *y,
                                  const double *w, double *out);

struct ntk_falkon {
    const struct ntk_rectangle *k;
    const double *w;   /* [n], or NULL: 1 */
    double samples;    /* the sum of w */
    const double *c;   /* [m][m]: the factor of K_MM, lower, column-major */
    double ridge;      /* > 0 */
    double tolerance;  /* of residuals, preconditioned, by those of 0 */
    int64_t steps;     /* results */
    double residual;
    double off, moved; /* of 2 bytes: root mean square of y - K a, and of what rounding errors of entries change in K a */
};

/* Bytes that ntk_falkon_solve needs. */
size_t ntk_falkon_bytes(int64_t n, int64_t m, int64_t columns);
/* x [columns][m]: C' a for y [columns][n]. */
ntk_status ntk_falkon_solve(struct ntk_falkon *f, int64_t columns, const double *y, double *x);

#endif
