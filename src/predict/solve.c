/* SPDX-License-Identifier: MIT
 *
 * solve.c - regression with a kernel matrix whose rows the caller has.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "predict/model.h"

/* The ridge is a constant on the diagonal. */
static ntk_status factor(struct ntk_solver *s, const struct ntk_ridge *given)
{
    double *ridge, mean;
    char how[200], hint[160];
    ntk_status status;

    NTK_TRY(ntk_solver_mean_diagonal(s, &mean));
    ridge = ntk_alloc(s->ctx, (size_t)s->n, sizeof *ridge);
    if (!ridge)
        return NTK_ENOMEM;
    ntk_ridge_diagonal(given, s->n, given->given * mean, ridge);
    status = ntk_solver_factor(s, ridge, how, sizeof how);
    free(ridge);
    NTK_TRY(status);
    if (!*how)
        return NTK_OK;
    NTK_TRY(ntk_ridge_hint(s->ctx, given, s->k, s->which, hint, sizeof hint));
    return ntk_fail(s->ctx, NTK_ENUMERIC,
                    "the %lld x %lld kernel matrix is not positive definite: %s%s", (long long)s->n,
                    (long long)s->n, how, hint);
}

static ntk_status solve(struct ntk_solver *s, const double *y, int64_t outputs, double *alpha)
{
    double *columns = ntk_alloc(s->ctx, (size_t)(s->n * outputs), sizeof *columns);
    ntk_status status;

    if (!columns)
        return NTK_ENOMEM;
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t c = 0; c < outputs; c++)
            columns[c * s->n + i] = y[i * outputs + c];
    status = ntk_solver_solve(s, outputs, columns);
    if (status == NTK_OK)
        status = ntk_check_finite(s->ctx, "the solution", columns, outputs, s->n);
    for (int64_t i = 0; i < s->n && status == NTK_OK; i++)
        for (int64_t c = 0; c < outputs; c++)
            alpha[i * outputs + c] = columns[c * s->n + i];
    free(columns);
    return status;
}

ntk_status ntk_kernel_solve(ntk_ctx *ctx, int64_t n, ntk_dtype dtype, int64_t block,
                            ntk_rows_fn *rows, void *user, const double *y, int64_t outputs,
                            double diag_reg, double *alpha)
{
    const struct ntk_ridge ridge = {.given = diag_reg, .spelling = "diag_reg = "};
    const struct ntk_solver_class *class;
    struct ntk_operator *k = NULL;
    struct ntk_solver *s = NULL;
    double beside; /* bytes: rows of the matrix, then the right-hand sides */
    struct ntk_blas blas;
    ntk_status status;

    if (n < 1 || block < 1 || outputs < 1 || !(diag_reg >= 0) || isinf(diag_reg))
        return ntk_fail(
            ctx, NTK_EINVAL,
            "n, block and outputs must be at least 1 and diag_reg >= 0, got %lld, %lld, "
            "%lld, %g",
            (long long)n, (long long)block, (long long)outputs, diag_reg);
    if (n > NTK_SAMPLES_MAX)
        return ntk_fail(ctx, NTK_EINVAL, "at most %d samples, got %lld", NTK_SAMPLES_MAX, (long long)n);
    NTK_TRY(ntk_check_given(ctx, "y", y, n * outputs));
    NTK_TRY(ntk_solver_find(ctx, "cholesky", &class));
    beside = (double)n * fmax((double)(block < n ? block : n) * (int)dtype, (double)outputs * sizeof(double));
    blas = ntk_blas_begin(ctx->threads);
    status = ntk_operator_of_rows(ctx, n, dtype, block < n ? block : n, rows, user, &k);
    if (status == NTK_OK)
        status = ntk_solver_new(ctx, class, k, 0, ntk_bytes(beside), &s);
    if (status == NTK_OK)
        status = ntk_solver_read(s, class->bytes(n) + ntk_bytes(beside), "a kernel matrix of this many samples");
    if (status == NTK_OK)
        status = factor(s, &ridge);
    if (status == NTK_OK)
        status = solve(s, y, outputs, alpha);
    ntk_solver_free(s);
    ntk_operator_free(k);
    ntk_blas_end(blas);
    return status;
}
