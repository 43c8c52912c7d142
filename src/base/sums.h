/* SPDX-License-Identifier: MIT
 *
 * sums.h - products of a matrix, row-major, with a vector, whose sums are in one order whatever the number of threads:
 * BLAS's may follow it. As fast, as memory is what both wait for.
 */
#ifndef NTK_SUMS_H
#define NTK_SUMS_H

#include <stdint.h>

double ntk_sums_dot(int64_t n, const double *a, const double *b);
/* Without overflow or underflow. */
double ntk_sums_norm(int64_t n, const double *x);
/* out[i] += sum over j of a[i ld + j] x[j]; a has [rows][n]. */
void ntk_sums_rows(int threads, int64_t rows, int64_t n, const double *a, int64_t ld, const double *x, double *out);
/* out[j] += scale * sum over i of x[i] a[i ld + j]. */
void ntk_sums_columns(int threads, int64_t rows, int64_t n, const double *a, int64_t ld, double scale, const double *x,
                      double *out);
/* out += A x as far as the first rows of a symmetric A of order n, and their mirror, reach: a has [rows][n]. */
void ntk_sums_symmetric(int threads, int64_t rows, int64_t n, const double *a, int64_t ld, const double *x, double *out);

#endif
