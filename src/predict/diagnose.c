/* SPDX-License-Identifier: MIT
 *
 * diagnose.c - leave-one-out, evidence and extreme eigenvalues from a model's factorisation.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sized.h"
#include "predict/landmarks.h"
#include "predict/model.h"

struct ntk_spectral_scale ntk_model_scale(const ntk_model *m)
{
    return ntk_spectral_scale(m->n, m->opts.dtype, ntk_model_added(m), m->solution->values);
}

int64_t ntk_model_nulls(const ntk_model *m)
{
    struct ntk_spectral_scale scale;

    if (!m->solution->values)
        return 0;
    scale = ntk_model_scale(m);
    return ntk_spectral_nulls(&scale, m->n, m->solution->values);
}

/* By eigenvectors K + ridge is solved without its null directions, which gives no inverse. */
static ntk_status check_inverse(const ntk_model *m, const char *what)
{
    const struct ntk_ridge ridge = ntk_model_ridge(m);
    const struct ntk_solution *s = m->solution;
    const double added = ntk_model_added(m);
    double mean_diagonal = 0;
    char hint[160];

    if (ntk_model_nulls(m) == 0)
        return NTK_OK;
    for (int64_t i = 0; i < m->n; i++)
        mean_diagonal += (s->values[i] - added) / (double)m->n;
    mean_diagonal = ridge.unit > 0 ? ridge.unit : mean_diagonal;
    ntk_ridge_say(&ridge,
                  ntk_ridge_for(m->n, m->opts.dtype, s->values[0] - added, s->values[m->n - 1] - added,
                                mean_diagonal, ridge.absolute),
                  hint, sizeof hint);
    return ntk_fail(m->ctx, NTK_ENUMERIC,
                    "%s a positive definite matrix: %lld of the %lld eigenvalues are not above "
                    "rounding error%s",
                    what, (long long)ntk_model_nulls(m), (long long)m->n, hint);
}

/* y_i - alpha_i / (K^-1)_ii and 1 / (K^-1)_ii. */
static ntk_status leave_one_out(const ntk_model *m, double *inverse, double *mean, double *var)
{
    NTK_TRY(ntk_solver_inverse_diagonal(m->solution->solver, inverse));
    for (int64_t i = 0; i < m->n; i++) {
        for (int64_t k = 0; k < m->outputs; k++)
            mean[i * m->outputs + k] = m->y[k * m->n + i] - m->alpha[k * m->n + i] / inverse[i];
        if (var)
            var[i] = 1 / inverse[i];
    }
    ntk_model_of_means(m, m->n, var);
    NTK_TRY(ntk_check_finite(m->ctx, "the leave-one-out predictions", mean, m->n, m->outputs));
    return var ? ntk_check_finite(m->ctx, "the leave-one-out variances", var, m->n, 1) : NTK_OK;
}

ntk_status ntk_model_check_left_out(const ntk_model *m, const char *what)
{
    if (!m->x || !m->x->copied)
        return NTK_OK;
    return ntk_fail(m->ctx, NTK_ENOTSUP,
                    "%s: these samples have shifted copies, which would predict each other; choose by samples without "
                    "copies, or by others",
                    what);
}

ntk_status ntk_model_own_leave_one_out(const ntk_model *m, double *mean, double *var)
{
    double *inverse;
    ntk_status status;
    struct ntk_blas blas;

    NTK_TRY(ntk_model_check_left_out(m, "leave-one-out predictions"));
    if (m->land) {
        NTK_TRY(ntk_landmarks_leave_one_out(m, mean, var));
        ntk_model_of_means(m, m->n, var);
        return NTK_OK;
    }
    NTK_TRY(ntk_model_solve(m));
    NTK_TRY(check_inverse(m, "leave-one-out predictions need"));
    inverse = ntk_alloc(m->ctx, (size_t)m->n, sizeof *inverse);
    if (!inverse)
        return NTK_ENOMEM;
    blas = ntk_blas_begin(m->ctx->threads);
    status = leave_one_out(m, inverse, mean, var);
    ntk_blas_end(blas);
    free(inverse);
    return status;
}

/* Samples that were left out are predicted by the others as they are. out: [n_all - n] their numbers. */
static ntk_status predict_left_out(const ntk_model *m, int64_t *out, double *mean)
{
    int64_t n = 0;
    double *f;
    ntk_data *x;
    ntk_status status;

    for (int64_t i = 0; i < m->n_all; i++)
        if (i - n == m->n || m->rows[i - n] != i)
            out[n++] = i;
    NTK_TRY(ntk_data_select(m->all, out, n, &x));
    f = ntk_alloc(m->ctx, (size_t)(n * m->outputs), sizeof *f);
    status = f ? ntk_model_predict(m, x, f, NULL) : NTK_ENOMEM;
    for (int64_t i = 0; i < n && status == NTK_OK; i++)
        memcpy(mean + out[i] * m->outputs, f + i * m->outputs, (size_t)m->outputs * sizeof *f);
    free(f);
    ntk_data_free(x);
    return status;
}

