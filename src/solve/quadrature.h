/* SPDX-License-Identifier: MIT
 *
 * quadrature.h - log det A of a symmetric positive definite A by products, with a preconditioner P whose determinant is
 * known: log det P + tr log(P^-1/2 A P^-1/2). The trace is n times the mean of w' log(...) w over unit vectors w of chance
 * (Hutchinson), each by the Gauss quadrature of the tridiagonal matrix that conjugate gradients make (stochastic Lanczos
 * quadrature, Ubaru, Chen and Saad 2017; with P, Gardner et al. 2018, arXiv 1809.11165, and Wenger et al. 2022, arXiv
 * 2107.00243). The vectors are always the same, and so is the result, to the bit, for any number of threads.
 */
#ifndef NTK_QUADRATURE_H
#define NTK_QUADRATURE_H

#include "base/base.h"

#define NTK_PROBES 12

struct ntk_quadrature {
    ntk_ctx *ctx;
    int64_t n;
    ntk_status (*apply)(void *user, int64_t m, const double *x, double *out);        /* out = A x, [m][n] */
    ntk_status (*precondition)(void *user, int64_t m, const double *r, double *z);   /* z = P^-1 r; z is not r */
    /* z [m][n], normal numbers of covariance P, of normal numbers g [m][n] and h [m][extra] */
    void (*sample)(void *user, int64_t m, const double *g, const double *h, double *z);
    int64_t extra;
    void *user;
    double known; /* log det P */
    double error; /* result: the standard error of log det A */
};

size_t ntk_quadrature_bytes(int64_t n, int64_t extra);
/* NTK_ENUMERIC if A is not positive definite. */
ntk_status ntk_quadrature_log_determinant(struct ntk_quadrature *q, double *value);

#endif
