/* SPDX-License-Identifier: MIT
 *
 * pivoted.h - preconditioner F F' + D of K + R: F from randomly pivoted partial Cholesky of K (Chen et al. 2022, arXiv
 * 2207.06503; Diaz et al. 2023, arXiv 2304.12465), D = R + mu with mu what is left of K's trace, divided by n. Pivots are
 * proposed many at a time and accepted so that each has the distribution that it has one by one (Epperly, Tropp and Webber
 * 2024, arXiv 2410.03969). The same to the bit for any number of threads, and each time.
 */
#ifndef NTK_PIVOTED_H
#define NTK_PIVOTED_H

#include "base/base.h"

struct ntk_pivoted {
    ntk_ctx *ctx;
    int64_t n, most, rank; /* room for `most` rows */
    float *f;              /* [rank][n], F' */
    int64_t *pivots;       /* [rank]: the samples that they are of, the most important first */
    double mu;
    double *d;             /* [n], D */
    double *c;             /* [rank][rank]: the factor of 1 + F' D^-1 F, column-major, lower */
};

/* Rows of K, [count][n]: those numbers, each once. */
typedef ntk_status ntk_pivoted_rows_fn(void *user, int64_t count, const int64_t *which, double *rows);

/* Bytes that it keeps, and needs while it is made, for so many rows. */
size_t ntk_pivoted_bytes(int64_t n, int64_t most);
size_t ntk_pivoted_work(int64_t n, int64_t most);
/* F of at most `most` rows; diagonal: [n] of K. */
ntk_status ntk_pivoted_new(ntk_ctx *ctx, int64_t n, int64_t most, const double *diagonal, ntk_pivoted_rows_fn *rows,
                           void *user, struct ntk_pivoted *p);
void ntk_pivoted_free(struct ntk_pivoted *p);
/* For R, [n] >= 0: one after another. */
ntk_status ntk_pivoted_ridge(struct ntk_pivoted *p, const double *ridge);
/* log det(F F' + D); and z [m][n], of that covariance, of normal numbers g [m][n] and h [m][rank]. */
double ntk_pivoted_log_determinant(const struct ntk_pivoted *p);
void ntk_pivoted_sample(const struct ntk_pivoted *p, int64_t m, const double *g, const double *h, double *z);
/* z = (F F' + D)^-1 r, [m][n]; z is not r. */
ntk_status ntk_pivoted_solve(const struct ntk_pivoted *p, int64_t m, const double *r, double *z);

#endif