/* Numbers of the samples that the model has go to their places among all, from the end: they move up. */
static void spread(const ntk_model *m, int64_t columns, double *x)
{
    for (int64_t i = m->n; i-- > 0;)
        memmove(x + m->rows[i] * columns, x + i * columns, (size_t)columns * sizeof *x);
}

ntk_status ntk_model_leave_one_out(const ntk_model *m, double *mean, double *var)
{
    int64_t *out;
    ntk_status status;

    NTK_TRY(ntk_model_own_leave_one_out(m, mean, var));
    if (!m->rows)
        return NTK_OK;
    out = ntk_alloc(m->ctx, (size_t)(m->n_all - m->n), sizeof *out);
    if (!out)
        return NTK_ENOMEM;
    spread(m, m->outputs, mean);
    if (var)
        spread(m, 1, var);
    status = predict_left_out(m, out, mean);
    for (int64_t i = 0; var && i < m->n_all - m->n; i++)
        var[out[i]] = (double)INFINITY;
    free(out);
    return status;
}

/* Of copies c of each sample, their mean is a process with covariance K / c and noise r / c. */
double ntk_model_likelihood(const ntk_model *m, double fit, double log_determinant)
{
    const double c = ntk_model_copies(m);

    return -0.5 * c * fit - 0.5 * (double)m->outputs * (log_determinant + (double)m->n * log(2 * M_PI / c));
}

ntk_status ntk_model_evidence(const ntk_model *m, double *log_likelihood)
{
    struct ntk_blas blas;
    double fit = 0, likelihood, log_determinant;

    NTK_TRY(ntk_model_check_whole(m, "a likelihood"));
    NTK_TRY(ntk_model_solve(m));
    NTK_TRY(check_inverse(m, "the likelihood needs"));
    NTK_TRY(ntk_solver_log_determinant(m->solution->solver, &log_determinant));
    blas = ntk_blas_begin(m->ctx->threads);
    for (int64_t k = 0; k < m->outputs; k++)
        fit += cblas_ddot((int)m->n, m->y + k * m->n, 1, m->alpha + k * m->n, 1);
    ntk_blas_end(blas);
    likelihood = ntk_model_likelihood(m, fit, log_determinant);
    NTK_TRY(ntk_check_finite(m->ctx, "the log likelihood", &likelihood, 1, 1));
    *log_likelihood = likelihood;
    return NTK_OK;
}

static const ntk_fit_report nothing = {.size = sizeof nothing};
static const struct ntk_sized sized_report = NTK_SIZED(ntk_fit_report, log_likelihood_error, &nothing);

void ntk_fit_report_init_sized(ntk_fit_report *report, size_t size)
{
    ntk_sized_init(&sized_report, report, size);
}

ntk_status ntk_model_report(const ntk_model *m, ntk_fit_report *report)
{
    ntk_fit_report r = nothing;
    const struct ntk_solver *s;

    NTK_TRY(ntk_sized_check(m->ctx, &sized_report, report));
    NTK_TRY(ntk_model_solve(m));
    if (m->land) {
        r.solver = "landmarks";
        r.iterations = m->land->steps;
        r.residual = m->land->residual;
    } else {
        s = m->solution->solver;
        r.solver = s->class->name;
        r.iterations = s->last.steps;
        r.residual = s->last.residual;
        r.estimates = s->class->estimates;
        r.log_likelihood_error = 0.5 * (double)m->outputs * s->last.log_determinant_error;
    }
    ntk_sized_write(&sized_report, &r, report);
    return NTK_OK;
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
    ntk_status status;

    NTK_TRY(ntk_sized_check(m->ctx, &sized, spectrum));
    NTK_TRY(ntk_model_check_whole(m, "a spectrum"));
    NTK_TRY(ntk_model_solve(m));
    blas = ntk_blas_begin(m->ctx->threads);
    status = ntk_solver_extremes(m->solution->solver, &s.lambda_min, &s.lambda_max);
    ntk_blas_end(blas);
    NTK_TRY(status);
    s.null_directions = ntk_model_nulls(m);
    NTK_TRY(ntk_check_finite(m->ctx, "the spectrum", (double[]){s.lambda_min, s.lambda_max}, 1, 2));
    s.condition = s.null_directions ? (double)INFINITY : s.lambda_max / s.lambda_min;
    s.max_learning_rate =
        2 / s.lambda_max * (m->opts.mean_loss ? (double)(ntk_model_copies(m) * m->n * m->outputs) : 1);
    ntk_sized_write(&sized, &s, spectrum);
    return NTK_OK;
}

ntk_status ntk_model_eigenvalues(const ntk_model *m, double *values)
{
    NTK_TRY(ntk_model_check_whole(m, "a spectrum"));
    NTK_TRY(ntk_model_solve(m));
    if (!m->solution->values)
        return ntk_fail(m->ctx, NTK_EINVAL,
                        "eigenvalues need a model fitted with finite_time = 1");
    memcpy(values, m->solution->values, (size_t)m->n * sizeof *values);
    return NTK_OK;
}
