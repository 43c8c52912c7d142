/* SPDX-License-Identifier: MIT
 *
 * sums.c - see sums.h. Each number that comes out is one thread's.
 */
#include "base/sums.h"

#include <math.h>

#define LANES   8
#define COLUMNS 512 /* of a job: they stay in the first cache while rows are added to them */
#define LEAST   1e5 /* numbers from which threads are worth their start */

double ntk_sums_dot(int64_t n, const double *a, const double *b)
{
    double part[LANES] = {0}, sum = 0;
    int64_t j = 0;

    for (; j + LANES <= n; j += LANES)
        for (int l = 0; l < LANES; l++)
            part[l] += a[j + l] * b[j + l];
    for (; j < n; j++)
        sum += a[j] * b[j];
    for (int l = 0; l < LANES; l++)
        sum += part[l];
    return sum;
}

double ntk_sums_norm(int64_t n, const double *x)
{
    double largest = 0, sum = 0;

    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(x[i]));
    for (int64_t i = 0; i < n && largest > 0; i++)
        sum += (x[i] / largest) * (x[i] / largest);
    return largest * sqrt(sum);
}

void ntk_sums_rows(int threads, int64_t rows, int64_t n, const double *a, int64_t ld, const double *x, double *out)
{
#pragma omp parallel for num_threads(threads) schedule(static) if ((double)rows * (double)n > LEAST)
    for (int64_t i = 0; i < rows; i++)
        out[i] += ntk_sums_dot(n, a + i * ld, x);
}

void ntk_sums_columns(int threads, int64_t rows, int64_t n, const double *a, int64_t ld, double scale, const double *x,
                      double *out)
{
    const int64_t jobs = (n + COLUMNS - 1) / COLUMNS;

#pragma omp parallel for num_threads(threads) schedule(static) if ((double)rows * (double)n > LEAST)
    for (int64_t job = 0; job < jobs; job++) {
        const int64_t first = job * COLUMNS, end = n - first < COLUMNS ? n : first + COLUMNS;

        for (int64_t i = 0; i < rows; i++) {
            const double factor = scale * x[i];

            for (int64_t j = first; j < end; j++)
                out[j] += factor * a[i * ld + j];
        }
    }
}

void ntk_sums_symmetric(int threads, int64_t rows, int64_t n, const double *a, int64_t ld, const double *x, double *out)
{
    ntk_sums_rows(threads, rows, n, a, ld, x, out);
    ntk_sums_columns(threads, rows, n - rows, a + rows, ld, 1, x, out + rows);
}
