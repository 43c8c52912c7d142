/* SPDX-License-Identifier: MIT
 *
 * diagnose.c - leave-one-out, evidence and extreme eigenvalues from a model's factorisation.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sized.h"
#include "solve/lanczos.h"
#include "predict/model.h"

struct ntk_spectral_scale ntk_model_scale(const ntk_model *m)
{
    return ntk_spectral_scale(m->n, m->opts.dtype, m->solution->ridge, m->solution->values);
}

static int64_t null_directions(const ntk_model *m)
{
    const struct ntk_spectral_scale scale = ntk_model_scale(m);

    return ntk_spectral_nulls(&scale, m->n, m->solution->values);
}

/* By eigenvectors K + ridge is solved without its null directions, which gives no inverse. */
static ntk_status check_inverse(const ntk_model *m, const char *what)
{
    const struct ntk_ridge ridge = ntk_model_ridge(m);
    const struct ntk_solution *s = m->solution;
    double mean_diagonal = 0;
    char hint[160];

    if (!m->opts.finite_time || null_directions(m) == 0)
        return NTK_OK;
    for (int64_t i = 0; i < m->n; i++)
        mean_diagonal += (s->values[i] - s->ridge) / (double)m->n;
    ntk_ridge_say(&ridge,
                  ntk_ridge_for(m->n, m->opts.dtype, s->values[0] - s->ridge,
                                s->values[m->n - 1] - s->ridge, mean_diagonal,
                                ridge.absolute),
                  hint, sizeof hint);
    return ntk_fail(m->ctx, NTK_ENUMERIC,
                    "%s a positive definite matrix: %lld of the %lld eigenvalues are not above "
                    "rounding error%s",
                    what, (long long)null_directions(m), (long long)m->n, hint);
}

/* diag(K^-1) from L: column i of L^-1 has squared norm (K^-1)_ii. */
static ntk_status inverse_diagonal_cholesky(const ntk_model *m, double *diagonal)
{
    const int64_t n = m->n, most = ntk_model_panel_rows(n);
    const int64_t numbers = (most < n ? most : n) * n;
    double *x;
    ntk_status status = NTK_OK;

    NTK_TRY(ntk_ctx_check_memory(m->ctx, (size_t)numbers * sizeof *x, "the inverse's diagonal"));
    x = ntk_alloc(m->ctx, (size_t)numbers, sizeof *x);
    if (!x)
        return NTK_ENOMEM;
    for (int64_t first = 0; first < n && status == NTK_OK; first += most) {
        const int64_t rows = n - first < most ? n - first : most;

        memset(x, 0, (size_t)(rows * n) * sizeof *x);
        for (int64_t i = 0; i < rows; i++)
            x[i * n + first + i] = 1;
        status = ntk_rfp_solve_half(m->ctx, &m->solution->factor, rows, x);
        for (int64_t i = 0; i < rows && status == NTK_OK; i++)
            diagonal[first + i] = cblas_ddot((int)n, x + i * n, 1, x + i * n, 1);
        if (status == NTK_OK)
            status = ntk_progress(m->ctx, "rows", (double)(first + rows), (double)n);
    }
    free(x);
    return status;
}

static void inverse_diagonal_eigen(const ntk_model *m, double *diagonal)
{
    const struct ntk_spectral_scale scale = ntk_model_scale(m);

    memset(diagonal, 0, (size_t)m->n * sizeof *diagonal);
    for (int64_t k = 0; k < m->n; k++) {
        const double *v = m->solution->vectors + k * m->n;
        const double w = ntk_spectral_weight(&scale, m->solution->values[k]);

        for (int64_t i = 0; i < m->n; i++)
            diagonal[i] += v[i] * v[i] / w;
    }
}

ntk_status ntk_model_leave_one_out(const ntk_model *m, double *mean, double *var)
{
    double *diagonal;
    ntk_status status = NTK_OK;
    struct ntk_blas blas;

    NTK_TRY(ntk_model_solve(m));
    NTK_TRY(check_inverse(m, "leave-one-out predictions need"));
    diagonal = ntk_alloc(m->ctx, (size_t)m->n, sizeof *diagonal);
    if (!diagonal)
        return NTK_ENOMEM;
    blas = ntk_blas_begin(m->ctx->threads);
    if (m->opts.finite_time)
        inverse_diagonal_eigen(m, diagonal);
    else
        status = inverse_diagonal_cholesky(m, diagonal);
    for (int64_t i = 0; i < m->n && status == NTK_OK; i++) {
        for (int64_t k = 0; k < m->outputs; k++)
            mean[i * m->outputs + k] = m->y[k * m->n + i] - m->alpha[k * m->n + i] / diagonal[i];
        if (var)
            var[i] = 1 / diagonal[i];
    }
    ntk_blas_end(blas);
    free(diagonal);
    NTK_TRY(status);
    NTK_TRY(ntk_check_finite(m->ctx, "the leave-one-out predictions", mean, m->n, m->outputs));
    return var ? ntk_check_finite(m->ctx, "the leave-one-out variances", var, m->n, 1) : NTK_OK;
}

