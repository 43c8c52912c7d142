/* SPDX-License-Identifier: MIT
 *
 * solve.c - regression with a kernel matrix that the caller has.
 */
#include <stdlib.h>

#include "predict/rfp.h"

static ntk_status fill(ntk_ctx *ctx, ntk_dtype dtype, int64_t rows, ntk_rows_fn *fn, void *user,
                       struct ntk_rfp *k)
{
    void *block = ntk_alloc(ctx, (size_t)(rows * k->n), dtype);
    ntk_status status = block ? NTK_OK : NTK_ENOMEM;

    for (int64_t i = 0; i < k->n && status == NTK_OK; i += rows) {
        const int64_t ni = k->n - i < rows ? k->n - i : rows, nj = k->n - i;
        const ntk_block b = {.i0 = i, .ni = ni, .j0 = i, .nj = nj, .k = block, .ld = nj};

        if (fn(i, ni, block, user)) {
            status = ntk_fail(ctx, NTK_ECANCEL, "cancelled by the source of the kernel's rows");
            break;
        }
        ntk_rfp_store(k, &b, dtype);
    }
    free(block);
    return status;
}

static ntk_status solve(ntk_ctx *ctx, struct ntk_rfp *k, const double *y, int64_t outputs,
                        double diag_reg, double *alpha)
{
    double *columns = ntk_alloc(ctx, (size_t)(k->n * outputs), sizeof *columns);
    int info;

    if (!columns)
        return NTK_ENOMEM;
    ntk_rfp_add_diagonal(k, diag_reg * ntk_rfp_trace(k) / (double)k->n);
    info = ntk_rfp_factor(k);
    if (info > 0) {
        free(columns);
        return ntk_fail(
            ctx, NTK_ENUMERIC,
            "the %lld x %lld kernel matrix is not positive definite: its leading minor of "
            "order %d is not positive; try a diag_reg of 1e-8 or more",
            (long long)k->n, (long long)k->n, info);
    }
    for (int64_t i = 0; i < k->n; i++)
        for (int64_t c = 0; c < outputs; c++)
            columns[c * k->n + i] = y[i * outputs + c];
    ntk_rfp_solve(k, outputs, columns);
    if (ntk_not_finite(columns, k->n * outputs) >= 0) {
        const ntk_status status = ntk_check_finite(ctx, "the solution", columns, outputs, k->n);

        free(columns);
        return status;
    }
    for (int64_t i = 0; i < k->n; i++)
        for (int64_t c = 0; c < outputs; c++)
            alpha[i * outputs + c] = columns[c * k->n + i];
    free(columns);
    return NTK_OK;
}

ntk_status ntk_kernel_solve(ntk_ctx *ctx, int64_t n, ntk_dtype dtype, int64_t block,
                            ntk_rows_fn *rows, void *user, const double *y, int64_t outputs,
                            double diag_reg, double *alpha)
{
    struct ntk_rfp k = {0};
    ntk_status status;
    int threads;

    if (n < 1 || block < 1 || outputs < 1 || !(diag_reg >= 0))
        return ntk_fail(
            ctx, NTK_EINVAL,
            "n, block and outputs must be at least 1 and diag_reg >= 0, got %lld, %lld, "
            "%lld, %g",
            (long long)n, (long long)block, (long long)outputs, diag_reg);
    threads = ntk_blas_set_threads(ctx->threads);
    status = ntk_ctx_check_memory(ctx, ntk_rfp_size(n) * sizeof(double),
                                  "a kernel matrix of this many samples");
    if (status == NTK_OK)
        status = ntk_rfp_new(ctx, n, &k);
    if (status == NTK_OK)
        status = fill(ctx, dtype, block, rows, user, &k);
    if (status == NTK_OK)
        status = ntk_progress(ctx, "factorisations", 0, 1);
    if (status == NTK_OK)
        status = solve(ctx, &k, y, outputs, diag_reg, alpha);
    ntk_rfp_free(&k);
    ntk_blas_set_threads(threads);
    return status;
}
