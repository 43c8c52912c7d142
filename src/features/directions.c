/* SPDX-License-Identifier: MIT
 *
 * directions.c - orthogonal random features' directions (Yu et al. 2016, arXiv 1610.09072): the columns of a block are
 * orthogonal to each other, and each alone is a vector of independent standard normal numbers.
 */
#include <cblas.h>
#include <omp.h>
#include <stdlib.h>

#include "features/features.h"
#include "finite/finite.h"

#define BLOCK 1024 /* most columns: orthogonalising costs 4 c of a column's numbers each, and helps less in many dimensions */

/* Columns of q, [width][c], made orthonormal: Gram and Schmidt, twice. */
static void orthogonalise(int64_t c, int64_t width, double *q, double *sums)
{
    for (int64_t k = 0; k < width; k++) {
        double *x = q + k * c;

        for (int pass = 0; k && pass < 2; pass++) {
            cblas_dgemv(CblasRowMajor, CblasNoTrans, (int)k, (int)c, 1, q, (int)c, x, 1, 0, sums, 1);
            cblas_dgemv(CblasRowMajor, CblasTrans, (int)k, (int)c, -1, q, (int)c, sums, 1, 1, x, 1);
        }
        cblas_dscal((int)c, 1 / cblas_dnrm2((int)c, x, 1), x, 1);
    }
}

/* Columns first ... first + width - 1: directions, and lengths of other normal vectors. q: [2 width][c]; sums: [width]. */
static void one_block(uint64_t seed, uint32_t stream, int64_t c, int64_t m, int64_t first, int64_t width, double *q,
                      double *sums, float *w)
{
    double *lengths = q + width * c;

    ntk_random_normal(seed, 2 * stream, first * c, width * c, q);
    ntk_random_normal(seed, 2 * stream + 1, first * c, width * c, lengths);
    orthogonalise(c, width, q, sums);
    for (int64_t k = 0; k < width; k++) {
        const double length = cblas_dnrm2((int)c, lengths + k * c, 1);

        for (int64_t i = 0; i < c; i++)
            w[i * m + first + k] = (float)(length * q[k * c + i]);
    }
}

ntk_status ntk_directions(ntk_ctx *ctx, uint64_t seed, uint32_t stream, int64_t c, int64_t m, float *w)
{
    const int64_t width = ntk_least(ntk_least(c, m), BLOCK), blocks = (m + width - 1) / width, each = (2 * c + 1) * width;
    const int threads = ntk_threads_for(ctx, blocks);
    const size_t bytes = ntk_bytes((double)threads * (double)each * sizeof(double));
    ntk_status status = ntk_ctx_check_memory(ctx, bytes, "orthogonal directions");
    double *work = status == NTK_OK ? ntk_alloc(ctx, (size_t)(threads * each), sizeof *work) : NULL;
    struct ntk_blas before;

    if (!work)
        return status == NTK_OK ? NTK_ENOMEM : status;
    before = ntk_blas_begin(1);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t b = 0; b < blocks; b++) {
        double *own = work + omp_get_thread_num() * each;

        if (ntk_go_on(ctx, &status, NTK_OK))
            one_block(seed, stream, c, m, b * width, ntk_least(width, m - b * width), own, own + 2 * c * width, w);
    }
    ntk_blas_end(before);
    free(work);
    return status;
}