/* log det(K + ridge) */
static double log_determinant(const ntk_model *m)
{
    double sum = 0;

    for (int64_t i = 0; i < m->n; i++)
        sum += m->opts.finite_time ? log(m->solution->values[i])
                                   : 2 * log(*ntk_rfp_at(&m->solution->factor, i, i));
    return sum;
}

ntk_status ntk_model_evidence(const ntk_model *m, double *log_likelihood)
{
    struct ntk_blas blas;
    double fit = 0, likelihood;

    NTK_TRY(ntk_model_solve(m));
    NTK_TRY(check_inverse(m, "the likelihood needs"));
    blas = ntk_blas_begin(m->ctx->threads);
    for (int64_t k = 0; k < m->outputs; k++)
        fit += cblas_ddot((int)m->n, m->y + k * m->n, 1, m->alpha + k * m->n, 1);
    ntk_blas_end(blas);
    likelihood = -0.5 * fit -
                 0.5 * (double)m->outputs * (log_determinant(m) + (double)m->n * log(2 * M_PI));
    NTK_TRY(ntk_check_finite(m->ctx, "the log likelihood", &likelihood, 1, 1));
    *log_likelihood = likelihood;
    return NTK_OK;
}

struct operands {
    const ntk_model *m;
    double *work;
};

static ntk_status apply_matrix(double *x, void *user)
{
    const struct operands *o = user;

    ntk_rfp_restore(&o->m->solution->factor, x, o->work);
    return NTK_OK;
}

static ntk_status apply_inverse(double *x, void *user)
{
    const struct operands *o = user;

    return ntk_rfp_solve(o->m->ctx, &o->m->solution->factor, 1, x);
}

static ntk_status extremes_by_lanczos(const ntk_model *m, double *least, double *largest)
{
    struct operands o = {.m = m};
    double inverse = 0;
    ntk_status status;

    o.work = ntk_alloc(m->ctx, (size_t)m->n, sizeof *o.work);
    if (!o.work)
        return NTK_ENOMEM;
    status = ntk_lanczos_largest(m->ctx, m->n, apply_matrix, &o, largest);
    if (status == NTK_OK)
        status = ntk_lanczos_largest(m->ctx, m->n, apply_inverse, &o, &inverse);
    free(o.work);
    *least = 1 / inverse;
    return status;
}

static const ntk_spectrum empty = {.size = sizeof empty};
static const struct ntk_sized sized = NTK_SIZED(ntk_spectrum, null_directions, &empty);

void ntk_spectrum_init_sized(ntk_spectrum *spectrum, size_t size)
{
    ntk_sized_init(&sized, spectrum, size);
}

ntk_status ntk_model_spectrum(const ntk_model *m, ntk_spectrum *spectrum)
{
    ntk_spectrum s = empty;
    struct ntk_blas blas;
    ntk_status status = NTK_OK;

    NTK_TRY(ntk_sized_check(m->ctx, &sized, spectrum));
    NTK_TRY(ntk_model_solve(m));
    blas = ntk_blas_begin(m->ctx->threads);
    if (m->opts.finite_time) {
        s.lambda_min = m->solution->values[0];
        s.lambda_max = m->solution->values[m->n - 1];
        s.null_directions = null_directions(m);
    } else {
        status = extremes_by_lanczos(m, &s.lambda_min, &s.lambda_max);
    }
    ntk_blas_end(blas);
    NTK_TRY(status);
    NTK_TRY(ntk_check_finite(m->ctx, "the spectrum", (double[]){s.lambda_min, s.lambda_max}, 1, 2));
    s.condition = s.null_directions ? (double)INFINITY : s.lambda_max / s.lambda_min;
    s.max_learning_rate =
        2 / s.lambda_max * (m->opts.mean_loss ? (double)(m->n * m->outputs) : 1);
    ntk_sized_write(&sized, &s, spectrum);
    return NTK_OK;
}

ntk_status ntk_model_eigenvalues(const ntk_model *m, double *values)
{
    if (!m->opts.finite_time)
        return ntk_fail(m->ctx, NTK_EINVAL,
                        "eigenvalues need a model fitted with finite_time = 1");
    NTK_TRY(ntk_model_solve(m));
    memcpy(values, m->solution->values, (size_t)m->n * sizeof *values);
    return NTK_OK;
}
