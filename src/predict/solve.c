/* SPDX-License-Identifier: MIT
 *
 * solve.c - regression with a kernel matrix that the caller has.
 */
#include <math.h>
#include <stdlib.h>

#include "predict/model.h"
#include "solve/ridge.h"

/* Where the matrix comes from. */
struct source {
    ntk_ctx *ctx;
    ntk_dtype dtype;
    int64_t block;
    ntk_rows_fn *rows;
    void *user;
    bool single; /* all entries so far are float32 numbers, whatever dtype says */
};

static ntk_status check_rows(struct source *from, const ntk_block *b)
{
    from->single = from->single && (from->dtype == NTK_F32 || ntk_all_single(b->k, b->ni * b->ld));
    for (int64_t i = 0; i < b->ni; i++)
        for (int64_t j = 0; j < b->nj; j++) {
            const int64_t at = i * b->ld + j;
            const double x = from->dtype == NTK_F32 ? (double)((const float *)b->k)[at]
                                                    : ((const double *)b->k)[at];

            if (!isfinite(x))
                return ntk_fail(from->ctx, NTK_EINVAL, "the kernel's entry [%lld][%lld] is %g",
                                (long long)(b->i0 + i), (long long)(b->j0 + j), x);
        }
    return NTK_OK;
}

static ntk_status fill(struct ntk_rfp *k, void *user)
{
    struct source *from = user;
    const int64_t rows = from->block;
    void *block = ntk_alloc(from->ctx, (size_t)(rows * k->n), from->dtype);
    ntk_status status = block ? NTK_OK : NTK_ENOMEM;

    for (int64_t i = 0; i < k->n && status == NTK_OK; i += rows) {
        const int64_t ni = k->n - i < rows ? k->n - i : rows, nj = k->n - i;
        const ntk_block b = {.i0 = i, .ni = ni, .j0 = i, .nj = nj, .k = block, .ld = nj};

        if (from->rows(i, ni, block, from->user)) {
            status = ntk_fail(from->ctx, NTK_ECANCEL, "cancelled by the source of the kernel's rows");
            break;
        }
        status = check_rows(from, &b);
        ntk_rfp_store(k, &b, from->dtype);
    }
    free(block);
    return status;
}

static ntk_status factor(struct source *from, const struct ntk_ridge *ridge,
                         struct ntk_rfp *k)
{
    char how[160], hint[160];
    const ntk_dtype computed = from->single ? NTK_F32 : NTK_F64;

    NTK_TRY(ntk_ridge_factor(from->ctx, k, computed, ntk_ridge_value(ridge, k), how, sizeof how));
    if (!*how)
        return NTK_OK;
    NTK_TRY(ntk_ridge_hint(from->ctx, ridge, from->dtype, k, fill, from, hint, sizeof hint));
    return ntk_fail(from->ctx, NTK_ENUMERIC,
                    "the %lld x %lld kernel matrix is not positive definite: %s%s", (long long)k->n,
                    (long long)k->n, how, hint);
}

static ntk_status solve(ntk_ctx *ctx, const struct ntk_rfp *k, const double *y, int64_t outputs,
                        double *alpha)
{
    double *columns = ntk_alloc(ctx, (size_t)(k->n * outputs), sizeof *columns);
    ntk_status status;

    if (!columns)
        return NTK_ENOMEM;
    for (int64_t i = 0; i < k->n; i++)
        for (int64_t c = 0; c < outputs; c++)
            columns[c * k->n + i] = y[i * outputs + c];
    status = ntk_rfp_solve(ctx, k, outputs, columns);
    if (status == NTK_OK)
        status = ntk_check_finite(ctx, "the solution", columns, outputs, k->n);
    for (int64_t i = 0; i < k->n && status == NTK_OK; i++)
        for (int64_t c = 0; c < outputs; c++)
            alpha[i * outputs + c] = columns[c * k->n + i];
    free(columns);
    return status;
}

ntk_status ntk_kernel_solve(ntk_ctx *ctx, int64_t n, ntk_dtype dtype, int64_t block,
                            ntk_rows_fn *rows, void *user, const double *y, int64_t outputs,
                            double diag_reg, double *alpha)
{
    struct source from = {ctx, dtype, block, rows, user, true};
    const struct ntk_ridge ridge = {.given = diag_reg, .spelling = "diag_reg = "};
    double beside; /* bytes: rows of the matrix, then the right-hand sides */
    struct ntk_rfp k = {0};
    ntk_status status;
    struct ntk_blas blas;

    if (n < 1 || block < 1 || outputs < 1 || !(diag_reg >= 0) || isinf(diag_reg))
        return ntk_fail(
            ctx, NTK_EINVAL,
            "n, block and outputs must be at least 1 and diag_reg >= 0, got %lld, %lld, "
            "%lld, %g",
            (long long)n, (long long)block, (long long)outputs, diag_reg);
    if (n > NTK_SAMPLES_MAX)
        return ntk_fail(ctx, NTK_EINVAL, "at most %d samples, got %lld", NTK_SAMPLES_MAX, (long long)n);
    NTK_TRY(ntk_check_given(ctx, "y", y, n * outputs));
    from.block = block < n ? block : n;
    beside = (double)n * fmax((double)from.block * (int)dtype, (double)outputs * sizeof(double));
    blas = ntk_blas_begin(ctx->threads);
    status = ntk_ctx_check_memory(ctx, ntk_rfp_size(n) * sizeof(double) + ntk_bytes(beside),
                                  "a kernel matrix of this many samples");
    if (status == NTK_OK)
        status = ntk_rfp_new(ctx, n, &k);
    if (status == NTK_OK)
        status = fill(&k, &from);
    if (status == NTK_OK)
        status = ntk_progress(ctx, "factorisations", 0, 1);
    if (status == NTK_OK)
        status = factor(&from, &ridge, &k);
    if (status == NTK_OK)
        status = solve(ctx, &k, y, outputs, alpha);
    ntk_rfp_free(&k);
    ntk_blas_end(blas);
    return status;
}
