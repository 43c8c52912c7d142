/* SPDX-License-Identifier: MIT
 *
 * error.c - how far features are from the exact kernel, on some samples.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>

#include "data/data.h"
#include "features/features.h"
#include "finite/finite.h"

/* An approximation against the exact kernel k, both of n samples. */
static void compare(int64_t n, const double *k, const float *about, double *frobenius, double *largest)
{
    double error = 0, whole = 0, most = 0;

    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            const double scale = sqrt(k[i * n + i] * k[j * n + j]), apart = (double)about[i * n + j] - k[i * n + j];

            error += apart * apart;
            whole += k[i * n + j] * k[i * n + j];
            most = scale > 0 ? fmax(most, fabs(apart) / scale) : most;
        }
    *frobenius = whole > 0 ? sqrt(error / whole) : 0;
    *largest = most;
}

static ntk_status exact_kernel(const ntk_feature_map *map, const ntk_data *x, double *k)
{
    const ntk_net *net = map->net;
    ntk_kernel *kernel;
    ntk_status status;

    NTK_TRY(ntk_kernel_new(map->ctx, &net, 1, map->which, NTK_F64, map->shape, &kernel));
    status = ntk_kernel_compute(kernel, x, NULL, (void *const[]){k});
    ntk_kernel_free(kernel);
    return status;
}

/* about = phi phi', [n][n] */
static void square(ntk_ctx *ctx, int64_t n, int64_t count, const float *phi, float *about)
{
    const struct ntk_blas before = ntk_blas_begin(ctx->threads);

    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)n, (int)count, 1, phi, (int)count, phi, (int)count, 0,
                about, (int)n);
    ntk_blas_end(before);
}

/* Of these samples. */
static ntk_status measure(const ntk_feature_map *map, const ntk_data *x, double *frobenius, double *largest)
{
    const size_t n = (size_t)x->n, count = (size_t)map->count;
    double *k = ntk_alloc(map->ctx, n * n, sizeof *k);
    float *phi = ntk_alloc(map->ctx, n * count, sizeof *phi), *about = ntk_alloc(map->ctx, n * n, sizeof *about);
    ntk_status status = k && phi && about ? NTK_OK : NTK_ENOMEM;

    if (status == NTK_OK)
        status = ntk_feature_map_apply(map, x, phi);
    if (status == NTK_OK)
        status = exact_kernel(map, x, k);
    if (status == NTK_OK) {
        square(map->ctx, x->n, map->count, phi, about);
        compare(x->n, k, about, frobenius, largest);
    }
    free(about);
    free(k);
    free(phi);
    return status;
}

ntk_status ntk_feature_map_error(const ntk_feature_map *map, const ntk_data *x, int64_t rows, double *frobenius,
                                 double *largest)
{
    const int64_t n = ntk_least(rows, x->n);
    double both[2];
    int64_t *order;
    ntk_data *some = NULL;
    ntk_status status;

    if (rows < 1)
        return ntk_fail(map->ctx, NTK_EINVAL, "rows must be at least 1, got %lld", (long long)rows);
    NTK_TRY(ntk_ctx_check_memory(map->ctx, ntk_bytes((double)n * (12.0 * (double)n + 4.0 * (double)map->count)),
                                 "the features' error"));
    order = ntk_alloc(map->ctx, (size_t)x->n, sizeof *order);
    if (!order)
        return NTK_ENOMEM;
    ntk_random_permutation(map->seed, 0, x->n, order);
    status = ntk_data_select(x, order, n, &some);
    free(order);
    NTK_TRY(status);
    status = measure(map, some, &both[0], &both[1]);
    ntk_data_free(some);
    NTK_TRY(status);
    if (frobenius)
        *frobenius = both[0];
    if (largest)
        *largest = both[1];
    return NTK_OK;
}
